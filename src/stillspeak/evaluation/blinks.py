"""Counts blinks, and measures how long they are. Paper, section 4.4 (figure 7).

It uses the eye aspect ratio of Soukupova and Cech 2016, relative to the clip's own open eyes: at 96 x 128 the fixed threshold of
the original, 0.2, is below the closed eyes of some people and above the open eyes of others.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from stillspeak.data.landmarks import eyes_lowered

DEPTH = 0.25  # ours: a blink closes the eye by at least a quarter of its opening
_LONGEST_SECONDS = 0.6  # eyes that close for longer do not blink: they stay closed or look down
_NEIGHBOURHOOD_SECONDS = 1.2  # a blink stands out within this time


class Blinks(NamedTuple):
    """Holds the blinks of a clip: ``rate`` a second, and the mean length in seconds at half depth (nan without a blink)."""

    rate: float
    seconds: float


def blinks(ratio: NDArray[np.float32], fps: float) -> Blinks:
    """Finds blinks in a curve of the eye aspect ratio, ``(time,)`` at ``fps`` frames a second."""
    closing = eyes_lowered(ratio)
    limits = (1, _LONGEST_SECONDS * fps)
    neighbourhood = 2 * int(_NEIGHBOURHOOD_SECONDS * fps / 2) + 1
    found, shape = find_peaks(closing, prominence=DEPTH, width=limits, wlen=neighbourhood)
    seconds = float(np.mean(shape["widths"]) / fps) if len(found) else float("nan")
    return Blinks(len(found) * fps / max(len(ratio), 1), seconds)
