"""Computes a smooth step, with which masks and weights begin and end."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def ramp(values: NDArray[np.floating] | float, start: float, end: float) -> Float:
    """Rises smoothly from 0 at ``start`` to 1 at ``end``, and stays 0 before and 1 after; same shape as ``values``."""
    t = np.clip((values - start) / (end - start), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
