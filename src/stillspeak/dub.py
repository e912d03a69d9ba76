"""Lets a person of a film say something else. This page is the product for films, as ``animate.py`` is for photos.

    film   -> faces, followed -> mouth shut by a still of the shot -> Identity Encoder --\\
    speech -> windows -> loudness -> Context Encoder -----------------------------------> Frame Decoder -> into the frame
    noise  -> Noise Generator ----------------------------------------------------------/

Every frame is its own still, so eyes, head and light stay those that were filmed. The film is read twice: ``runtime/cast.py``
looks for people and shut mouths, then this module draws.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import FaceError, MediaError
from stillspeak.media.audio import Sound, sound_seconds
from stillspeak.media.film import Shown, steady_rate
from stillspeak.media.film_writer import FilmWriter, Made, Place, whole_place
from stillspeak.media.label import labelled
from stillspeak.media.signing import Signature
from stillspeak.media.soundtrack import Heard, mixed
from stillspeak.runtime.cast import Appearance, Cast
from stillspeak.runtime.closing import patch_weight, shut, speaking_weight, view_of
from stillspeak.runtime.compose import Composer, outline_weight
from stillspeak.runtime.engine import Engine
from stillspeak.runtime.report import Report
from stillspeak.runtime.voices import Speech, Voices
from stillspeak.runtime.words import Tick, Words

Image = NDArray[np.uint8]
EXTENDS = "hold", "loop", "pingpong", "end"
LOUDEST = 4.0  # ours: filmed sound becomes at most so much louder
_DIGITS = 9  # of a person's number


@dataclass(frozen=True)
class _Part:
    """Holds what one person does in a frame: where the face is, what it says, and how much of that is shown."""

    appearance: Appearance
    frame: int  # of the appearance
    tick: Tick
    share: float


class Dub:
    """Holds a film that is to say something else, and makes its frames one by one.

    Attributes:
        cast: the people of the film.
        notes: sentences that a user should read.
        report: which seconds were dubbed and which stayed as filmed, and why; complete once all frames are made.

    Args:
        engine: the model.
        cast: what ``look_through`` found in the film.
        speech: a file or a ``Sound``, or one for each person who speaks, by the person's number.
        face: ``largest``, which is the person who is seen most, or a person's number, from 1; a mapping needs none.
        extend: what follows if the speech is longer than the film: ``hold`` shows its last frame on, ``loop`` begins again,
            ``pingpong`` runs backwards and forwards, ``end`` ends with the film.
        seed: the seed of the model's noise.
        mouth: how far the mouth opens, from 0 to 2: 1 is as far as the model draws it.

    Raises:
        FaceError: if there is no such person.
        MediaError, SpeechError: if the speech cannot be used, or an option makes no sense.
    """

    def __init__(
        self,
        engine: Engine,
        cast: Cast,
        speech: Speech | Mapping[int, Speech],
        face: str | int = "largest",
        extend: str = "hold",
        seed: int = 0,
        mouth: float = 1.0,
    ) -> None:
        if extend not in EXTENDS:
            raise MediaError(f"A film is extended by {', '.join(EXTENDS)}, not by {extend!s:.20}.")
        engine.require_mouth(mouth)
        self.cast, self.notes = cast, list[str]()
        self.numbers = [*speech] if isinstance(speech, Mapping) else [self._number(face)]
        self.speeches = [*speech.values()] if isinstance(speech, Mapping) else [speech]
        for number in self.numbers:
            self._require(number)
        self.report = Report(cast, self.numbers)
        self._engine, self._extend, self._seed, self._mouth = engine, extend, seed, mouth
        self._patch, self._weight = patch_weight(), outline_weight() * speaking_weight()
        self._voices()  # raises if the speech cannot be used

    def frames(self) -> Iterator[Made]:
        """Yields the frames of the new film, in memory that does not grow with its length."""
        voices = self._voices()
        words = [
            Words(self._engine, pieces, self._seed + order)
            for order, pieces in enumerate(voices.for_faces(len(self.numbers)))
        ]
        with ThreadPoolExecutor(self._engine.threads) as pool:
            yield from _in_order(pool, self._engine.threads + 1, self._planned(pool, words))
        self.report.finish()
        if all(word.silent for word in words):
            self.notes.append("The speech is silent, so the mouth stays shut.")

    def expected_frames(self) -> int:
        """Returns about how many frames the new film will have, as its files say."""
        filmed, known = len(self.cast.times), [_seconds(speech) for speech in self.speeches]
        return filmed if self._extend == "end" else max(filmed, round(max(known) / self.cast.interval))

    def save(
        self,
        path: str | Path,
        *,
        keep_sound: float = 0.0,
        label: bool = False,
        signature: Signature | None = None,
        tell: Callable[[int], None] | None = None,
    ) -> None:
        """Writes the new film, which says in its marks that it was edited.

        Args:
            path: a file whose suffix names its kind: .mp4, .mov, .mkv or .webm.
            keep_sound: how loud the filmed sound stays under the speech: 0 leaves it out, 1 keeps it as loud as it is.
            label: whether every frame shows the words "AI-generated".
            signature: the key that signs the file (C2PA); None for no signature.
            tell: is called after each frame with the number of frames written.

        Raises:
            MediaError: if the gain makes no sense.
            OutputError: if the file cannot be written.
        """
        film = self.cast.film
        rate = steady_rate(self.cast.times, film.fps)
        with FilmWriter(path, film, rate, self._sound(keep_sound), signature) as writer:
            writer.write_all((_with_label(made) if label else made for made in self.frames()), tell)

    def _sound(self, keep: float) -> Heard:
        """Returns the sound of the new film: the speech, over the filmed sound if that is kept."""
        if not (isinstance(keep, Real) and 0 <= keep <= LOUDEST):
            raise MediaError(f"The gain of the filmed sound must be a number from 0 to {LOUDEST:g}, not {keep}.")
        said = [one if isinstance(one, Sound) else Path(one) for one in self.speeches]
        film = self.cast.film
        if keep and not film.has_sound:
            self.notes.append(f"{film.path} has no sound that could be kept.")
        if len(said) == 1 and not (keep and film.has_sound):
            return said[0]
        return mixed([(one, 1.0) for one in said] + [(film.path, float(keep))] * bool(keep and film.has_sound))

    def _voices(self) -> Voices:
        return Voices(self.speeches, self._engine.description.rate_hz, 1 / self._engine.description.fps)

    def _planned(self, pool: ThreadPoolExecutor, words: list[Words]) -> Iterator["Future[Made]"]:
        """Yields each frame of the new film as work that a thread does; ends when film and speech have ended."""
        fps, filmed = self._engine.description.fps, len(self.cast.times)
        for count, (seconds, index, shown) in enumerate(scheduled(self.cast, self._extend)):
            ticks = [word.at(math.floor(seconds * fps + 1e-6)) for word in words]
            if count >= filmed and all(tick is None or tick.over for tick in ticks):
                return
            parts = list[_Part]()
            for number, tick in zip(self.numbers, ticks, strict=True):
                one = self._appearance(number, index)
                share = 0.0 if one is None or tick is None else float(one.shown[index - one.first]) * tick.share
                self.report.see(number, seconds, index, one, share, tick is not None)
                if one is not None and tick is not None and share > 0:
                    parts.append(_Part(one, index - one.first, tick, share))
            yield pool.submit(self._made, seconds, shown, parts)

    def _made(self, seconds: float, shown: Shown, parts: list[_Part]) -> Made:
        picture = shown.picture.copy() if parts else shown.picture
        changed = []
        for part in parts:
            place, pixels = self._spoken(picture, part)
            if pixels.size:
                picture[place] = pixels
                changed.append(place)
        return Made(seconds, picture, shown.stored, changed)

    def _spoken(self, picture: Image, part: _Part) -> tuple[Place, Image]:
        """Returns the part of a frame around a face that says its words, and its place."""
        appearance = part.appearance
        view, place = view_of(picture, appearance.to_crop[part.frame])
        if not view.pixels.size:
            return place, view.pixels
        mixed = zip(appearance.stills, appearance.mixed[part.frame], strict=True)
        pixels = shut(view, [(still.view, float(share)) for still, share in mixed if share > 0], self._patch)
        face = Composer(pixels, view.to_crop, weight=self._weight)
        identity = self._engine.identify(face.still)
        tick = part.tick
        layers, _ = self._engine.step(identity, tick.window, tick.noise, tick.memory, self._mouth)
        made = pixels.copy()
        face.paste(made, layers, 0)
        if part.share < 1:
            blended = view.pixels + np.float32(part.share) * (made.astype(np.float32) - view.pixels)
            made = np.rint(blended).astype(np.uint8)
        return place, made

    def _appearance(self, number: int, index: int) -> Appearance | None:
        return next((one for one in self.cast.people[number - 1] if one.first <= index < one.end), None)

    def _number(self, face: str | int) -> int:
        if face == "largest":
            if len(self.cast.people) > 1:
                found = f"{len(self.cast.people)} people in the film"
                self.notes.append(f"{found}; person 1, who is seen most, speaks (--face chooses another).")
            return 1
        text = str(face) if not isinstance(face, bool) else ""
        if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
            raise FaceError(f"A person of a film is largest or a number from 1, not {face!s:.20}.")
        return int(text)

    def _require(self, number: int) -> None:
        people = len(self.cast.people)
        if not 1 <= number <= people:
            shown = "one person" if people == 1 else f"{people} people"
            raise FaceError(f"{self.cast.film.path} shows {shown}; there is no person {number}.")


def _with_label(made: Made) -> Made:
    return made._replace(picture=labelled(made.picture), changed=[whole_place(made.picture)])


def _seconds(speech: Speech) -> float:
    return speech.seconds if isinstance(speech, Sound) else sound_seconds(speech) or 0.0


def scheduled(cast: Cast, extend: str) -> Iterator[tuple[float, int, Shown]]:
    """Yields when a frame is shown, its number in the film, and the frame: first the film, then without end what follows it."""
    film, last = cast.film, len(cast.times) - 1
    length = cast.times[-1] + cast.interval
    held: Shown | None = None
    for index, held in enumerate(film.shown()):
        yield held.seconds, index, held
    if extend == "end" or held is None:
        return
    begin = length
    while True:
        if extend == "loop":
            yield from ((begin + one.seconds, index, one) for index, one in enumerate(film.shown()))
            begin += length
        elif extend == "pingpong" and last > 0:
            for back, one in enumerate(film.backwards(cast.times[:last])):
                yield begin + cast.times[last] - cast.times[last - 1 - back] - cast.interval, last - 1 - back, one
            begin += cast.times[last] - cast.interval
            for index, one in enumerate(film.shown(cast.times[1]), 1):
                yield begin + one.seconds, index, one
            begin += length
        else:
            yield begin, last, held
            begin += cast.interval


def _in_order(pool: ThreadPoolExecutor, ahead: int, work: Iterable["Future[Made]"]) -> Iterator[Made]:
    """Yields what threads make, in order; at most ``ahead`` pieces are made before they are asked for."""
    waiting: deque[Future[Made]] = deque()
    try:
        for piece in work:
            waiting.append(piece)
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
