"""Places the mouth's window, which has three times the crop's resolution, in a photo, and fades its edge. Ours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.mouths import FINE, WINDOW_LEFT_PX, WINDOW_PX, WINDOW_TOP_PX
from stillspeak.runtime.ramp import ramp

Float = NDArray[np.float32]
_FADES_PX = 6.0  # ours: the window fades in over so many pixels of the crop from its edge
_SIDE = FINE * WINDOW_PX
# From pixels of the crop to pixels of the window: the middle of a pixel of the crop is the middle of three of the window.
_TO_WINDOW = np.array([
    [FINE, 0, (FINE - 1) / 2 - FINE * WINDOW_LEFT_PX], [0, FINE, (FINE - 1) / 2 - FINE * WINDOW_TOP_PX], [0, 0, 1.0]
])  # fmt: skip


class MouthWindow:
    """Finds the part of an image that the mouth's window covers.

    Attributes:
        place: the rows and columns of this part in the image.
        weight: how much of the window is shown, ``(height, width, 1)``: 1 in the middle, 0 at the edge.

    Args:
        to_crop: the affine map from pixels of the image to pixels of the aligned crop, ``(2, 3)``.
        size: width and height of the image.
    """

    def __init__(self, to_crop: NDArray[np.float64], size: tuple[int, int]) -> None:
        to_window = _TO_WINDOW @ np.vstack([to_crop, [0.0, 0.0, 1.0]])
        corners = np.array([[x, y, 1.0] for x in (0, _SIDE) for y in (0, _SIDE)])
        points = (corners @ np.linalg.inv(to_window).T)[:, :2]
        left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, size)
        right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, size)
        self.place = slice(top, bottom), slice(left, right)
        self._size = int(right - left), int(bottom - top)
        self._to_window = to_window[:2] @ np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
        self.weight = self.enlarged(_faded()[..., None]).clip(0, 1)

    def enlarged(self, field: Float) -> Float:
        """Returns the values of the window at the place's pixels, ``(height, width, channels)``; 0 outside the window."""
        shape = self._size[1], self._size[0], field.shape[2]
        if 0 in shape:
            return np.zeros(shape, np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(field, self._to_window, self._size, flags=how), np.float32).reshape(shape)


def _faded() -> Float:
    """Returns weights ``(144, 144)`` that are 1 in the middle of the window and fall smoothly to 0 at its edge."""
    inside = np.minimum(np.arange(_SIDE), np.arange(_SIDE)[::-1]) / (FINE * _FADES_PX)
    return ramp(np.minimum(inside[:, None], inside), 0, 1)
