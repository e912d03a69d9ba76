"""Makes a talking video from a photo and a voice. This page is the product.

    photo  -> face -> aligned still -> Identity Encoder --\
    speech -> windows -> loudness -> Context Encoder ------> Frame Decoder -> frames -> film
    noise  -> Noise Generator ----------------------------/                      back in the photo

A finished video and a live talk take the same steps: ``Animator.begin``, then ``push`` for each piece of sound, then ``finish``.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillspeak.dub import Dub
from stillspeak.errors import MediaError, StillspeakWarning
from stillspeak.fill import Fill, look_for_gaps
from stillspeak.media.audio import Sound, read_audio, sane
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.film import Film, open_film
from stillspeak.media.gaps import read_gaps
from stillspeak.media.kinds import require_order
from stillspeak.media.loudness import Loudness
from stillspeak.runtime.cast import look_through
from stillspeak.runtime.ease import eased
from stillspeak.runtime.engine import Engine, Layers, find_model
from stillspeak.runtime.motion import moves_mouth
from stillspeak.runtime.rates import at_rate
from stillspeak.runtime.scene import Photo, Scene, open_scene
from stillspeak.runtime.voices import Speech, Voices, require_kind
from stillspeak.talk import Frames, Talk, Video

_CHUNK_FRAMES = 25  # the model draws at most so many frames at once, so that memory stays constant at full speed
_STILL = "The model {} hardly moves a mouth: it was exported before it had learnt to; train on and export again."
_EASE_SECONDS = 0.2  # ours: in this time a face moves from its look in the photo to its first words


class Animator:
    """Makes photos talk with one model. ``stillspeak.load`` returns one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.windows = engine.windows
        self.loudness = Loudness(engine.windows)

    @property
    def fps(self) -> int:
        """Returns the model's own frame rate, in frames a second."""
        return self.engine.description.fps

    @property
    def rate_hz(self) -> int:
        """Returns the model's own sample rate in hertz. ``push`` and ``stream`` take samples at this rate."""
        return self.engine.description.rate_hz

    def __call__(
        self,
        photo: Photo,
        speech: Speech,
        *,
        seed: int = 0,
        fps: float | Fraction | None = None,
        face: str | int = "largest",
        crop: bool = False,
        scale: float | None = None,
        mouth: float = 1.0,
        teeth: Photo | None = None,
    ) -> Video:
        """Makes a photo say a speech clip, and returns the whole video.

        Args:
            photo: a file, or RGB pixels ``(height, width, 3)`` uint8.
            speech: a file with sound in it, or a ``Sound``.
            seed: the seed of the noise that moves eyes and brows; the same seed gives the same video.
            fps: the frame rate of the video; the model's own by default.
            face: ``largest``, ``all``, or the number of a face, as ``stillspeak faces`` counts them from 1.
            crop: whether the frames show the aligned face alone, 96 x 128 pixels, instead of the whole photo.
            scale: the factor that resizes the photo first; by default 1, or less if a side is longer than 3840 pixels.
            mouth: how far the mouth opens, from 0 to 2: 1 is as far as the model draws it, 0 keeps it at rest.
            teeth: another photo of the person, with an open smile; the video shows its upper teeth where the mouth opens.

        Raises:
            MediaError, FaceError, SpeechError: if the input cannot be used, or a number makes no sense.
            ModelError: if ``mouth`` is not 1 and the model cannot open its mouth more or less.
        """
        require_kind(speech)
        require_order(photo, speech)
        sound = speech if isinstance(speech, Sound) else read_audio(speech)
        how = {"seed": seed, "fps": fps, "face": face, "crop": crop, "scale": scale, "mouth": mouth, "teeth": teeth}
        frames = [*self.frames(photo, sound, **how)]
        return Video(np.stack(frames), float(fps or self.fps), sound.samples, sound.rate_hz)

    def frames(
        self,
        photo: Photo,
        speech: Speech | Mapping[int, Speech],
        *,
        seed: int = 0,
        fps: float | Fraction | None = None,
        face: str | int = "largest",
        crop: bool = False,
        scale: float | None = None,
        mouth: float = 1.0,
        teeth: Photo | None = None,
    ) -> Iterator[Frames]:
        """Yields the frames that ``__call__`` would return, ``(height, width, 3)``, in constant memory for speech of any length.

        ``speech`` may also map the number of a face to the speech that this face says; then ``face`` has no effect.
        """
        if fps is not None and not (isinstance(fps, Real) and 0 < fps < math.inf):
            raise MediaError(f"The frame rate must be a number above 0, not {fps}.")
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        scene = self._open(photo, [*speech] if isinstance(speech, Mapping) else face, scale, teeth, crop)
        voices = [*speech.values()] if isinstance(speech, Mapping) else [speech]
        heard = Voices(voices, self.rate_hz, 1 / float(min(self.fps, fps or self.fps)))
        return at_rate(self._drawn(scene, heard, seed, mouth, crop), self.fps, fps or self.fps, lambda: heard.seconds)

    def stream(
        self,
        photo: Photo,
        chunks: Iterable[NDArray[np.float32]],
        *,
        seed: int = 0,
        face: str | int = "largest",
        crop: bool = False,
        scale: float | None = None,
        mouth: float = 1.0,
        teeth: Photo | None = None,
    ) -> Iterator[Frames]:
        """Yields frames live, from chunks of float32 samples at ``rate_hz``; a frame needs 60 ms of sound after it."""
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        scene = self._open(photo, face, scale, teeth, crop)
        faces = scene.faces[:1] if crop else scene.faces
        talks = [self.begin_aligned(face.still, seed=seed + number, mouth=mouth) for number, face in enumerate(faces)]
        for chunk in chunks:
            steps = [self.push(talk, chunk) for talk in talks]
            talks = [talk for talk, _ in steps]
            yield from scene.film([layers for _, layers in steps], crop)
        yield from scene.film([self.finish(talk)[1] for talk in talks], crop)

    def dub(
        self,
        film: str | Path | Film,
        speech: Speech | Mapping[int, Speech],
        *,
        seed: int = 0,
        face: str | int = "largest",
        extend: str = "hold",
        mouth: float = 1.0,
        tell: Callable[[int], None] | None = None,
    ) -> Dub:
        """Lets a person of a film say something else. ``Dub`` says what the arguments are, and saves the new film.

        ``tell`` is called with the number of frames that were looked at. Raises MediaError, FaceError, SpeechError or ModelError.
        """
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        return Dub(self.engine, look_through(open_film(film), tell), speech, face, extend, seed, mouth)

    def fill(
        self,
        film: str | Path | Film,
        gaps: str | None = None,
        *,
        seed: int = 0,
        mouth: float = 1.0,
        tell: Callable[[int], None] | None = None,
    ) -> Fill:
        """Repairs a recording in which frames are missing, frozen or black. ``Fill`` makes its frames, and saves it.

        ``gaps`` lists what to draw, such as ``1.2-1.8,4-5`` in seconds; by default gaps are searched. ``tell`` is called with the
        number of frames that were looked at. Raises MediaError, FaceError, SpeechError or ModelError.
        """
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        listed = None if gaps is None else read_gaps(gaps)
        return Fill(self.engine, look_for_gaps(open_film(film), listed, tell), seed, mouth)

    def begin(self, photo: Photo, *, seed: int = 0, face: str | int = "largest", mouth: float = 1.0) -> Talk:
        """Finds the face of a photo and encodes it, for a live talk. Raises MediaError, FaceError, or ModelError."""
        self.engine.require_mouth(mouth)
        return self.begin_aligned(self._open(photo, face).faces[0].still, seed=seed, mouth=mouth)

    def begin_aligned(self, crop: Frames, *, seed: int = 0, mouth: float = 1.0) -> Talk:
        """Begins a live talk, like ``begin``, with a face that is aligned already, ``(128, 96, 3)`` uint8."""
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        identity = self.engine.identify(crop)
        return Talk(identity, self.windows.begin(), self.engine.begin(), seed, mouth=mouth)

    def animate_aligned(self, crop: Frames, sound: Sound, *, seed: int = 0) -> Frames:
        """Returns all frames, ``(time, 128, 96, 3)`` at the model's rate, of an aligned face ``(128, 96, 3)`` saying a sound."""
        talk, first = self.push(self.begin_aligned(crop, seed=seed), sound.at(self.rate_hz).samples)
        return np.concatenate([first.frames, self.finish(talk)[1].frames])

    def push(self, talk: Talk, samples: NDArray[np.float32]) -> tuple[Talk, Layers]:
        """Takes the next samples, any number of them; returns the new state, and the frames that are due with their layers.

        Raises:
            MediaError: if they are not floating-point samples of one channel.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise MediaError(f"A chunk holds float32 samples, (n,), not {samples.dtype} {samples.shape}.")
        sound, windows = self.windows.push(talk.sound, sane(samples, "The chunk"))
        return self._speak(replace(talk, sound=sound), windows)

    def finish(self, talk: Talk) -> tuple[Talk, Layers]:
        """Ends the sound; returns the new state, and the last frames with their layers."""
        sound, windows = self.windows.flush(talk.sound)
        return self._speak(replace(talk, sound=sound), windows)

    def _open(self, photo: Photo, face: str | int | Sequence[int], *how: Any) -> Scene:
        """Opens a scene, and warns (StillspeakWarning) of what a user should know of the photos or the model."""
        scene = open_scene(photo, face, *how)
        for note in scene.notes if self._moves else (*scene.notes, _STILL.format(self.engine.description.name)):
            warnings.warn(note, StillspeakWarning, stacklevel=3)
        return scene

    @cached_property
    def _moves(self) -> bool:
        return moves_mouth(self.engine)

    def _speak(self, talk: Talk, windows: NDArray[np.float32]) -> tuple[Talk, Layers]:
        pieces: list[Layers] = []
        loudness, memory, frame = talk.loudness, talk.memory, talk.frame
        for start in range(0, len(windows), _CHUNK_FRAMES):
            loudness, piece = self.loudness.raised(loudness, windows[start : start + _CHUNK_FRAMES])
            noise = self.engine.noise(talk.seed, frame, len(piece))
            layers, memory = self.engine.step(talk.identity, piece, noise, memory, talk.mouth)
            pieces.append(eased(layers, talk.identity["still"], frame, round(_EASE_SECONDS * self.fps)))
            frame += len(piece)
        if not pieces:
            pieces = [Layers.painted(np.zeros((0, HEIGHT_PX, WIDTH_PX, 3), np.uint8))]
        return replace(talk, memory=memory, frame=frame, loudness=loudness), Layers.joined(pieces)

    def _drawn(self, scene: Scene, heard: Voices, seed: int, mouth: float, crop: bool) -> Iterator[Frames]:
        """Yields the frames of a scene in which each face says its own voice."""
        faces = scene.faces[:1] if crop else scene.faces
        voices = heard.for_faces(len(faces))
        talks = [
            self._offline(self.begin_aligned(face.still, seed=seed + number, mouth=mouth), voice)
            for number, (face, voice) in enumerate(zip(faces, voices, strict=True))
        ]
        for layers in zip(*talks, strict=True):
            yield from scene.film(layers, crop)

    def _offline(self, talk: Talk, pieces: Iterator[NDArray[np.float32]]) -> Iterator[Layers]:
        """Yields the layers of all frames of a new talk, about a second at a time."""
        last = next(pieces)
        for piece in pieces:
            talk, layers = self.push(talk, last)
            yield layers
            last = piece
        sound, windows = self.windows.push(talk.sound, last)  # the model draws the last piece and the end in one call
        sound, ends = self.windows.flush(sound)
        yield self._speak(replace(talk, sound=sound), np.concatenate([windows, ends]))[1]


def _require_seed(seed: int) -> None:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise MediaError(f"The seed must be a whole number from 0, not {seed}.")


def load(model: str | Path = "default", *, threads: int = 0) -> Animator:
    """Loads a model: a shipped one by its name, such as ``default``, or an exported one by its folder.

    Raises:
        ModelError: if there is no such model.
    """
    return Animator(Engine(find_model(model), threads))
