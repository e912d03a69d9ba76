"""A photo and a voice in, a talking video out. This page is the product.

    photo  -> face -> aligned still -> Identity Encoder --\
    speech -> windows -> Context Encoder ------------------> Frame Decoder -> frames -> video
    noise  -> Noise Generator ----------------------------/

Offline is the fold of the live step over the whole clip: ``Animator.begin``, ``push``, ``finish``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import FaceError
from stillspeak.media.audio import Sound, read_audio, require_speech
from stillspeak.media.faces import align, read_image, require_faces, similarity
from stillspeak.media.video import VideoWriter
from stillspeak.media.windows import WindowState
from stillspeak.runtime.engine import Engine, Memory, find_model

Frames = NDArray[np.uint8]
_CHUNK_FRAMES = 25  # offline, frames are made in pieces of this size: constant memory at full speed


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


class Animator:
    """Makes photos talk with one model. Made by ``stillspeak.load``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.windows = engine.windows

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
        photo: str | Path | Frames,
        speech: str | Path | Sound,
        *,
        seed: int = 0,
        fps: float | None = None,
        face: str = "largest",
    ) -> Video:
        """Animates a photo.

        Args:
            photo: a file, or RGB pixels ``(height, width, 3)`` uint8.
            speech: a file with sound in it, or a ``Sound``.
            seed: of the noise behind blinks and brows; the same seed gives the same video.
            fps: of the video; the model's own by default.
            face: ``largest``, or the number of a face, best first, from 1.

        Raises:
            MediaError, FaceError, SpeechError: if the input cannot be used.
        """
        sound = speech if isinstance(speech, Sound) else read_audio(speech)
        frames = list(self.frames(photo, sound, seed=seed, fps=fps, face=face))
        return Video(np.stack(frames), float(fps or self.fps), sound.samples, sound.rate_hz)

    def frames(
        self,
        photo: str | Path | Frames,
        sound: Sound,
        *,
        seed: int = 0,
        fps: float | None = None,
        face: str = "largest",
    ) -> Iterator[Frames]:
        """The frames of ``__call__`` one by one, ``(height, width, 3)``, in constant memory."""
        require_speech(sound, 1 / min(self.fps, fps or self.fps))
        talk = self.begin(photo, seed=seed, face=face)
        return at_rate(self._offline(talk, sound), self.fps, fps or self.fps, sound.seconds)

    def stream(
        self, photo: str | Path | Frames, chunks: Iterable[NDArray[np.float32]], *, seed: int = 0, face: str = "largest"
    ) -> Iterator[Frames]:
        """Live: chunks of float32 samples at ``rate_hz`` in, each frame out as soon as its sound is there (60 ms ahead)."""
        talk = self.begin(photo, seed=seed, face=face)
        for chunk in chunks:
            talk, frames = self.push(talk, chunk)
            yield from frames
        yield from self.finish(talk)[1]

    def begin(self, photo: str | Path | Frames, *, seed: int = 0, face: str = "largest") -> Talk:
        """Finds the face and encodes it once. Raises MediaError or FaceError."""
        return self.begin_aligned(still(photo, face), seed=seed)

    def begin_aligned(self, crop: Frames, *, seed: int = 0) -> Talk:
        """As ``begin``, for a face that is aligned already, ``(128, 96, 3)`` uint8."""
        identity = self.engine.identify(crop)
        return Talk(identity, self.windows.begin(), self.engine.begin(), seed)

    def push(self, talk: Talk, samples: NDArray[np.float32]) -> tuple[Talk, Frames]:
        """Takes the next samples, of any number; returns the new state and the frames that are due, ``(n, 128, 96, 3)``."""
        sound, windows = self.windows.push(talk.sound, samples)
        return self._speak(replace(talk, sound=sound), windows)

    def finish(self, talk: Talk) -> tuple[Talk, Frames]:
        """Ends the sound; returns the last frames."""
        sound, windows = self.windows.flush(talk.sound)
        return self._speak(replace(talk, sound=sound), windows)

    def _speak(self, talk: Talk, windows: NDArray[np.float32]) -> tuple[Talk, Frames]:
        pieces = [np.zeros((0, self.engine.description.height_px, self.engine.description.width_px, 3), np.uint8)]
        memory, frame = talk.memory, talk.frame
        for start in range(0, len(windows), _CHUNK_FRAMES):
            piece = windows[start : start + _CHUNK_FRAMES]
            noise = self.engine.noise(talk.seed, frame, len(piece))
            made, memory = self.engine.step(talk.identity, piece, noise, memory)
            pieces.append(made)
            frame += len(piece)
        return replace(talk, memory=memory, frame=frame), np.concatenate(pieces)

    def _offline(self, talk: Talk, sound: Sound) -> Iterator[Frames]:
        samples = sound.at(self.rate_hz).samples
        piece = self.rate_hz * _CHUNK_FRAMES // self.fps
        last = max(0, len(samples) - 1) // piece * piece
        for start in range(0, last, piece):
            talk, frames = self.push(talk, samples[start : start + piece])
            yield from frames
        heard, windows = self.windows.push(talk.sound, samples[last:])  # the rest and the end in one call
        heard, ends = self.windows.flush(heard)
        yield from self._speak(replace(talk, sound=heard), np.concatenate([windows, ends]))[1]


def at_rate(frames: Iterator[Frames], from_fps: float, to_fps: float, seconds: float) -> Iterator[Frames]:
    """Places frames by time: output frame k, shown at k / to_fps, is the input frame of that moment."""
    if from_fps == to_fps:
        yield from frames
        return
    ratio = Fraction(from_fps).limit_denominator(1001) / Fraction(to_fps).limit_denominator(1001)
    wanted, index = 0, -1
    total = int(seconds * to_fps + 1e-6)
    current: Frames | None = None
    for current in frames:
        index += 1
        while wanted < total and int(wanted * ratio) == index:
            yield current
            wanted += 1
    while current is not None and wanted < total:  # less than one input frame is missing at the end
        yield current
        wanted += 1


def still(photo: str | Path | Frames, face: str = "largest") -> Frames:
    """The aligned crop of a photo's face, ``(128, 96, 3)``.

    Raises:
        MediaError: if the file is no picture.
        FaceError: if there is no face, or fewer than asked for.
    """
    image = photo if isinstance(photo, np.ndarray) else read_image(photo)
    name = "The photo" if isinstance(photo, np.ndarray) else str(photo)
    if face != "largest" and not (face.isdigit() and int(face) >= 1):
        raise FaceError(f"--face takes largest or a number from 1, not {face}.")
    number = 1 if face == "largest" else int(face)
    faces = require_faces(image, name, number)
    if number > len(faces):
        raise FaceError(f"{name} shows {len(faces)} face{'s' * (len(faces) > 1)}; there is no face {number}.")
    return align(image, similarity(faces[number - 1].points))


def load(model: str | Path = "default", *, threads: int = 0) -> Animator:
    """Loads a model: a shipped one by name (``default``), or the folder of an export.

    Raises:
        ModelError: if there is no such model.
    """
    return Animator(Engine(find_model(model), threads))
