"""Holds what a photo that speaks is made of: the state of a talk that goes on, and the video that is finished."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.audio import Sound
from stillspeak.media.loudness import LoudnessState
from stillspeak.media.windows import WindowState
from stillspeak.media.writer import VideoWriter
from stillspeak.runtime.engine import Memory

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Video:
    """Holds the frames and the sound of a finished video.

    Attributes:
        frames: uint8 ``(time, height, width, 3)``, RGB.
        fps: frames a second.
        audio: the sound, float32 ``(n,)``, mono.
        rate_hz: the samples of ``audio`` in a second.
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
    """Holds how far a talk has come. It never changes, so one Talk can be kept, and continued more than once."""

    identity: dict[str, NDArray[np.float32]]
    sound: WindowState
    memory: Memory
    seed: int
    frame: int = 0
    loudness: LoudnessState = field(default_factory=LoudnessState)
    mouth: float = 1.0  # how far the mouth opens, from 0 to 2; 1 is as far as the model draws it
