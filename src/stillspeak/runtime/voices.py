"""Reads one voice or several, all in step, a second at a time at the model's rate, in constant memory."""

from collections.abc import Iterator, Sequence
from itertools import chain, tee
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.audio import Sound, SoundStream, open_sound, require_speech, sane

Samples = NDArray[np.float32]
Speech = str | Path | Sound


class Voices:
    """Reads one voice or several in pieces of a second.

    Args:
        speeches: files with sound, or sounds.
        rate_hz: the sample rate of the pieces.
        shortest_seconds: shorter sound is refused.

    Attributes:
        seconds: how much was read so far; at the end, the length of the longest voice.

    Raises:
        MediaError: if a file is missing, unreadable or holds no sound, or a ``Sound`` holds wrong samples or a wrong rate.
        SpeechError: if all voices are shorter than ``shortest_seconds``.
    """

    def __init__(self, speeches: Sequence[Speech], rate_hz: int, shortest_seconds: float) -> None:
        self.rate_hz, self.seconds = rate_hz, 0.0
        streams = [_stream(speech).at(rate_hz) for speech in speeches]
        pieces = self._together([stream.mono() for stream in streams])
        first = next(pieces, ())
        require_speech(self.seconds, shortest_seconds)
        self._pieces = chain([first], pieces)
        self._count = len(streams)

    def for_faces(self, count: int) -> list[Iterator[Samples]]:
        """Returns for each of ``count`` faces the pieces it says, ``(n,)``: its own voice, or the only one. Take them in step."""
        copies = tee(self._pieces, count)
        return [_of(copy, number % self._count) for number, copy in enumerate(copies)]

    def _together(self, voices: list[Iterator[Samples]]) -> Iterator[tuple[Samples, ...]]:
        """Yields a second of each voice at a time, until all have ended; a voice that has ended is silent."""
        waiting = [np.zeros(0, np.float32) for _ in voices]
        while True:
            for number, voice in enumerate(voices):
                pieces, length = [waiting[number]], len(waiting[number])
                while length < self.rate_hz and (piece := next(voice, None)) is not None:
                    pieces.append(piece)
                    length += len(piece)
                waiting[number] = np.concatenate(pieces)
            length = min(self.rate_hz, max(len(samples) for samples in waiting))
            if not length:
                return
            self.seconds += length / self.rate_hz
            yield tuple(np.pad(samples[:length], (0, max(0, length - len(samples)))) for samples in waiting)
            waiting = [samples[length:] for samples in waiting]


def _of(pieces: Iterator[tuple[Samples, ...]], number: int) -> Iterator[Samples]:
    return (piece[number] for piece in pieces)


def require_kind(speech: object) -> None:
    """Raises MediaError unless ``speech`` is a file or a ``Sound``."""
    if not isinstance(speech, str | Path | Sound):
        raise MediaError(f"Speech is a file or a Sound, not {type(speech).__name__}.")


def _stream(speech: Speech) -> SoundStream:
    require_kind(speech)
    if isinstance(speech, Sound):
        samples = np.asarray(speech.samples)
        if samples.ndim != 1 or samples.dtype.kind != "f" or speech.rate_hz < 1:
            said = f"{samples.dtype} {samples.shape} at {speech.rate_hz} Hz"
            raise MediaError(f"A Sound holds float32 samples, (n,), and their rate; not {said}.")
        return SoundStream(iter([sane(samples, "The sound")[None]]), speech.rate_hz, 1)
    return open_sound(speech)
