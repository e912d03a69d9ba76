"""Turns a decoded frame into what players show: turned, mirrored and with square pixels. It does not deinterlace."""

from fractions import Fraction

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

_MOST_STRETCHED = 8  # ours: if a file says that a pixel is longer than this, the figure is ignored

Picture = NDArray[np.uint8]


class Screen:
    """Shows the frames of one film, all at the size of the first one."""

    def __init__(self) -> None:
        self._to_rgb = VideoReformatter()  # serves all frames, for making one takes five times as long as using it
        self._size: tuple[int, int] | None = None

    def show(self, frame: av.VideoFrame, pixel: Fraction | None) -> Picture:
        """Returns a frame as uint8 RGB ``(height, width, 3)``. A frame of another shape is shown whole, between black bars.

        Args:
            frame: the decoded frame.
            pixel: a pixel's width divided by its height; None if unknown.

        Raises:
            av.error.FFmpegError: if the frame is too damaged to be shown.
        """
        width, height = square_size(frame.width, frame.height, pixel)
        try:
            rgb = self._rgb(frame, width, height)
        except av.error.FFmpegError:  # the rule of the colours is unknown, so it takes the usual one, as players do
            frame.colorspace = Colorspace.ITU601
            rgb = self._rgb(frame, width, height)
        picture = turned(np.asarray(rgb.to_ndarray(), np.uint8), display_matrix(frame))
        self._size = self._size or picture.shape[:2]
        return picture if picture.shape[:2] == self._size else _between_bars(picture, *self._size)

    def _rgb(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        if (width, height) == (frame.width, frame.height):
            return self._to_rgb.reformat(frame, format="rgb24", threads=1)
        how = Interpolation.BICUBIC
        return self._to_rgb.reformat(frame, width, height, format="rgb24", interpolation=how, threads=1)


def square_size(width: int, height: int, pixel: Fraction | None) -> tuple[int, int]:
    """Returns the width and height of a picture with square pixels. One side grows, so that no detail is lost.

    HTML does the same: html.spec.whatwg.org, "natural dimensions of the media resource".

    Args:
        width: the width of the stored picture in pixels.
        height: the height of the stored picture in pixels.
        pixel: a pixel's width divided by its height; None if unknown.
    """
    if not pixel or not Fraction(1, _MOST_STRETCHED) <= pixel <= _MOST_STRETCHED:
        return width, height
    return (round(width * pixel), height) if pixel >= 1 else (width, round(height / pixel))


def turned(picture: Picture, matrix: NDArray[np.int32] | None) -> Picture:
    """Turns a picture by quarters and mirrors it, as a display matrix says.

    Args:
        picture: ``(height, width, 3)``.
        matrix: a display matrix as FFmpeg gives it, ``(3, 3)``: its upper left corner takes (x, y) to (x, y) @ corner. Other
            angles are rounded to a quarter turn.
    """
    if matrix is None:
        return picture
    across, down = matrix[0, :2], matrix[1, :2]  # where x and y go
    if abs(int(across[1])) + abs(int(down[0])) > abs(int(across[0])) + abs(int(down[1])):
        picture, across, down = picture.transpose(1, 0, 2), down, across
    picture = picture[:: -1 if down[1] < 0 else 1, :: -1 if across[0] < 0 else 1]
    return np.ascontiguousarray(picture)


def display_matrix(frame: av.VideoFrame) -> NDArray[np.int32] | None:
    """Returns how a frame is turned and mirrored when it is shown, ``(3, 3)``; None if it is shown as it is stored."""
    try:
        data = frame.side_data["DISPLAYMATRIX"]  # type: ignore[typeddict-item] - any type of side data is a key
    except KeyError:
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)


def _between_bars(picture: Picture, height: int, width: int) -> Picture:
    """Scales a picture to fit into a size without changing its shape, and fills the rest with black."""
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, min(width, round(picture.shape[1] * scale))), max(1, min(height, round(picture.shape[0] * scale)))
    fitting = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    shown = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    shown[top : top + size[1], left : left + size[0]] = fitting
    return shown
