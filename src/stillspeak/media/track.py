"""Follows faces through a film: finds them, follows them from frame to frame, loses them, finds them again, sees cuts.

A ``Tracker`` takes one frame after another, and looks only backwards, so it can follow a live picture too. dlib's detector
looks every few frames; between, dlib's 5-point predictor starts from where the face was. ``tracks_of`` follows a whole film,
and keeps a track only where the detector has confirmed it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import (
    CANONICAL,
    HEIGHT_PX,
    WIDTH_PX,
    Face,
    align,
    face_points,
    faces_at,
    find_faces,
    similarity,
    smooth,
)

Image = NDArray[np.uint8]
Points = NDArray[np.float32]  # (5, 2), in the order of faces.CANONICAL
LOOK_SECONDS = 0.2  # ours: the detector confirms every face so often
SMOOTHING_SECONDS = 0.28  # architecture.md, alignment: 7 frames of 25 a second
_SUDDEN = 0.03, 0.07  # ours, in widths of the eyes: the mean of the points may lie so far beside the face
_SEARCH_LOOKS = 2, 10  # the whole picture is searched at every second look at a small size, at every tenth at its own
_SMALL_PX, _LARGE_PX = 640, 1920  # the longer side of the picture in which new faces are searched
_MOST_MISSES = 2  # looks in a row that may not find a face before it counts as lost
_LOOKED_AT_PX = 110  # the detector looks at a known face at this width, 80 being the least that it sees
_AROUND = 0.5  # and at so much, in widths of the face, on each side of its box
_CUT, _CUT_LIKENESS = 14.0, 0.75  # of 255; correlation: two frames of one shot differ by less, or are more alike
_THUMB = 48, 27  # the size at which two frames are compared
_SAME_FACE = 0.75  # the correlation of a face with itself a frame earlier
_BOX = np.array([[8.5, 28.0], [96.5, 116.0]])  # where dlib's box lies around a canonical crop; data/landmarks.py
_CONFIDENT = 0.0  # the detector's threshold


@dataclass
class Track:
    """Holds one face through the frames of one shot.

    Attributes:
        number: a number of its own; a face that is lost and found again has a new one.
        first: the number of its first frame in the film.
        points: its five points in each frame, in pixels.
        confidences: the detector's score in each frame; nan where the detector did not look, -inf where it missed the face.
    """

    number: int
    first: int
    points: list[Points] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)

    @property
    def end(self) -> int:
        """Returns the number of the frame after its last one."""
        return self.first + len(self.points)

    @property
    def width_px(self) -> float:
        """Returns the mean width of the face's box, in pixels."""
        return float(np.mean([_box_of(points)[2] - _box_of(points)[0] for points in self.points[::5]]))

    def smoothed(self, fps: float) -> NDArray[np.float32]:
        """Returns the points ``(frames, 5, 2)`` averaged over about 0.28 s around each frame, 7 frames of 25 a second.

        Where a head moves so suddenly that the mean lies beside it, the points are less averaged.
        """
        points = np.stack(self.points)
        mean = smooth(points, max(3, round(SMOOTHING_SECONDS * fps) | 1))
        eyes = np.linalg.norm(points[:, 0] - points[:, 2], axis=1)
        apart = np.linalg.norm((mean - points).mean(axis=1), axis=1) / np.maximum(eyes, 1e-6)
        sudden = np.clip((apart - _SUDDEN[0]) / (_SUDDEN[1] - _SUDDEN[0]), 0, 1)
        return (mean + sudden[:, None, None] * (points - mean)).astype(np.float32)


class Tracker:
    """Follows all faces of a film.

    Attributes:
        cuts: the numbers of the frames with which a shot begins; frame 0 is one.

    Args:
        fps: frames a second, which says how often the detector looks.
    """

    def __init__(self, fps: float) -> None:
        self.cuts: list[int] = []
        self.ended: list[Track] = []
        self._every = max(1, round(LOOK_SECONDS * fps))
        self._alive: list[Track] = []
        self._faces: dict[int, Image] = {}  # the aligned face of each track in the frame before
        self._frame = self._made = self._since_cut = 0
        self._thumb: Image | None = None

    def push(self, picture: Image) -> list[Track]:
        """Takes the next frame, RGB uint8 ``(height, width, 3)``; returns the tracks that live in it."""
        thumb = thumb_of(picture)
        if self._thumb is None or is_cut(self._thumb, thumb):
            self._begin_shot()
        self._thumb = thumb
        for track in [*self._alive]:
            self._follow(track, picture)
        if self._since_cut % self._every == 0:
            self._look(picture, self._since_cut // self._every)
        self._frame += 1
        self._since_cut += 1
        return [*self._alive]

    def finish(self) -> list[Track]:
        """Ends the film; returns all its tracks, each up to the last frame in which the detector confirmed it."""
        for track in [*self._alive]:
            self._end(track, lost=False)
        return [track for track in self.ended if track.points]

    def _begin_shot(self) -> None:
        for track in [*self._alive]:
            self._end(track, lost=False)
        self.cuts.append(self._frame)
        self._since_cut = 0

    def _follow(self, track: Track, picture: Image) -> None:
        """Moves a track on by a frame. It ends if the face looks unlike itself a frame earlier."""
        points = face_points(picture, _box_of(track.points[-1]))
        face = _small_face(picture, points)
        if not _plausible(points, picture) or _likeness(face, self._faces[track.number]) < _SAME_FACE:
            self._end(track, lost=True)
            return
        track.points.append(points)
        track.confidences.append(float("nan"))
        self._faces[track.number] = face

    def _look(self, picture: Image, look: int) -> None:
        """Confirms the faces that are followed, and searches new ones."""
        for track in [*self._alive]:
            found = _looked_at(picture, track.points[-1])
            track.confidences[-1] = -np.inf if found is None else found.confidence
            looks = [value for value in track.confidences if not np.isnan(value)]
            if looks[-_MOST_MISSES:] == [-np.inf] * _MOST_MISSES:
                self._end(track, lost=True)
        own = look % _SEARCH_LOOKS[1] == 0
        if own or look % _SEARCH_LOOKS[0] == 0 or not self._alive:
            for face in find_faces(picture, _LARGE_PX if own else _SMALL_PX):
                if face.confidence > _CONFIDENT and not any(_one_face(face, track) for track in self._alive):
                    self._begin(face, picture)

    def _begin(self, face: Face, picture: Image) -> None:
        points = face_points(picture, _box_of(face.points))
        if not _plausible(points, picture):
            return
        self._alive.append(Track(self._made, self._frame, [points], [face.confidence]))
        self._faces[self._made] = _small_face(picture, points)
        self._made += 1

    def _end(self, track: Track, lost: bool) -> None:
        """Ends a track; a face that was lost is cut back to the last frame in which the detector found it."""
        confirmed = [index for index, value in enumerate(track.confidences) if value > -np.inf]
        keep = confirmed[-1] + 1 if lost and confirmed else len(track.points)
        if lost or (track.confidences and track.confidences[-1] == -np.inf):
            del track.points[keep:], track.confidences[keep:]
        self._alive.remove(track)
        del self._faces[track.number]
        self.ended.append(track)


def tracks_of(pictures: Iterable[Image], fps: float) -> tuple[list[Track], list[int]]:
    """Follows all faces of a film; returns their tracks, in the order of their ends, and the first frame of each shot."""
    tracker = Tracker(fps)
    for picture in pictures:
        tracker.push(picture)
    return tracker.finish(), tracker.cuts


def thumb_of(picture: Image) -> Image:
    """Returns a frame at the size that ``is_cut`` takes. Of a large one it reads only some pixels, which is quick."""
    step = max(1, picture.shape[1] // (6 * _THUMB[0]))
    some = np.ascontiguousarray(picture[::step, ::step])
    return np.asarray(cv2.resize(some, _THUMB, interpolation=cv2.INTER_AREA), np.uint8)


def is_cut(before: Image, now: Image) -> bool:
    """Returns whether a new shot begins between two frames, which are given at a size of 48 x 27, RGB uint8 ``(27, 48, 3)``."""
    one, two = before.astype(np.float32), now.astype(np.float32)
    if np.abs(one - two).mean() < _CUT:
        return False
    return _correlation(one, two) < _CUT_LIKENESS


def _correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    one, two = one - one.mean(), two - two.mean()
    return float((one * two).sum() / max(float(np.sqrt((one**2).sum() * (two**2).sum())), 1e-6))


def _box_of(points: Points) -> tuple[int, int, int, int]:
    """Returns the box that the detector would put around a face with these points."""
    matrix = similarity(points)
    middle = (_BOX.mean(axis=0) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    half = (_BOX[1, 0] - _BOX[0, 0]) / 2 / max(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1e-6)
    low, high = np.rint(np.clip(middle - half, -1e5, 1e5)), np.rint(np.clip(middle + half, -1e5, 1e5))
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _looked_at(picture: Image, points: Points) -> Face | None:
    """Looks for a known face around its points, at the width at which the detector is quick; None if it is not there."""
    left, top, right, bottom = _box_of(points)
    more = round(_AROUND * (right - left))
    left, top = max(0, left - more), max(0, top - more)
    part = picture[top : bottom + more, left : right + more]
    if min(part.shape[:2]) < more:
        return None
    apart = points.mean(axis=0) - (left, top)
    found = faces_at(np.ascontiguousarray(part), _LOOKED_AT_PX / max(1, 2 * more))
    return next((face for face in found if np.abs(face.points.mean(axis=0) - apart).max() < more), None)


def _plausible(points: Points, picture: Image) -> bool:
    """Returns whether five points may be a face's: its middle lies in the picture, and it is upright enough."""
    matrix = similarity(points)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if not 1e-3 < scale < 20 or matrix[0, 0] < 0.4 * scale:  # noqa: PLR2004 - the head leans by some 65 degrees
        return False
    x, y = points.mean(axis=0)
    return 0 <= x < picture.shape[1] and 0 <= y < picture.shape[0]


def _small_face(picture: Image, points: Points) -> Image:
    """Returns a small grey picture of an aligned face, by which it is told from another."""
    grey = cv2.cvtColor(align(picture, similarity(points)), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (WIDTH_PX // 3, HEIGHT_PX // 3), interpolation=cv2.INTER_AREA), np.uint8)


def _likeness(one: Image, two: Image) -> float:
    return _correlation(one.astype(np.float32), two.astype(np.float32))


def _one_face(face: Face, track: Track) -> bool:
    """Returns whether a face that was found is the one of a track: the middle of its points lies within half its width."""
    box = _box_of(track.points[-1])
    apart = np.abs(face.points.mean(axis=0) - track.points[-1].mean(axis=0)).max()
    return bool(apart < (box[2] - box[0]) / 2)


def pose(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how far faces are turned and tilted, ``(frames, 2)``: 0 for a face from the front.

    It is where the nose lies beside and below the middle of the eyes, in widths of the eyes, less where it lies from the front.

    Args:
        points: five points of each face, ``(frames, 5, 2)``.
    """
    return (_nose_places(points) - _nose_places(CANONICAL[None])).astype(np.float32)


def _nose_places(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns where the nose lies from the middle of the eyes, along their line and across it, in their widths."""
    across = points[:, 0] - points[:, 2]  # from the outer corner of one eye to that of the other
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    beside = points[:, 4] - points[:, :4].mean(axis=1)
    square = np.maximum((across**2).sum(axis=1), 1e-6)
    return np.stack([(beside * across).sum(axis=1) / square, (beside * down).sum(axis=1) / square], axis=1)
