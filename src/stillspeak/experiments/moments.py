"""Finds the moments and the words that the figures show, so that nobody chooses them by hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import mouth_opening
from stillspeak.data.manifest import ClipRecord, Word
from stillspeak.evaluation.evaluate import FPS, clip_sound
from stillspeak.media.audio import Sound
from stillspeak.media.video import read_video

Frames = NDArray[np.uint8]
STRIP = 6  # figures 7 and 8 show so many consecutive frames
_PAPERS_WORDS = (("bin", "blue"), ("white", ""))  # figure 5: a word, and the one that follows it if that matters
_LEAST_LETTERS = 3  # shorter words are letters and articles
_BROWS, _EYES = slice(17, 27), slice(36, 48)  # among the 68 points


@dataclass(frozen=True)
class Clip:
    """Holds a real clip, and reads its parts when they are asked for."""

    data: Path
    record: ClipRecord

    @property
    def name(self) -> str:
        """Returns the names of speaker and clip."""
        return f"{self.record.speaker}/{self.record.clip}"

    @cached_property
    def real(self) -> Frames:
        """Returns the real frames, ``(time, 128, 96, 3)``."""
        return read_video(self.data / self.record.path)

    @cached_property
    def sound(self) -> Sound:
        """Returns the sound of the clip."""
        return clip_sound(self.data, self.record)

    @cached_property
    def opening(self) -> NDArray[np.float32]:
        """Returns the opening of the real mouth in crop pixels, ``(time,)``."""
        return mouth_opening(self.record.points())


class Moment(NamedTuple):
    """Holds frames of several videos around the same moment, the height of the curve there (``by``), and clip and time."""

    by: float
    rows: list[tuple[str, list[Frames]]]
    where: str


def further(
    before: Moment | None, curve: NDArray[np.floating], made: Mapping[str, Frames], clip: Clip
) -> Moment | None:
    """Returns the moment at which a curve is highest, or the moment found before if that was higher."""
    at = int(curve.argmax())
    if not np.isfinite(curve[at]) or (before is not None and curve[at] <= before.by):
        return before
    rows = [(name, around(frames[: len(curve)], at, 1)) for name, frames in made.items()]
    return Moment(float(curve[at]), rows, f"{clip.name}, {at / FPS:.2f} s")


def around(frames: Frames, at: int, step: int = 2) -> list[Frames]:
    """Returns ``STRIP`` frames around a moment."""
    first = at - step * (STRIP // 2 - 1)
    return [frames[k] for k in np.clip(np.arange(STRIP) * step + first, 0, len(frames) - 1)]


def brow_height(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how far brows are above the eyes, ``(time, 68, 2)`` -> ``(time,)`` in pixels."""
    return points[:, _EYES, 1].mean(axis=1) - points[:, _BROWS, 1].mean(axis=1)


def of_several_speakers(clips: Sequence[Clip], most: int) -> list[Clip]:
    """Returns at most ``most`` clips of as many speakers as possible."""
    first = {clip.record.speaker: clip for clip in reversed(clips)}
    return [*first.values(), *(clip for clip in clips if clip not in first.values())][:most]


def two_words(clips: Sequence[Clip]) -> list[tuple[Clip, Word]]:
    """Returns two words to show: the paper's if the clips say them, else the longest."""
    spoken = [
        (clip, word, after)
        for clip in clips
        for word, after in pairwise([*clip.record.words, Word(0, 0, "")])
        if len(word.word) >= _LEAST_LETTERS and word.word != "sil"
    ]
    found = []
    for text, follower in _PAPERS_WORDS:
        said = (s for s in spoken if s[1].word == text and follower in ("", s[2].word))
        if one := next(said, None):
            found.append(one[:2])
    longest = sorted(spoken, key=lambda one: one[1].start - one[1].end)
    for clip, word, _ in longest:
        if word.word not in {other.word for _, other in found}:
            found.append((clip, word))
    return found[:2]
