"""Writes a film that was changed in places: at the film's own times, with its own colours, and elsewhere as it was stored.

Where the film was stored in 8 bits and 4:2:0, as nearly all are, only the changed places are turned from RGB into luma and
chroma; everything else is handed to the encoder to the bit as it was decoded.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from stillspeak.media.film import Colours, Film
from stillspeak.media.provenance import EDITED_SOURCE_TYPE
from stillspeak.media.shown import display_matrix
from stillspeak.media.signing import Signature
from stillspeak.media.soundtrack import Heard
from stillspeak.media.writer import CHROMA_FILTER, VideoWriter, even_sided, to_yuv_matrix

Image = NDArray[np.uint8]
Place = tuple[slice, slice]
_STORED = "yuv420p", "yuvj420p"
_TICKS = Fraction(1, 90_000)  # the clock of a film whose frames come at varying times
# H.273, matrix coefficients: the shares of red and blue in luma. Files that do not say are decoded as BT.601 by FFmpeg.
_KR_KB = {1: (0.2126, 0.0722), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_KR_KB_601 = (0.299, 0.114)


class Made(NamedTuple):
    """Holds a frame of a changed film.

    Attributes:
        seconds: when it is shown.
        picture: RGB, uint8 ``(height, width, 3)``.
        stored: the filmed frame, as its file stores it.
        changed: the rows and columns outside which the picture is as filmed.
    """

    seconds: float
    picture: Image
    stored: av.VideoFrame
    changed: list[Place]


class FilmWriter(VideoWriter):
    """Writes the frames of a changed film to a file that says that it was edited.

    Args:
        path: the file to write; its suffix names the container.
        film: the film that was changed.
        fps: its one rate; None if its frames come at varying times.
        sound: the new sound.
        signature: the key that signs the file (C2PA), with the film as its ingredient; None for no signature.

    Raises:
        OutputError: as ``VideoWriter`` does.
    """

    _source_type = EDITED_SOURCE_TYPE

    def __init__(
        self,
        path: str | Path,
        film: Film,
        fps: Fraction | None,
        sound: Heard | None,
        signature: Signature | None = None,
    ) -> None:
        super().__init__(path, fps or film.fps, sound, signature=signature)
        self._edited, self._colours, self._varies = film.path, film.colours, fps is None
        self._given: dict[int, tuple[float, av.VideoFrame, Sequence[Place]]] = {}
        self._interval = float(1 / (fps or film.fps))
        self._ends = 0.0

    def write_changed(self, picture: Image, seconds: float, stored: av.VideoFrame, changed: Sequence[Place]) -> None:
        """Appends a frame.

        Args:
            picture: RGB, uint8 ``(height, width, 3)``.
            seconds: when it is shown.
            stored: the filmed frame, as its file stores it.
            changed: the rows and columns outside which the picture is as filmed.
        """
        self._given[self.frames] = seconds, stored, changed
        self.write(picture)

    def write_all(self, frames: Iterable[Made], tell: Callable[[int], None] | None = None) -> None:
        """Appends frames; ``tell`` is called after each with the number of frames written."""
        for number, made in enumerate(frames, 1):
            self.write_changed(made.picture, made.seconds, made.stored, made.changed)
            if tell is not None:
                tell(number)

    def _end_seconds(self, number: int) -> float:
        return self._ends if self._varies else super()._end_seconds(number)

    def _tag(self, context: Any, large: bool) -> None:
        colours = self._colours
        context.color_primaries, context.color_trc, context.colorspace = colours[:3]
        context.color_range = ColorRange.JPEG if colours.full_range else ColorRange.MPEG
        if self._varies:
            context.time_base = _TICKS

    def _picture(self, frame: Image, number: int) -> av.VideoFrame:
        assert self._video is not None
        seconds, stored, changed = self._given.pop(number)
        height, width = self._video.height, self._video.width
        frame = even_sided(frame, height, width)
        alike = stored.format.name in _STORED and (stored.width, stored.height) == (width, height)
        if alike and display_matrix(stored) is None:
            made = _copied(stored)
            for rows, columns in changed:
                _put(made, frame, rows, columns, self._colours)
        else:
            made = av.VideoFrame(width, height, "yuv420p")
            _put(made, frame, slice(0, height), slice(0, width), self._colours)
        made.pts, made.time_base = number, 1 / self.fps
        if self._varies:
            made.pts, made.time_base = round(seconds / _TICKS), _TICKS
            self._ends = seconds + self._interval
        return made


def _copied(stored: av.VideoFrame) -> av.VideoFrame:
    """Returns a frame of its own with the luma and chroma of a decoded one."""
    made = av.VideoFrame(stored.width, stored.height, "yuv420p")
    for to, source in zip(made.planes, stored.planes, strict=True):
        _rows(to)[:] = _rows(source)
    return made


def _rows(plane: Any) -> Image:
    """Returns the values of a plane, which can be written to."""
    return np.asarray(memoryview(plane)).view(np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def _put(made: av.VideoFrame, picture: Image, rows: slice, columns: slice, colours: Colours) -> None:
    """Turns a place of a picture, widened to even edges, into luma and chroma, and puts it into a frame."""
    top, left = rows.start // 2 * 2, columns.start // 2 * 2
    bottom, right = (
        min(picture.shape[0], rows.stop + rows.stop % 2),
        min(picture.shape[1], columns.stop + columns.stop % 2),
    )
    planes = _planes(picture[top:bottom, left:right], colours)
    for plane, values, by in zip(made.planes, planes, (1, 2, 2), strict=True):
        _rows(plane)[top // by : bottom // by, left // by : right // by] = values


def _planes(picture: Image, colours: Colours) -> list[Image]:
    matrix = to_yuv_matrix(*_KR_KB.get(colours.matrix, _KR_KB_601))
    if colours.full_range:
        matrix[0] *= 255 / 219
        matrix[1:] *= 255 / 224
        matrix[:, 3] = 0, 128, 128
    luma, blue, red = cv2.split(cv2.transform(np.ascontiguousarray(picture), matrix))
    small = (cv2.filter2D(plane, -1, CHROMA_FILTER, anchor=(1, 0))[::2, ::2] for plane in (blue, red))
    return [np.asarray(plane, np.uint8) for plane in (luma, *small)]


def whole_place(picture: Image) -> Place:
    """Returns all rows and columns of a picture, ``(height, width, 3)``."""
    return slice(0, picture.shape[0]), slice(0, picture.shape[1])
