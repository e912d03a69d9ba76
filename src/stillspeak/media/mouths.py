"""Cuts the grey mouth out of aligned crops, as the lip reader and the sync scorer see it."""

import cv2
import numpy as np
from numpy.typing import NDArray

MOUTH_PX = 48
WINDOW_FRAMES = 5  # the sync scorer sees so many frames at once: 0.2 s, as SyncNet does
TOP_PX, LEFT_PX = 74, 25  # ours: lips, chin and the nose's base of a canonical face (media/faces.py)
# The window of the crop that a model may draw at a larger resolution; ours. All are even, for it is cut at half size too.
WINDOW_TOP_PX, WINDOW_LEFT_PX, WINDOW_PX = 74, 24, 48
FINE = 3  # how much larger: a real mouth keeps 0.81 of its detail at 288 x 384, and 0.32 at 96 x 128


def grey_faces(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the luma of crops, ``(time, 128, 96, 3)`` -> ``(time, 128, 96)``."""
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.stack(grey).astype(np.uint8)


def mouths(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns the grey mouths of aligned crops in [-1, 1]: ``(time, 128, 96, 3)`` -> ``(time, 48, 48)``."""
    rows, columns = slice(TOP_PX, TOP_PX + MOUTH_PX), slice(LEFT_PX, LEFT_PX + MOUTH_PX)
    return normal(grey_faces(frames[:, rows, columns]))


def normal(pixels: NDArray[np.uint8] | NDArray[np.floating]) -> NDArray[np.float32]:
    """Returns grey pixels without the mean and spread of the clip, so that light does not matter."""
    values = pixels.astype(np.float32)
    return ((values - values.mean()) / (2.5 * values.std() + 1.0)).astype(np.float32)
