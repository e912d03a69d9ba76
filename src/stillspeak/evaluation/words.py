"""Measures whether lips show the words, by the word error rate (WER) of our own lip reader. Paper, section 4.2.

The reader (judges/lipreader.py) gives a probability of each word in each frame; the GRID grammar makes a sentence of them.
Its own error on real clips stands beside every figure, since no reader is perfect.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.mouths import mouths
from stillspeak.runtime.judge import JudgeModel

# A sentence of GRID has a command, a colour, a preposition, a letter, a digit and an adverb (Cooke et al. 2006).
GRID_GRAMMAR: tuple[tuple[str, ...], ...] = (
    ("bin", "lay", "place", "set"),
    ("blue", "green", "red", "white"),
    ("at", "by", "in", "with"),
    tuple("abcdefghijklmnopqrstuvxyz"),
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "now", "please", "soon"),
)
GRID_WORDS: tuple[str, ...] = tuple(word for slot in GRID_GRAMMAR for word in slot)
BLANK = 0


class LipReader:
    """Reads words off the mouths of aligned crops.

    Args:
        model: the folder of an exported lip reader, or the shipped one by default.

    Raises:
        ModelError: if there is no such lip reader.
    """

    def __init__(self, model: str | Path = "lipreader") -> None:
        self.model = JudgeModel(model, ("reader",))

    def log_probabilities(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the log-probabilities of words, ``(time, 128, 96, 3)`` -> ``(time, 1 + words)``; class 0 is the blank."""
        return self.model.run("reader", {"mouths": mouths(frames)[None]})[0]

    def read(self, frames: NDArray[np.uint8]) -> list[str]:
        """Reads the sentence of GRID's grammar that the frames most likely show."""
        return decode(self.log_probabilities(frames), GRID_GRAMMAR, GRID_WORDS)


def decode(
    log_probabilities: NDArray[np.float32], grammar: tuple[tuple[str, ...], ...], words: tuple[str, ...]
) -> list[str]:
    """Finds the likeliest path of CTC that says one word of each slot, in order, by Viterbi over blanks and words.

    Args:
        log_probabilities: ``(time, 1 + len(words))``; class 0 is the blank.
        grammar: the words of each slot.
        words: the words of classes 1, 2, ...

    Raises:
        ValueError: if there are fewer frames than slots.
    """
    time, slots = len(log_probabilities), len(grammar)
    if time < slots:
        raise ValueError(f"{time} frames cannot hold {slots} words.")
    classes = [np.array([1 + words.index(word) for word in slot]) for slot in grammar]
    blank = np.full(slots + 1, -np.inf)
    blank[0] = 0.0
    nothing: list[list[int]] = [[] for _ in range(slots + 1)]
    paths = _Paths(blank, nothing, [np.full(len(s), -np.inf) for s in grammar], [[[] for _ in s] for s in grammar])
    for scores in log_probabilities.astype(np.float64):
        paths = _longer(paths, scores, classes)
    best = int(paths.spoken[-1].argmax())
    ends_blank = paths.blank[-1] >= paths.spoken[-1][best]
    said = paths.blank_said[-1] if ends_blank else paths.spoken_said[-1][best]
    return [grammar[slot][word] for slot, word in enumerate(said)]


class _Paths(NamedTuple):
    """Holds the likeliest paths so far.

    Attributes:
        blank: the best score that ends in the blank after k words, ``(1 + slots,)``.
        blank_said: the words of that path.
        spoken: the best score that ends in each word of a slot.
        spoken_said: the words of that path, with that word.
    """

    blank: NDArray[np.float64]
    blank_said: list[list[int]]
    spoken: list[NDArray[np.float64]]
    spoken_said: list[list[list[int]]]


def _longer(last: _Paths, scores: NDArray[np.float64], classes: list[NDArray[np.int64]]) -> _Paths:
    """Extends the paths by one frame with the log-probabilities ``scores``; ``classes`` are those of each slot's words."""
    blank, blank_said = last.blank.copy(), list(last.blank_said)
    spoken, spoken_said = list(last.spoken), list(last.spoken_said)
    for k in range(len(classes) + 1):
        best = int(last.spoken[k - 1].argmax()) if k else 0
        if k and last.spoken[k - 1][best] > last.blank[k]:
            blank[k], blank_said[k] = last.spoken[k - 1][best], last.spoken_said[k - 1][best]
        blank[k] += scores[BLANK]
    for k in range(len(classes)):
        entry, said = last.blank[k], last.blank_said[k]
        if k and last.spoken[k - 1].max() > entry:
            best = int(last.spoken[k - 1].argmax())
            entry, said = last.spoken[k - 1][best], last.spoken_said[k - 1][best]
        stays = last.spoken[k] >= entry
        spoken[k] = np.where(stays, last.spoken[k], entry) + scores[classes[k]]
        spoken_said[k] = [
            last.spoken_said[k][word] if stay else [*said, word] for word, stay in enumerate(stays.tolist())
        ]
    return _Paths(blank, blank_said, spoken, spoken_said)


def word_errors(read: list[str], said: list[str]) -> int:
    """Counts the substitutions, insertions and deletions that turn ``said`` into ``read`` (Levenshtein 1966)."""
    row = list(range(len(said) + 1))
    for i, word in enumerate(read, 1):
        above, row[0] = row[0], i
        for j, truth in enumerate(said, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != truth))
    return row[-1]


def wer(read: list[str], said: list[str]) -> float:
    """Returns the word error rate: errors divided by the number of words said. Raises ValueError if nothing was said."""
    if not said:
        raise ValueError("Nothing was said: a word error rate needs words.")
    return word_errors(read, said) / len(said)
