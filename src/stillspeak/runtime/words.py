"""Turns speech into what the model needs for each of its frames, so that each can be drawn onto a still of its own. Ours.

The model remembers what it heard before. That memory depends on the sound alone, so it is computed first, and frames can then be
drawn in any order and by several threads.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.loudness import Loudness, LoudnessState
from stillspeak.runtime.engine import Engine, Memory
from stillspeak.runtime.ramp import ramp

Float = NDArray[np.float32]
_RETURN_SECONDS = 0.32  # ours: in this time after the speech the dubbed mouth becomes the filmed one
_SILENT = 0.002  # of 1: speech whose loudest sample is below this, -54 dB, is silence
_ROUNDING_SECONDS = 1e-6
_CHUNK = 25  # windows that are raised at once


class Tick(NamedTuple):
    """Holds what the model hears for one of its frames.

    Attributes:
        window: ``(1, samples)``.
        noise: ``(1, noise size)``.
        memory: what it remembers of the sound before.
        share: how much of the frame is shown: 1 while speech lasts, falling to 0 after it.
        over: whether the speech has ended.
    """

    window: Float
    noise: Float
    memory: Memory
    share: float
    over: bool


class Words:
    """Reads one person's speech frame by frame of the model, and a third of a second of silence after it.

    Args:
        engine: the model.
        pieces: the samples at the model's rate, ``(n,)`` each.
        seed: the seed of the noise.
    """

    def __init__(self, engine: Engine, pieces: Iterator[Float], seed: int) -> None:
        self._engine, self._seed = engine, seed
        self._identity = engine.identify(np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8))
        self._ticks, self._number = self._all(pieces), -1
        self._seconds, self._loudest = math.inf, 0.0
        self._now: Tick | None = None

    @property
    def silent(self) -> bool:
        """Returns whether nothing could be heard so far."""
        return self._loudest < _SILENT

    def at(self, number: int) -> Tick | None:
        """Returns what is heard at the model's frame ``number``, which must not decrease; None after the end."""
        while self._number < number:
            self._now = next(self._ticks, None)
            self._number += 1
            if self._now is None:
                self._number = number
        return self._now

    def _all(self, pieces: Iterator[Float]) -> Iterator[Tick]:
        memory = self._engine.begin()
        for number, window in enumerate(self._windows(pieces)):
            noise = self._engine.noise(self._seed, number, 1)
            after = number / self._engine.description.fps - self._seconds
            share = float(1 - ramp(max(0.0, after), 0.0, _RETURN_SECONDS))
            yield Tick(window[None], noise, memory, share, after > -_ROUNDING_SECONDS)
            memory = self._engine.listen(self._identity, window[None], noise, memory)

    def _windows(self, pieces: Iterator[Float]) -> Iterator[Float]:
        """Yields the windows of all frames, raised to the level of ordinary speech."""
        windows, loudness = self._engine.windows, Loudness(self._engine.windows)
        state, heard = LoudnessState(), windows.begin()
        for piece in self._padded(pieces):
            heard, cut = windows.push(heard, piece)
            for begin in range(0, len(cut), _CHUNK):
                state, raised = loudness.raised(state, cut[begin : begin + _CHUNK])
                yield from raised
        _, cut = windows.flush(heard)
        yield from loudness.raised(state, cut)[1] if len(cut) else ()

    def _padded(self, pieces: Iterator[Float]) -> Iterator[Float]:
        rate_hz, samples = self._engine.description.rate_hz, 0
        for piece in pieces:
            samples += len(piece)
            self._loudest = max(self._loudest, float(np.abs(piece).max(initial=0)))
            yield piece
        self._seconds = samples / rate_hz
        yield np.zeros(round(_RETURN_SECONDS * rate_hz), np.float32)
