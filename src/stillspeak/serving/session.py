"""Turns the sound of one live talk into pictures, in a thread and without any network.

The state of a session is the animator's ``Talk`` for each face, and how much silence was put in while no sound came.
"""

import io
from collections import deque
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
import PIL.Image
import soxr
from numpy.typing import NDArray

from stillspeak.animate import Animator
from stillspeak.errors import MediaError
from stillspeak.media.faces import resized
from stillspeak.media.images import Image
from stillspeak.media.provenance import marked_jpeg, marked_webp
from stillspeak.runtime.between import Renewal
from stillspeak.runtime.engine import Layers
from stillspeak.runtime.scene import Scene, open_scene
from stillspeak.serving.protocol import Frame, Hello, for_client

_MOST_FACES = 4  # ours: each face costs as much as a talk
_SHAPE = 0.02  # ours: a new picture's sides have the ratio of the photo's, up to so much
_QUALITY = "LQ"  # soxr's quality: it keeps 20 ms of 48 kHz back, where HQ keeps 37


class Drawn(NamedTuple):
    """Holds a picture, ``(height, width, 3)``, and the other fields of ``Frame``."""

    number: int
    seconds: float
    idle: bool
    picture: NDArray[np.uint8]


class Session:
    """Holds the talk of one client.

    Args:
        animator: the animator, which all sessions share.
        hello: the client's settings.
        photo: the pixels of a photo, RGB, uint8 ``(height, width, 3)``.

    Raises:
        MediaError, FaceError: if the photo shows no face, or too many.
        ModelError: if the model cannot open its mouth as ``hello`` asks.
    """

    def __init__(self, animator: Animator, hello: Hello, photo: Image) -> None:
        self._animator, self._hello = animator, hello
        self._scene = open_scene(photo, hello.face, longest=hello.side)
        if len(self._scene.faces) > _MOST_FACES:
            raise MediaError(
                f"A live talk moves at most {_MOST_FACES} faces, not {len(self._scene.faces)}; choose one."
            )
        self._talks = [
            animator.begin_aligned(face.still, seed=hello.seed + number, mouth=hello.mouth)
            for number, face in enumerate(self._scene.faces)
        ]
        self._resampler = soxr.ResampleStream(hello.rate_hz, animator.rate_hz, 1, quality=_QUALITY)
        self._heard = 0  # counts the client's samples, and those of silence that was put in
        self._silences: deque[tuple[float, float]] = deque()  # silences that are not yet behind every frame, in seconds
        self._passed = 0.0  # the seconds of silence that lie behind every frame
        self.frames = 0
        self._renewal: Renewal | None = None
        self._last: NDArray[np.uint8] | None = None  # the last frame
        self._newest: Scene | None = None  # what another thread has looked at, with which the next frame begins

    @property
    def size(self) -> tuple[int, int]:
        """Returns the height and the width of a frame in pixels."""
        height, width = self.first.shape[:2]
        return height, width

    @property
    def notes(self) -> list[str]:
        """Returns sentences about the photo that a user should read."""
        return [for_client(note) for note in self._scene.notes]

    @property
    def first(self) -> NDArray[np.uint8]:
        """Returns the picture that is shown before any sound."""
        return (self._scene.faces[0].still if self._hello.crop else self._scene.photo).copy()

    def look(self, picture: Image) -> Scene:
        """Looks for the face of a new picture, RGB uint8, in any thread; returns what ``show`` takes.

        Raises:
            MediaError: if the picture has another shape than the photo, or shows another number of faces.
            FaceError: if it shows no face.
        """
        height, width = self._scene.photo.shape[:2]
        if abs(picture.shape[1] / picture.shape[0] * height / width - 1) > _SHAPE:
            found = f"{picture.shape[1]} x {picture.shape[0]}"
            raise MediaError(f"A new picture must have the shape of the photo, {width} x {height}, not {found}.")
        small = resized(picture, min(1.0, width / picture.shape[1]))
        if small.shape != self._scene.photo.shape:
            small = np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        scene = open_scene(small, self._hello.face, scale=1.0)
        if len(scene.faces) != len(self._talks):
            raise MediaError(f"The new picture shows {len(scene.faces)} faces, and {len(self._talks)} talk.")
        return scene

    def show(self, scene: Scene) -> None:
        """Lets the talk go on from a new picture with its next frame."""
        self._newest = scene

    def hear(self, samples: NDArray[np.float32]) -> list[Drawn]:
        """Takes the client's next samples, ``(n,)`` at its own rate; returns the frames that are due."""
        self._heard += len(samples)
        return self._draw(self._at_models_rate(samples))

    def rest(self, seconds: float) -> list[Drawn]:
        """Takes so many seconds without sound; returns frames of silence."""
        count = round(seconds * self._hello.rate_hz)
        begin, end = (at / self._hello.rate_hz for at in (self._heard, self._heard + count))
        if self._silences and self._silences[-1][1] == begin:
            begin, _ = self._silences.pop()
        self._silences.append((begin, end))
        return self.hear(np.zeros(count, np.float32))

    def finish(self) -> list[Drawn]:
        """Ends the sound; returns the last frames."""
        last = self._draw(self._at_models_rate(np.zeros(0, np.float32), last=True))
        return last + self._placed_all([self._animator.finish(talk)[1] for talk in self._talks])

    def _at_models_rate(self, samples: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        if self._hello.rate_hz == self._animator.rate_hz:
            return samples  # without a resampler, which would keep some back
        return np.asarray(self._resampler.resample_chunk(samples, last=last), np.float32)

    def _draw(self, samples: NDArray[np.float32]) -> list[Drawn]:
        if self._newest is not None:
            self._renew(self._newest)
        pushed = [self._animator.push(talk, samples) for talk in self._talks]
        self._talks = [talk for talk, _ in pushed]
        return self._placed_all([layers for _, layers in pushed])

    def _placed_all(self, layers: list[Layers]) -> list[Drawn]:
        made = []
        if self._renewal is not None:
            layers = self._renewal.corrected(layers)
        for picture in self._scene.film(layers, self._hello.crop):
            if self._renewal is not None:
                picture = self._renewal.met(picture)
            self._last = picture
            seconds, idle = self._placed(self.frames / self._animator.fps)
            made.append(Drawn(self.frames, seconds, idle, picture))
            self.frames += 1
        return made

    def _renew(self, scene: Scene) -> None:
        """Goes on from a new picture. The sound that was heard so far still counts."""
        stills = [face.still for face in scene.faces]
        self._talks = [
            replace(talk, identity=self._animator.engine.identify(still))
            for talk, still in zip(self._talks, stills, strict=True)
        ]
        self._renewal = Renewal(stills, self._animator.fps, self._last, self._renewal)
        self._scene, self._newest = scene, None

    def _placed(self, at: float) -> tuple[float, bool]:
        """Returns where in the client's sound a moment lies, in seconds, and whether it is silence that was put in."""
        while self._silences and self._silences[0][1] <= at:
            begin, end = self._silences.popleft()
            self._passed += end - begin
        idle = bool(self._silences) and self._silences[0][0] <= at
        inside = at - self._silences[0][0] if idle else 0.0
        return at - self._passed - inside, idle


def encoded(drawn: list[Drawn], hello: Hello) -> list[Frame]:
    """Encodes frames for sending, as JPEG or WebP files that say that they are synthetic."""
    return [Frame(n, seconds, idle, _encode(picture, hello)) for n, seconds, idle, picture in drawn]


def _encode(picture: NDArray[np.uint8], hello: Hello) -> bytes:
    if hello.format == "webp":  # by Pillow: OpenCV's takes three times as long, most of a frame's time
        file = io.BytesIO()
        PIL.Image.fromarray(picture).save(file, "webp", quality=hello.quality, method=0)
        return marked_webp(file.getvalue())
    how = [cv2.IMWRITE_JPEG_QUALITY, hello.quality]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), how)
    assert done
    return marked_jpeg(data.tobytes())
