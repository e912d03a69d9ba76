"""Repairs a recording in which frames are missing, frozen or black while the sound goes on. This page is the product for gaps.

    recording -> gaps -> the last good frame and the next one -> Identity Encoder --\\
    its sound -> windows -> loudness -> Context Encoder -----------------------------> Frame Decoder -> both drawings, cross-faded
    noise     -> Noise Generator ---------------------------------------------------/

The film is read twice: once to find its gaps, and once to draw them. Its sound is heard from its beginning on, so what is said
before a gap counts.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import FaceError, MediaError
from stillspeak.media.audio import open_sound
from stillspeak.media.faces import find_faces
from stillspeak.media.film import Film, Shown, steady_rate
from stillspeak.media.film_writer import FilmWriter, Made, whole_place
from stillspeak.media.gaps import LEVEL_SECONDS, Gap, Looker, filled_times, find_gaps, interval_of, level_db
from stillspeak.media.label import labelled
from stillspeak.media.signing import Signature
from stillspeak.runtime.between import Bridge, Good
from stillspeak.runtime.engine import Engine
from stillspeak.runtime.voices import Voices
from stillspeak.runtime.words import Tick, Words

Image = NDArray[np.uint8]
_LEVEL_HZ = 16_000
_LOOKED_AT_PX = 1920  # the longest side of the picture in which faces are searched


@dataclass(frozen=True)
class Damage:
    """Holds what is wrong with a recording.

    Attributes:
        film: the recording.
        times: when each of its frames is shown, in seconds.
        gaps: its gaps, in their order.
    """

    film: Film
    times: list[float]
    gaps: list[Gap]


def look_for_gaps(film: Film, listed: list[Gap] | None = None, tell: Callable[[int], None] | None = None) -> Damage:
    """Reads a recording once, and finds its gaps.

    Args:
        film: the recording.
        listed: the gaps that the user lists; by default they are searched.
        tell: is called after each frame with the number of frames that were looked at.

    Raises:
        MediaError: if the recording has no sound, no gap or no good frame, or a listed gap lies outside it.
    """
    if not film.has_sound:
        raise MediaError(f"{film.path} has no sound that says how its missing frames looked.")
    looker = Looker()
    for number, one in enumerate(film.shown(), 1):
        looker.push(one.seconds, one.picture)
        if tell is not None:
            tell(number)
    times, levels = looker.times, np.array([*_levels(film.path)])
    lasts = max(times[-1] + interval_of(times), len(levels) * LEVEL_SECONDS)
    listed = [gap._replace(end=min(gap.end, lasts)) for gap in listed or []]
    gaps = listed or find_gaps(times, looker.changes, looker.black, levels)
    slots = [index for _, index in filled_times(times, gaps)]
    _require_inside(film, times, listed)
    if None not in slots:
        said = "no frame of it is missing, frozen or black while somebody speaks"
        raise MediaError(f"{film.path} has no gap: {said}; --gaps 1.2-1.8,4-5 lists gaps that are not found.")
    if all(index is None for index in slots):
        raise MediaError(f"{film.path} has no good frame from which the others could be drawn.")
    return Damage(film, times, gaps)


class Fill:
    """Holds a recording that is to be repaired, and makes its frames one by one.

    Attributes:
        damage: what is wrong with it.
        notes: sentences that a user should read; complete once all frames are made.
        drawn: how many frames were drawn so far.

    Args:
        engine: the model.
        damage: what ``look_for_gaps`` found.
        seed: the seed of the model's noise.
        mouth: how far the mouth opens, from 0 to 2: 1 is as far as the model draws it.

    Raises:
        MediaError, ModelError: if an option makes no sense.
    """

    def __init__(self, engine: Engine, damage: Damage, seed: int = 0, mouth: float = 1.0) -> None:
        engine.require_mouth(mouth)
        self.damage, self.notes, self.drawn = damage, list[str](), 0
        self._engine, self._seed, self._mouth = engine, seed, mouth
        self._slots = [*filled_times(damage.times, damage.gaps)]

    @property
    def times(self) -> list[float]:
        """Returns when each frame of the repaired film is shown, in seconds."""
        return [seconds for seconds, _ in self._slots]

    def frames(self) -> Iterator[Made]:
        """Yields the frames of the repaired film, in memory that does not grow with its length.

        Raises:
            FaceError: if no gap has a face beside it.
        """
        voices = Voices([self.damage.film.path], self._engine.description.rate_hz, 0.0)
        words = Words(self._engine, voices.for_faces(1)[0], self._seed)
        filmed = enumerate(self.damage.film.shown())
        last: Shown | None = None
        self.drawn, faces, number = 0, False, 0
        while number < len(self._slots):
            seconds, index = self._slots[number]
            if index is not None:
                last = _frame(filmed, index)
                yield Made(seconds, last.picture, last.stored, [])
                number += 1
                continue
            end = next((one for one in range(number, len(self._slots)) if self._slots[one][1] is not None), None)
            heard = None if last is None else self._heard(words, last.seconds)
            before = None if last is None else _good(last, heard)
            following = None if end is None else _frame(filmed, self._slots[end][1])
            bridge = Bridge(self._engine, before, None if following is None else _good(following, None), self._mouth)
            faces |= self._noted(bridge, seconds)
            edge = following or last
            assert edge is not None
            for at, picture in self._bridged(bridge, words, self._slots[number:end], following):
                self.drawn += 1
                yield Made(at, picture, edge.stored, [whole_place(picture)])
            number = len(self._slots) if end is None else end + 1
            if following is not None:
                last = following
                yield Made(following.seconds, following.picture, following.stored, [])
        if not faces:
            said = "shows no face from the front beside its gaps"
            raise FaceError(f"{self.damage.film.path} {said}; only faces are drawn from the sound.")

    def save(
        self,
        path: str | Path,
        *,
        label: bool = False,
        signature: Signature | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Writes the repaired film with its own sound. It says in its marks that it was edited.

        Args:
            path: a file whose suffix names its kind: .mp4, .mov, .mkv or .webm.
            label: whether the frames that were drawn show the words "AI-generated".
            signature: the key that signs the file (C2PA); None for no signature.
            tell: is called after each frame with the number of frames written.

        Raises:
            FaceError: as ``frames`` does.
            OutputError: if the file cannot be written.
        """
        film = self.damage.film
        rate = steady_rate(self.times, film.fps)
        with FilmWriter(path, film, rate, film.path, signature) as writer:
            writer.write_all((_with_label(made) if label else made for made in self.frames()), tell)

    def sentences(self) -> list[str]:
        """Returns a sentence for each gap, and one that says how many frames were drawn."""
        said = [f"{gap.begin:.2f} to {gap.end:.2f} s: frames are {gap.kind}." for gap in self.damage.gaps]
        return [*said, f"{self.drawn} of {len(self._slots)} frames were drawn."]

    def _bridged(
        self, bridge: Bridge, words: Words, slots: list[tuple[float, int | None]], following: Shown | None
    ) -> Iterator[tuple[float, Image]]:
        """Yields the frames of a gap; only those that wait for the next good frame's sound are kept meanwhile."""
        waiting = deque[tuple[float, Tick | None]]()
        for seconds, _ in slots:
            tick = self._heard(words, seconds)
            if seconds <= bridge.meets_from:
                yield seconds, bridge.draw(tick, seconds)
            else:
                waiting.append((seconds, tick))
        if following is not None:
            bridge.meet(self._heard(words, following.seconds))
        while waiting:
            seconds, tick = waiting.popleft()
            yield seconds, bridge.draw(tick, seconds)

    def _heard(self, words: Words, seconds: float) -> Tick | None:
        return words.at(math.floor(seconds * self._engine.description.fps + 1e-6))

    def _noted(self, bridge: Bridge, seconds: float) -> bool:
        """Returns whether a face is seen beside a gap; if not, it says so."""
        if not bridge.speaks:
            self.notes.append(f"No face is seen beside the gap at {seconds:.2f} s, so a still picture fills it.")
        return bridge.speaks


def _frame(filmed: Iterator[tuple[int, Shown]], index: int | None) -> Shown:
    """Reads on to the frame of a number."""
    return next(one for number, one in filmed if number == index)


def _good(shown: Shown, tick: Tick | None) -> Good:
    """Returns a frame with its largest face, as an edge of a gap."""
    faces = find_faces(shown.picture, _LOOKED_AT_PX)
    return Good(shown.picture, faces[0].points if faces else None, tick, shown.seconds)


def _with_label(made: Made) -> Made:
    """Returns a frame with the label if it was drawn; the others are as filmed."""
    return made._replace(picture=labelled(made.picture)) if made.changed else made


def _levels(path: Path) -> Iterator[float]:
    """Yields the level of a file's sound in each 0.04 s, in decibels."""
    size = round(LEVEL_SECONDS * _LEVEL_HZ)
    rest = np.zeros(0, np.float32)
    for block in open_sound(path).at(_LEVEL_HZ).mono():
        rest = np.concatenate([rest, block])
        count = len(rest) // size
        yield from (level_db(rest[one * size : (one + 1) * size]) for one in range(count))
        rest = rest[count * size :]


def _require_inside(film: Film, times: list[float], listed: list[Gap]) -> None:
    """Raises MediaError if a listed gap lies outside the film or holds no frame."""
    for gap in listed:
        if all(index is not None for _, index in filled_times(times, [gap])):
            said = f"No frame is shown from {gap.begin:g} to {gap.end:g} s"
            raise MediaError(f"{said}; {film.path} lasts {times[-1]:.2f} s.")
