"""Do mouth and sound belong together, and when? Offset and confidence after SyncNet (Chung and Zisserman 2016).

Distances of mouth and sound embeddings over shifts of +-15 frames: the offset is the shift of the least mean distance, the
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
_LEAST_COMPARED = 15  # ours: windows that every shift is judged by; a short clip is looked at over fewer shifts
LEAST_CONFIDENCE = 0.05  # ours: below it nothing moves with the sound, and an offset means nothing


class SyncMatch(NamedTuple):
    """``offset`` in frames, positive where the sound comes late; ``confidence`` in embedding distance."""

    offset: int
    confidence: float


class SyncScorer:
    """Scores aligned crops against sound.

    Args:
        model: the folder of an exported sync scorer, or the shipped one by default.

    Raises:
        ModelError: if there is none.
    """

    def __init__(self, model: str | Path = "sync") -> None:
        self.model = JudgeModel(model, ("mouth", "sound"))

    def embed(
        self, frames: NDArray[np.uint8], sound: Sound, fps: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embeddings of every 5 frames and of the sound they should go with, two of ``(time - 4, size)``."""
        looks = self.model.run("mouth", {"mouths": mouth_windows(mouths(frames))})
        heard = self.model.run(
            "sound", {"spectrum": sound_windows(log_mel(sound.at(RATE_HZ).samples), len(looks), fps)}
        )
        return looks, heard

    def match(self, frames: NDArray[np.uint8], sound: Sound, fps: float = 25.0) -> SyncMatch:
        """Offset and confidence of a clip of at least 5 frames: crops ``(time, 128, 96, 3)`` and its sound."""
        return offset_of(*self.embed(frames, sound, fps))


def mouth_windows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every 5 frames in a row: ``(time, 48, 48)`` -> ``(time - 4, 5, 48, 48)``. A clip of fewer raises ValueError."""
    if len(values) < WINDOW_FRAMES:
        raise ValueError(f"{len(values)} frames are too few to judge timing; {WINDOW_FRAMES} are needed.")
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW_FRAMES, axis=0)
    return np.ascontiguousarray(np.moveaxis(windows, -1, 1))


def sound_windows(spectrum: NDArray[np.float32], count: int, fps: float) -> NDArray[np.float32]:
    """The 0.2 s of sound under each 5 frames: ``(steps, 40)`` -> ``(count, 40, 20)``; past the end it is silence."""
    starts = np.round(np.arange(count) * RATE_HZ / HOP / fps).astype(int)
    missing = int(starts[-1]) + WINDOW_STEPS - len(spectrum)
    if missing > 0:
        spectrum = np.concatenate([spectrum, np.repeat(spectrum.min(axis=0, keepdims=True), missing, axis=0)])
    return np.ascontiguousarray(spectrum[starts[:, None] + np.arange(WINDOW_STEPS)].transpose(0, 2, 1))


def offset_of(looks: NDArray[np.float32], heard: NDArray[np.float32], furthest: int = FURTHEST_FRAMES) -> SyncMatch:
    """The shift that brings the embeddings ``(time, size)`` of mouth and sound together best.

    Every shift is judged by the same frames of the mouth, those in the middle, so that silence at the ends favours none.
    """
    time = len(looks)
    furthest = max(0, min(furthest, (time - _LEAST_COMPARED) // 2))
    shifts = np.arange(-furthest, furthest + 1)
    mouth = looks[furthest : time - furthest]
    means = [np.linalg.norm(mouth - heard[furthest + s : time - furthest + s], axis=1).mean() for s in shifts.tolist()]
    least = int(np.argmin(means))
    return SyncMatch(int(shifts[least]), float(np.median(means) - means[least]))
