"""Looks through a film before it is dubbed: who is in it and when, which frames cannot be dubbed, and where mouths are shut.

A film is read twice: here, where little of each frame is kept, and in ``dub.py``, which draws. So memory stays small however long
the film is, and a fade can begin before the face is hidden.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import crop_landmarks, mouth_opening
from stillspeak.errors import FaceError
from stillspeak.media.covers import mouth_score
from stillspeak.media.faces import align, similarity
from stillspeak.media.film import Film
from stillspeak.media.people import grouped
from stillspeak.media.portrait import mouth_share
from stillspeak.media.spans import spans
from stillspeak.media.track import Track, Tracker, pose
from stillspeak.runtime.closing import View, view_of
from stillspeak.runtime.ramp import ramp

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
TURNED, COVERED, OUTSIDE, SHORT = "turned to the side", "covered at the mouth", "cut by the edge", "seen too briefly"
_WHY = "", TURNED, COVERED, OUTSIDE, SHORT
_MOST_TURNED = 0.18  # ours, in widths of the eyes: a head that is turned by some 35 degrees
_LEAST_SHARE = 0.9  # of the mouth, inside the picture
_LEAST_SECONDS = 0.4  # ours: a face that is seen more briefly stays as filmed
_FADE_SECONDS = 0.2  # ours: in this time the dubbed mouth comes and goes inside a shot
_STEADY_SECONDS = 0.28  # over which a cover and the choice of a still are averaged
_POSE_STEP = 0.07  # ours, in widths of the eyes: stills of one face differ by at least about so much in pose
_MOST_STILLS = 3  # of one face in one shot
_WIDER_PX = 0.7  # ours: a still may be open by so much more than the one that is most shut
_HIDDEN_PX = 100.0  # added to the opening of a mouth that something covers, so that it is the last to be taken
_SHARPER = 0.05  # pixels of opening that a unit of sharpness outweighs
_LEAST_CONFIDENCE = 0.15  # the detector's median score of a face; badges and patterns have less


@dataclass(frozen=True)
class Still:
    """Holds a frame of a face with its mouth shut, or as shut as it was filmed.

    Attributes:
        view: the part of the frame around the face.
        opening_px: the distance of the inner lips, in crop pixels.
        pose: how far the head is turned and tilted, float32 ``(2,)``.
        crop: the aligned face, ``(128, 96, 3)``.
    """

    view: View
    opening_px: float
    pose: Float
    crop: Image


@dataclass(frozen=True)
class Appearance:
    """Holds a person from one frame to another, without a cut between them.

    Attributes:
        first: the number of the first frame.
        to_crop: takes each frame to the aligned face, ``(frames, 2, 3)``.
        shown: how much of the dubbed mouth is shown in each frame, ``(frames,)``: 0 leaves the frame as filmed.
        why: why a frame cannot be dubbed, as an index into reasons ``(frames,)``; 0 where it can.
        stills: at least one frame with the mouth shut.
        mixed: how much of each still is taken in each frame, ``(frames, stills)``.
        width_px: the mean width of the face.
    """

    first: int
    to_crop: NDArray[np.float64]
    shown: Float
    why: NDArray[np.uint8]
    stills: list[Still]
    mixed: Float
    width_px: float

    @property
    def end(self) -> int:
        """Returns the number of the frame after the last one."""
        return self.first + len(self.shown)

    def reason(self, index: int) -> str:
        """Returns why frame ``index`` of the film cannot be dubbed; empty if it can."""
        return _WHY[int(self.why[index - self.first])]


@dataclass(frozen=True)
class Cast:
    """Holds the people of a film.

    Attributes:
        film: the film.
        times: when each frame is shown, in seconds.
        cuts: the first frame of each shot.
        people: the appearances of each person; the first person is the one who is seen most.
    """

    film: Film
    times: list[float]
    cuts: list[int]
    people: list[list[Appearance]]

    @property
    def interval(self) -> float:
        """Returns the mean time between two frames, in seconds."""
        return self.times[-1] / (len(self.times) - 1) if len(self.times) > 1 else float(1 / self.film.fps)


def look_through(film: Film, tell: Callable[[int], None] | None = None) -> Cast:
    """Looks through a film.

    Args:
        film: the film.
        tell: is called after each frame with the number of frames that were looked at.

    Raises:
        FaceError: if nobody's face is found in the whole film.
        MediaError: if no frame can be decoded.
    """
    tracker, notes, times = Tracker(float(film.fps)), dict[int, _Notes](), list[float]()
    shape: tuple[int, ...] = ()
    for one in film.shown():
        for track in tracker.push(one.picture):
            notes.setdefault(track.number, _Notes()).see(track, one.picture)
        times.append(one.seconds)
        shape = one.picture.shape
        if tell is not None:
            tell(len(times))
    tracks = [track for track in tracker.finish() if _is_face(track)]
    if not tracks:
        said = "shows no face from the front that can be followed"
        raise FaceError(f"{film.path} {said}; give a film in which a person faces the camera.")
    fps = (len(times) - 1) / times[-1] if times[-1] > 0 else float(film.fps)
    ends = {*tracker.cuts, len(times)}
    tracks.sort(key=lambda track: -track.width_px * len(track.points))
    seen = [_appearance(track, notes[track.number], fps, ends, shape) for track in tracks]
    people = grouped([one.stills[0].crop for one in seen], [(one.first, one.end) for one in seen])
    people.sort(key=lambda person: -sum(seen[one].width_px * len(seen[one].shown) for one in person))
    ordered = [sorted((seen[one] for one in person), key=lambda one: one.first) for person in people]
    return Cast(film, times, tracker.cuts, ordered)


class _Found(NamedTuple):
    """Holds a frame that may become a still: what speaks against it, its number in the track, and its pixels."""

    cost: float
    frame: int
    place: tuple[slice, slice]
    pixels: Image
    opening_px: float


@dataclass
class _Notes:
    """Holds what is noted of a track while it is followed: stills only from frames before one that the detector confirmed."""

    covered: list[float] = field(default_factory=list)
    stills: dict[tuple[int, int], _Found] = field(default_factory=dict)
    waiting: list[tuple[tuple[int, int], _Found]] = field(default_factory=list)

    def see(self, track: Track, picture: Image) -> None:
        """Looks at the newest frame of a track: is the mouth covered, is it shut."""
        points, frame = track.points[-1], len(track.points) - 1
        to_crop = similarity(points)
        crop = align(picture, to_crop)
        self.covered.append(mouth_score(crop))
        if frame % 2 == 0:  # every other frame is enough
            opening = float(mouth_opening(crop_landmarks(crop[None], looks=2))[0])
            cost = opening - _SHARPER * _sharpness(crop) + (_HIDDEN_PX if self.covered[-1] < 0 else 0.0)
            turn, tilt = (round(float(value) / _POSE_STEP) for value in pose(points[None])[0])
            before = self.stills.get((turn, tilt))
            if before is None or cost < before.cost:
                view, place = view_of(picture, to_crop)
                self.waiting.append(((turn, tilt), _Found(cost, frame, place, view.pixels, opening)))
        if not np.isnan(track.confidences[-1]):  # the detector has looked
            for cell, found in self.waiting if track.confidences[-1] > -np.inf else ():
                self._keep(cell, found)
            self.waiting.clear()

    def _keep(self, cell: tuple[int, int], found: _Found) -> None:
        """Keeps a still if it is better than the one of the same pose; the worst of too many is dropped."""
        if cell in self.stills and self.stills[cell].cost <= found.cost:
            return
        self.stills[cell] = found
        if len(self.stills) > _MOST_STILLS:
            del self.stills[max(self.stills, key=lambda one: self.stills[one].cost)]


def _is_face(track: Track) -> bool:
    looks = [value for value in track.confidences if not np.isnan(value)]
    return len(track.points) > 2 and float(np.median(looks)) >= _LEAST_CONFIDENCE  # noqa: PLR2004 - a flash is no face


def _appearance(track: Track, notes: _Notes, fps: float, ends: set[int], shape: tuple[int, ...]) -> Appearance:
    """Returns what the film needs of a track."""
    count = len(track.points)
    points = track.smoothed(fps)
    to_crop = np.stack([similarity(one) for one in points])
    stills = _stills([*notes.stills.values()], to_crop, points)
    why = _why(points, to_crop, notes.covered[:count], fps, shape)
    shown = _shown(why, fps, track.first in ends, track.end in ends)
    return Appearance(track.first, to_crop, shown, why, stills, _mixed(stills, points, fps), track.width_px)


def _stills(found: list[_Found], to_crop: NDArray[np.float64], points: Float) -> list[Still]:
    """Returns the frames that were kept, the best first, with their smoothed alignment; those with an open mouth are left out."""
    least = min((one.cost for one in found), default=0.0)
    stills = list[Still]()
    for one in sorted(found, key=lambda one: one.cost):
        posed = pose(points[one.frame][None])[0]
        if one.cost > least + _WIDER_PX or any(np.abs(still.pose - posed).max() < _POSE_STEP / 2 for still in stills):
            continue
        rows, columns = one.place
        matrix = to_crop[one.frame] @ np.array([[1.0, 0, columns.start], [0, 1, rows.start], [0, 0, 1]])
        view = View(one.pixels, matrix)
        stills.append(Still(view, one.opening_px, posed, align(one.pixels, matrix)))
    return stills


def _why(
    points: Float, to_crop: NDArray[np.float64], covered: list[float], fps: float, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Returns why each frame cannot be dubbed, as an index into the reasons; 0 where it can."""
    outside = np.array([mouth_share(shape, matrix) < _LEAST_SHARE for matrix in to_crop])
    hidden = _averaged(np.array(covered, np.float32), fps) < 0
    why = np.where(outside, _WHY.index(OUTSIDE), 0)
    why = np.where(hidden, _WHY.index(COVERED), why)
    why = np.where(np.abs(pose(points)[:, 0]) > _MOST_TURNED, _WHY.index(TURNED), why).astype(np.uint8)
    for begin, end in spans(why == 0):
        if (end - begin) / fps < _LEAST_SECONDS:
            why[begin:end] = _WHY.index(SHORT)
    return why


def _shown(why: NDArray[np.uint8], fps: float, begins_shot: bool, ends_shot: bool) -> Float:
    """Returns how much of the dubbed mouth is shown in each frame: it fades where the reason changes, and not at a cut."""
    shown, count = np.zeros(len(why), np.float32), len(why)
    for begin, end in spans(why == 0):
        fade = max(1.0, min(_FADE_SECONDS * fps, (end - begin) / 2))
        since = np.arange(1, end - begin + 1) / (fade + 1)
        rises = np.ones(end - begin) if begins_shot and begin == 0 else since
        falls = np.ones(end - begin) if ends_shot and end == count else since[::-1]
        shown[begin:end] = ramp(np.minimum(rises, falls), 0.0, 1.0)
    return shown


def _mixed(stills: list[Still], points: Float, fps: float) -> Float:
    """Returns how much of each still is taken in each frame: all of the one with the nearest pose, and a mixture at a change."""
    apart = np.stack([np.abs(pose(points) - still.pose).sum(axis=1) for still in stills], axis=1)
    nearest = np.stack([_averaged(column, fps) for column in apart.T], axis=1).argmin(axis=1)
    chosen = (nearest[:, None] == np.arange(len(stills))).astype(np.float32)
    return np.stack([_averaged(column, fps) for column in chosen.T], axis=1)


def _averaged(values: Float, fps: float) -> Float:
    """Returns the mean over about 0.28 s around each value, over less at the ends."""
    half = max(1, round(_STEADY_SECONDS * fps / 2))
    padded = np.pad(values.astype(np.float32), half, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).mean(axis=1).astype(np.float32)


def _sharpness(crop: Image) -> float:
    """Returns how sharp the mouth of an aligned face is: the spread of its second derivative."""
    return float(cv2.Laplacian(cv2.cvtColor(crop[80:110, 28:70], cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
