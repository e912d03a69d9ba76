"""A photo and a voice in, a talking video out. This page is the product.

    photo  -> face -> aligned still -> Identity Encoder --\
    speech -> windows -> loudness -> Context Encoder ------> Frame Decoder -> frames -> film
    noise  -> Noise Generator ----------------------------/                      back in the photo

Offline is the fold of the live step over the whole clip: ``Animator.begin``, ``push``, ``finish``.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError, StillspeakWarning
from stillspeak.media.audio import Sound, read_audio, sane
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.kinds import require_order
from stillspeak.media.loudness import Loudness, LoudnessState
from stillspeak.media.windows import WindowState
from stillspeak.media.writer import VideoWriter
from stillspeak.runtime.ease import eased
from stillspeak.runtime.engine import Engine, Layers, Memory, find_model
from stillspeak.runtime.motion import moves_mouth
from stillspeak.runtime.scene import Photo, Scene, open_scene
from stillspeak.runtime.voices import Speech, Voices, require_kind

Frames = NDArray[np.uint8]
_CHUNK_FRAMES = 25  # offline, frames are made in pieces of this size: constant memory at full speed
_ROUNDING_SECONDS = 1e-3  # ours: less sound than this is no reason for one more frame
_STILL = "The model {} hardly moves a mouth: it was exported before it had learnt to; train on and export again."
_EASE_SECONDS = 0.2  # ours: until then a face leaves what it does in the photo


@dataclass(frozen=True)
class Video:
    """A talking face.

    Attributes:
        frames: uint8 ``(time, height, width, 3)``, RGB.
        fps: frames a second.
        audio: what is heard, float32 ``(n,)``, mono.
        rate_hz: of the audio.
    """

    frames: Frames
    fps: float
    audio: NDArray[np.float32]
    rate_hz: int

    def save(self, path: str | Path) -> None:
        """Writes an mp4 (H.264 + AAC) that says it is synthetic. Raises OutputError if it cannot be written there."""
        with VideoWriter(path, self.fps, Sound(self.audio, self.rate_hz)) as writer:
            for frame in self.frames:
                writer.write(frame)


@dataclass(frozen=True)
class Talk:
    """Where a talk stands. A value: copy it, keep it, go on from it twice."""

    identity: dict[str, NDArray[np.float32]]
    sound: WindowState
    memory: Memory
    seed: int
    frame: int = 0
    loudness: LoudnessState = field(default_factory=LoudnessState)
    mouth: float = 1.0  # how far it opens; 1 is as far as the sound says


class Animator:
    """Makes photos talk with one model. Made by ``stillspeak.load``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.windows = engine.windows
        self.loudness = Loudness(engine.windows)

    @property
    def fps(self) -> int:
        """The model's own frame rate."""
        return self.engine.description.fps

    @property
    def rate_hz(self) -> int:
        """The model's own sound rate; ``push`` wants samples at it."""
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
        """Animates a photo; the whole of it.

        Args:
            photo: a file, or RGB pixels ``(height, width, 3)`` uint8.
            speech: a file with sound in it, or a ``Sound``.
            seed: of the noise behind blinks and brows; the same seed gives the same video.
            fps: of the video; the model's own by default.
            face: ``largest``, ``all``, or the number of a face, best first, from 1.
            crop: the model's own aligned 96 x 128 frames and not the photo.
            scale: of the photo before it moves; by default 1, or less for photos longer than 3840 pixels.
            mouth: how far it opens, from 0 to 2: 1 is as far as the speech says, 0 keeps it at rest.
            teeth: another photo of the person, with an open smile: its upper teeth are shown where the mouth opens.

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
        """The frames of ``__call__`` one by one, ``(height, width, 3)``, in constant memory however long the speech is.

        ``speech`` may also be several by the number of the face that says each; ``face`` then says nothing.
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
        """Live: chunks of float32 samples at ``rate_hz`` in, each frame out as soon as its sound is there (60 ms ahead)."""
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        scene = self._open(photo, face, scale, teeth, crop)
        faces = scene.faces[:1] if crop else scene.faces
        talks = [self.begin_aligned(one.still, seed=seed + number, mouth=mouth) for number, one in enumerate(faces)]
        for chunk in chunks:
            steps = [self.push(talk, chunk) for talk in talks]
            talks = [talk for talk, _ in steps]
            yield from scene.film([made for _, made in steps], crop)
        yield from scene.film([self.finish(talk)[1] for talk in talks], crop)

    def begin(self, photo: Photo, *, seed: int = 0, face: str | int = "largest", mouth: float = 1.0) -> Talk:
        """Finds the face and encodes it once. Raises MediaError, FaceError, or ModelError."""
        self.engine.require_mouth(mouth)
        return self.begin_aligned(self._open(photo, face).faces[0].still, seed=seed, mouth=mouth)

    def begin_aligned(self, crop: Frames, *, seed: int = 0, mouth: float = 1.0) -> Talk:
        """As ``begin``, for a face that is aligned already, ``(128, 96, 3)`` uint8."""
        _require_seed(seed)
        self.engine.require_mouth(mouth)
        identity = self.engine.identify(crop)
        return Talk(identity, self.windows.begin(), self.engine.begin(), seed, mouth=mouth)

    def animate_aligned(self, crop: Frames, sound: Sound, *, seed: int = 0) -> Frames:
        """All frames of an aligned face, ``(128, 96, 3)`` uint8, saying a sound: ``(time, 128, 96, 3)`` at the model's rate."""
        talk, first = self.push(self.begin_aligned(crop, seed=seed), sound.at(self.rate_hz).samples)
        return np.concatenate([first.frames, self.finish(talk)[1].frames])

    def push(self, talk: Talk, samples: NDArray[np.float32]) -> tuple[Talk, Layers]:
        """Takes the next samples, of any number; returns the new state and the frames that are due, with how they were made.

        Raises:
            MediaError: if they are not floating-point samples of one channel.
        """
        samples = np.asarray(samples)
        if samples.ndim != 1 or samples.dtype.kind != "f":
            raise MediaError(f"A chunk holds float32 samples, (n,), not {samples.dtype} {samples.shape}.")
        sound, windows = self.windows.push(talk.sound, sane(samples, "The chunk"))
        return self._speak(replace(talk, sound=sound), windows)

    def finish(self, talk: Talk) -> tuple[Talk, Layers]:
        """Ends the sound; returns the last frames."""
        sound, windows = self.windows.flush(talk.sound)
        return self._speak(replace(talk, sound=sound), windows)

    def _open(self, photo: Photo, face: str | int | Sequence[int], *how: Any) -> Scene:
        """As ``open_scene``; what a user should hear of the photos or the model is a StillspeakWarning."""
        scene = open_scene(photo, face, *how)
        for said in scene.notes if self._moves else (*scene.notes, _STILL.format(self.engine.description.name)):
            warnings.warn(said, StillspeakWarning, stacklevel=3)
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
            made, memory = self.engine.step(talk.identity, piece, noise, memory, talk.mouth)
            pieces.append(eased(made, talk.identity["still"], frame, round(_EASE_SECONDS * self.fps)))
            frame += len(piece)
        if not pieces:
            pieces = [Layers.painted(np.zeros((0, HEIGHT_PX, WIDTH_PX, 3), np.uint8))]
        return replace(talk, memory=memory, frame=frame, loudness=loudness), Layers.joined(pieces)

    def _drawn(self, scene: Scene, heard: Voices, seed: int, mouth: float, crop: bool) -> Iterator[Frames]:
        """The frames of a scene, each face with the voice it has."""
        faces = scene.faces[:1] if crop else scene.faces
        voices = heard.for_faces(len(faces))
        talks = [
            self._offline(self.begin_aligned(face.still, seed=seed + number, mouth=mouth), voice)
            for number, (face, voice) in enumerate(zip(faces, voices, strict=True))
        ]
        for layers in zip(*talks, strict=True):
            yield from scene.film(layers, crop)

    def _offline(self, talk: Talk, pieces: Iterator[NDArray[np.float32]]) -> Iterator[Layers]:
        """All frames of a talk that begins, about a second at a time."""
        last = next(pieces)
        for piece in pieces:
            talk, layers = self.push(talk, last)
            yield layers
            last = piece
        heard, windows = self.windows.push(talk.sound, last)  # the rest and the end in one call
        heard, ends = self.windows.flush(heard)
        yield self._speak(replace(talk, sound=heard), np.concatenate([windows, ends]))[1]


def _require_seed(seed: int) -> None:
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise MediaError(f"The seed must be a whole number from 0, not {seed}.")


def at_rate(
    frames: Iterator[Frames], from_fps: float | Fraction, to_fps: float | Fraction, seconds: Callable[[], float]
) -> Iterator[Frames]:
    """Places frames by time: output frame k, shown at k / to_fps, is the input frame of that moment.

    ``seconds`` says how much sound there is so far, at least a frame more than was drawn. The last frame may last a little
    longer than it: at one frame a second half a word would be lost otherwise.
    """
    if from_fps == to_fps:
        yield from frames
        return
    ratio = Fraction(from_fps).limit_denominator(1001) / Fraction(to_fps).limit_denominator(1001)
    wanted = 0
    current: Frames | None = None
    for index, current in enumerate(frames):
        while int(wanted * ratio) == index and wanted < (seconds() - _ROUNDING_SECONDS) * float(to_fps):
            yield current
            wanted += 1
    while current is not None and wanted < (seconds() - _ROUNDING_SECONDS) * float(to_fps):
        yield current  # less than one input frame is missing at the end
        wanted += 1


def load(model: str | Path = "default", *, threads: int = 0) -> Animator:
    """Loads a model: a shipped one by name (``default``), or the folder of an export.

    Raises:
        ModelError: if there is no such model.
    """
    return Animator(Engine(find_model(model), threads))
