"""Measures how the mouth follows the speech, by the opening over time, and whether it rests in silence.

architecture.md, alignment, defines the opening (68 points). Motion in silence is the paper's figure 8 as a number (ours).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import crop_landmarks, mouth_opening

FURTHEST_SHIFT_FRAMES = 3
_SILENCE_SHARE, _SILENCE_DB, _SPEECH_RANGE_DB = 0.25, -55.0, 15.0  # ours
_SILENCE_MARGIN_FRAMES = 2


@dataclass(frozen=True)
class MouthMatch:
    """Holds how one opening curve follows another: the correlation at the best shift, that shift in frames, the spread."""

    correlation: float
    shift: int
    spread: float


def opening(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measures the opening of the inner lips in aligned crops, in crop pixels, ``(time, 128, 96, 3)`` -> ``(time,)``."""
    return mouth_opening(crop_landmarks(frames))


def match(made: NDArray[np.float32], real: NDArray[np.float32], furthest: int = FURTHEST_SHIFT_FRAMES) -> MouthMatch:
    """Compares two opening curves of about the same length; a curve that stands still has the correlation 0."""
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


def silent_frames(samples: NDArray[np.float32], rate_hz: int, fps: float, frames: int) -> NDArray[np.bool_]:
    """Finds the frames that have silence all around them.

    Sound is silent if it lies in the lowest quarter, in decibels, between the clip's background and its loud parts. If these two
    hardly differ, the whole clip is silent if it is faint, and nothing of it if it is not.

    Args:
        samples: the sound, float32 ``(n,)``.
        rate_hz: the sample rate.
        fps: frames a second.
        frames: the number of frames.

    Returns:
        bool ``(frames,)``: whether the 0.2 s around a frame are silent.
    """
    edges = np.minimum((np.arange(frames + 1) * rate_hz / fps).round().astype(int), len(samples))
    power = np.array([np.mean(samples[a:b] ** 2) if b > a else 0.0 for a, b in pairwise(edges)])
    level = 10 * np.log10(power + 1e-10)
    background, loud = np.quantile(level, [0.05, 0.95])
    limit = background + _SILENCE_SHARE * (loud - background) if loud - background > _SPEECH_RANGE_DB else _SILENCE_DB
    padded = np.pad(level < max(limit, _SILENCE_DB), _SILENCE_MARGIN_FRAMES, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _SILENCE_MARGIN_FRAMES + 1)
    return np.asarray(windows.all(axis=1))


def silence_motion(opened: NDArray[np.float32], silent: NDArray[np.bool_]) -> float:
    """Returns how much the mouth moves in silence: the mean absolute change of the opening in pixels a frame.

    It is the paper's figure 8 as a number. It is nan if there is no silence of two frames.
    """
    both = silent[1:] & silent[:-1]
    return float(np.abs(np.diff(opened))[both].mean()) if both.any() else float("nan")
