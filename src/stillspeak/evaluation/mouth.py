"""Does the mouth move with the words? Inner-lip opening over time, generated against real. Definitions: architecture.md."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import crop_landmarks, mouth_opening

FURTHEST_SHIFT_FRAMES = 3


@dataclass(frozen=True)
class MouthMatch:
    """How one opening curve follows another: correlation at the best shift, that shift in frames, ratio of the spreads."""

    correlation: float
    shift: int
    spread: float


def opening(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Inner-lip opening of aligned crops in crop pixels, ``(time, 128, 96, 3)`` -> ``(time,)``."""
    return mouth_opening(crop_landmarks(frames))


def match(made: NDArray[np.float32], real: NDArray[np.float32], furthest: int = FURTHEST_SHIFT_FRAMES) -> MouthMatch:
    """Compares two opening curves of about the same length; curves that stand still correlate with nothing (0)."""
    length = min(len(made), len(real))
    made, real = made[:length], real[:length]
    best = max((_correlation(made, real, shift), -abs(shift), shift) for shift in range(-furthest, furthest + 1))
    return MouthMatch(best[0], best[2], float(made.std() / max(float(real.std()), 1e-6)))


def _correlation(made: NDArray[np.float32], real: NDArray[np.float32], shift: int) -> float:
    a = made[max(0, shift) : len(made) + min(0, shift)]
    b = real[max(0, -shift) : len(real) + min(0, -shift)]
    if a.std() < 1e-4 or b.std() < 1e-4:  # noqa: PLR2004 - flat
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
