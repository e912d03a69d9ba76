"""Reads a film frame by frame, so that some of its pixels can be changed: at its own times, upright, and with its colours' tags.

``video.py`` reads a film as data for the model, at the model's rate. This module keeps the film's own rate, and can read it
from any frame on, or backwards, in constant memory.
"""

import contextlib
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.kinds import PICTURE, kind_of
from stillspeak.media.opening import open_media
from stillspeak.media.shown import Screen
from stillspeak.media.streams import heard_stream, shown_stream, timed, timeline_of
from stillspeak.media.timeline import Timeline

Image = NDArray[np.uint8]
_FPS = Fraction(25)  # the rate of a film that names none
_HDR = {16: "PQ", 18: "HLG"}  # H.273, transfer characteristics
_UNKNOWN = 2  # H.273: unspecified
_FULL_RANGE = 2  # FFmpeg, AVCOL_RANGE_JPEG
_USUAL = [Fraction(base * 1000, below) for base in (24, 25, 30, 48, 50, 60) for below in (1000, 1001)]
_STEADY = 0.35  # ours: a film has one rate if each frame is at most this share of an interval away from its place
_INDEXED = "mov", "matroska"  # FFmpeg's names of the formats in which a leap lands where it should
_LONGEST_FRAME_SECONDS = 5.0  # a frame that is taken from a film was shown at most so long before
_BACKWARDS_BYTES = 200_000_000  # a film is read backwards in pieces of so many bytes


class Colours(NamedTuple):
    """Holds how a film's numbers mean colours, as H.273 numbers it; 2 means that the file does not say.

    Attributes:
        primaries: the colours of red, green and blue.
        transfer: the curve from light to numbers.
        matrix: the rule from red, green and blue to luma and chroma.
        full_range: whether luma reaches from 0 to 255, and not from 16 to 235.
    """

    primaries: int = _UNKNOWN
    transfer: int = _UNKNOWN
    matrix: int = _UNKNOWN
    full_range: bool = False


class Shown(NamedTuple):
    """Holds a frame of a film.

    Attributes:
        seconds: when it is shown, counted from the first frame.
        picture: RGB, uint8 ``(height, width, 3)``, as players show it.
        stored: the frame as the file stores it.
    """

    seconds: float
    picture: Image
    stored: av.VideoFrame


@dataclass(frozen=True)
class Film:
    """Describes a film that can be read.

    Attributes:
        path: its file.
        fps: its frame rate as the file names it; a mean, if the rate varies.
        frames: how many frames it has at most; damaged ones are not shown.
        colours: what its numbers mean.
        has_sound: whether it has a sound track that can be decoded.
        zero_seconds: the time stamp of the first frame.
        timeline: puts the time stamps of the file on one clock.
    """

    path: Path
    fps: Fraction
    frames: int
    colours: Colours
    has_sound: bool
    zero_seconds: float
    timeline: Timeline

    def shown(self, start_seconds: float = 0.0) -> Iterator[Shown]:
        """Yields the frames in the order in which they are shown, from the first one shown at ``start_seconds`` or later on.

        Frames that are damaged are left out.

        Raises:
            MediaError: if no frame can be decoded.
        """
        frames = self._decoded(start_seconds if start_seconds > 0 else None)
        first = next(frames, None)
        if start_seconds > 0 and (first is None or first.seconds > start_seconds + 1e-6):
            frames = self._decoded(None)  # the file led past that moment, so it is read from its beginning
            first = next(frames, None)
        if first is None:
            return
        yield from (one for one in chain([first], frames) if one.seconds >= start_seconds - 1e-6)

    def _decoded(self, leap_seconds: float | None) -> Iterator[Shown]:
        """Yields all frames, or those from the key frame before a moment on, if the file allows such a leap."""
        with open_media(self.path) as container:
            stream = shown_stream(container)
            assert stream is not None
            stream.thread_type = "AUTO"
            indexed = container.format.name.startswith(_INDEXED)
            if leap_seconds is not None and indexed and self.timeline.is_plain(stream):
                with contextlib.suppress(av.error.FFmpegError):
                    base = float(stream.time_base or 1)
                    container.seek(int((self.zero_seconds + leap_seconds) / base), stream=stream)
            screen, none = Screen(), True
            for seconds, frame, pixel in timed(container, stream, self.timeline):
                try:
                    picture = screen.show(frame, pixel)
                except av.error.FFmpegError:
                    continue
                none = False
                yield Shown(seconds - self.zero_seconds, picture, frame)
            if none and leap_seconds is None:
                raise MediaError(f"{self.path} holds no frame that can be decoded.")

    def backwards(self, times: Sequence[float]) -> Iterator[Shown]:
        """Yields frames in reverse order, in constant memory, but the film is read once for each piece of 200 MB.

        Args:
            times: when each frame is shown, in seconds, as ``shown`` said; those frames are yielded.
        """
        end = len(times)
        size = max(1, _BACKWARDS_BYTES // max(1, next(self.shown()).picture.nbytes))
        while end > 0:
            begin = max(0, end - size)
            piece: list[Shown] = []
            for one in self.shown(times[begin]):
                if len(piece) == end - begin:
                    break
                piece.append(one)
            yield from reversed(piece)
            end = begin


def open_film(path: str | Path | Film) -> Film:
    """Opens a film; one that is open already is returned as it is.

    Raises:
        MediaError: if the file is missing, unreadable, a picture, a sound, or a film in HDR.
    """
    if isinstance(path, Film):
        return path
    path = Path(path)
    if kind_of(path) == PICTURE:
        raise MediaError(f"{path} is a picture and not a film; `stillspeak animate` makes a picture speak.")
    with open_media(path) as container:
        stream = shown_stream(container)
        if stream is None:
            found = "no moving picture in it, only a cover" if container.streams.video else "no picture in it"
            raise MediaError(f"{path} has {found}; give a film.")
        timeline = timeline_of(container)
        rate, count = stream.average_rate or stream.guessed_rate or _FPS, timeline.packet_count(stream)
        has_sound = heard_stream(container) is not None
    if count < 2:  # noqa: PLR2004 - a film has several frames
        raise MediaError(
            f"{path} shows a single picture; save it as a picture, which `stillspeak animate` makes speak."
        )
    zero, colours = _first(path, timeline)
    if colours.transfer in _HDR:
        said = f"{path} is in HDR ({_HDR[colours.transfer]}), whose colours an ordinary film cannot hold"
        raise MediaError(f"{said}; convert it to SDR (BT.709) first.")
    return Film(path, rate if rate > 0 else _FPS, count, colours, has_sound, zero, timeline)


def frame_at(path: str | Path, seconds: float) -> Image:
    """Returns the picture that a film shows at a moment, RGB, uint8 ``(height, width, 3)``.

    Raises:
        MediaError: as ``open_film`` does, or if the film has no such moment.
    """
    film, shown, last = open_film(path), None, 0.0
    if math.isnan(seconds) or seconds < 0:
        raise MediaError(f"A frame is taken at a number of seconds from 0, not at {seconds}.")
    for one in film.shown(max(0.0, seconds - _LONGEST_FRAME_SECONDS)):
        if shown is not None and one.seconds > seconds + 1e-6:
            return shown.picture
        shown, last = one, one.seconds
    if shown is None or seconds > last + float(1 / film.fps) + 1e-6:
        raise MediaError(f"{path} is shorter than {seconds:g} s; take an earlier frame.")
    return shown.picture


def _first(path: Path, timeline: Timeline) -> tuple[float, Colours]:
    """Returns when the first frame is shown, and its colours, or those of the stream where the frame does not say."""
    with open_media(path) as container:
        stream = shown_stream(container)
        assert stream is not None
        first = next(timed(container, stream, timeline), None)
        if first is None:
            raise MediaError(f"{path} holds no frame that can be decoded.")
        seconds, says, context = *first[:2], stream.codec_context
        full = says.format.name.startswith("yuvj") or int(says.color_range) == _FULL_RANGE
        primaries = _said(says.color_primaries, context.color_primaries)
        transfer, matrix = _said(says.color_trc, context.color_trc), _said(says.colorspace, context.colorspace)
        return seconds, Colours(primaries, transfer, matrix, full)


def _said(frame: int, stream: int) -> int:
    return next((int(value) for value in (frame, stream) if int(value) not in (0, _UNKNOWN)), _UNKNOWN)


def steady_rate(times: Sequence[float], fps: Fraction) -> Fraction | None:
    """Returns the one rate of a film, or None if its frames come at varying times.

    Args:
        times: when each frame is shown, in seconds.
        fps: the rate that its file names.
    """
    places = np.asarray(times)
    if len(places) < 2 or places[-1] <= places[0]:  # noqa: PLR2004 - an interval needs two
        return fps
    mean = (len(places) - 1) / float(places[-1] - places[0])
    near = min(_USUAL, key=lambda rate: abs(float(rate) - mean))
    away = {rate: _away(places, rate) for rate in (near, fps, Fraction(mean).limit_denominator(1001))}
    best = min(away, key=lambda rate: round(away[rate], 2))
    return best if away[best] <= _STEADY else None


def _away(places: NDArray[np.float64], rate: Fraction) -> float:
    """Returns how far the frame that is furthest from its place at a rate lies from it, in intervals."""
    return float(np.abs((places - places[0]) * float(rate) - np.arange(len(places))).max())


def index_at(times: Sequence[float], seconds: float) -> int:
    """Returns the number of the frame that is shown at a moment; the first or the last one outside the film."""
    return min(max(0, bisect_left(times, seconds + 1e-6) - 1), len(times) - 1)
