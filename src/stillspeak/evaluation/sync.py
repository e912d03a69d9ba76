"""Measures offset and confidence of mouth and sound, after SyncNet (Chung and Zisserman 2016).

It compares embeddings of mouth and sound over shifts of +-15 frames. The offset is the shift with the least mean distance; the
confidence is the median of the mean distances less the least (architecture.md, metrics).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.audio import Sound
from stillspeak.media.mouths import WINDOW_FRAMES, mouths
from stillspeak.media.spectrum import HOP, RATE_HZ, WINDOW_STEPS, log_mel
from stillspeak.runtime.judge import JudgeModel

FURTHEST_FRAMES = 15
_LEAST_COMPARED = 15  # ours: at least so many windows judge every shift, so a short clip is compared over fewer shifts
LEAST_CONFIDENCE = 0.05  # ours: below it nothing moves with the sound, and the offset means nothing


class SyncMatch(NamedTuple):
    """Holds the ``offset`` in frames, positive if the sound comes late, and the ``confidence`` in embedding distance."""

    offset: int
    confidence: float


class SyncScorer:
    """Scores aligned crops against sound.

    Args:
        model: the folder of an exported sync scorer, or the shipped one by default.

    Raises:
        ModelError: if there is no such sync scorer.
    """

    def __init__(self, model: str | Path = "sync") -> None:
        self.model = JudgeModel(model, ("mouth", "sound"))

    def embed(
        self, frames: NDArray[np.uint8], sound: Sound, fps: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeds every 5 frames, and the sound that belongs to them; returns two arrays ``(time - 4, size)``."""
        looks = self.model.run("mouth", {"mouths": mouth_windows(mouths(frames))})
        heard = self.model.run(
            "sound", {"spectrum": sound_windows(log_mel(sound.at(RATE_HZ).samples), len(looks), fps)}
        )
        return looks, heard

    def match(self, frames: NDArray[np.uint8], sound: Sound, fps: float = 25.0) -> SyncMatch:
        """Measures offset and confidence of a clip of at least 5 frames: crops ``(time, 128, 96, 3)`` and their sound."""
        return offset_of(*self.embed(frames, sound, fps))


def mouth_windows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns every 5 frames in a row, ``(time, 48, 48)`` -> ``(time - 4, 5, 48, 48)``. Raises ValueError if there are fewer."""
    if len(values) < WINDOW_FRAMES:
        raise ValueError(f"{len(values)} frames are too few to judge timing; {WINDOW_FRAMES} are needed.")
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW_FRAMES, axis=0)
    return np.ascontiguousarray(np.moveaxis(windows, -1, 1))


def sound_windows(spectrum: NDArray[np.float32], count: int, fps: float) -> NDArray[np.float32]:
    """Returns the 0.2 s of sound under each 5 frames: ``(steps, 40)`` -> ``(count, 40, 20)``; past the end it is silent."""
    starts = np.round(np.arange(count) * RATE_HZ / HOP / fps).astype(int)
    missing = int(starts[-1]) + WINDOW_STEPS - len(spectrum)
    if missing > 0:
        spectrum = np.concatenate([spectrum, np.repeat(spectrum.min(axis=0, keepdims=True), missing, axis=0)])
    return np.ascontiguousarray(spectrum[starts[:, None] + np.arange(WINDOW_STEPS)].transpose(0, 2, 1))


def offset_of(looks: NDArray[np.float32], heard: NDArray[np.float32], furthest: int = FURTHEST_FRAMES) -> SyncMatch:
    """Finds the shift that brings the embeddings ``(time, size)`` of mouth and sound together best.

    The same frames of the mouth, those in the middle, judge every shift, so that silence at the ends favours none.
    """
    time = len(looks)
    furthest = max(0, min(furthest, (time - _LEAST_COMPARED) // 2))
    shifts = np.arange(-furthest, furthest + 1)
    mouth = looks[furthest : time - furthest]
    means = [np.linalg.norm(mouth - heard[furthest + s : time - furthest + s], axis=1).mean() for s in shifts.tolist()]
    least = int(np.argmin(means))
    return SyncMatch(int(shifts[least]), float(np.median(means) - means[least]))
