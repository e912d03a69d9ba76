"""Sound in and out of files: any container and codec that FFmpeg reads (PyAV), resampled with soxr.

Samples are float32, mono, nominally in [-1, 1]. Windows are cut in ``windows.py``, not here.
"""

from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
import soxr
from numpy.typing import NDArray

from stillspeak.errors import MediaError, SpeechError


@dataclass(frozen=True)
class Sound:
    """Mono sound.

    Attributes:
        samples: float32, ``(n,)``.
        rate_hz: samples a second.
    """

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz

    def at(self, rate_hz: int) -> "Sound":
        """The same sound at another rate (soxr, very high quality)."""
        if rate_hz == self.rate_hz:
            return self
        return Sound(soxr.resample(self.samples, self.rate_hz, rate_hz, quality="VHQ").astype(np.float32), rate_hz)


def open_media(path: str | Path) -> av.container.InputContainer:
    """Opens a media file.

    Raises:
        MediaError: if it is missing, a folder, empty, or of no format that FFmpeg knows.
    """
    path = Path(path)
    require_file(path)
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path} is not a sound or video file that can be read.") from error


def require_file(path: Path) -> None:
    """Raises MediaError unless ``path`` is a readable, non-empty file."""
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder, not a file.")
        if not path.exists():
            raise MediaError(f"There is no file {path}.")
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(f"{path} is empty.")
    except (OSError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def read_audio(path: str | Path) -> Sound:
    """Decodes the first sound stream of any sound or video file to mono.

    In a video, sound that starts later or earlier than the picture is padded or cut so that sample 0 is the first frame.

    Raises:
        MediaError: if the file is missing, unreadable or holds no sound.
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} has no sound in it.")
        stream = container.streams.audio[0]
        rate_hz = stream.rate or 0
        resampler = av.AudioResampler(format="fltp")
        pieces: list[NDArray[np.float32]] = []
        first_seconds: float | None = None
        try:
            for frame in container.decode(stream):
                if first_seconds is None:
                    first_seconds, rate_hz = frame.time or 0.0, frame.sample_rate
                pieces += [_mono(out) for out in resampler.resample(frame)]
            pieces += [_mono(out) for out in resampler.resample(None)]
        except av.error.FFmpegError as error:
            if not pieces:
                raise MediaError(f"The sound in {path} cannot be decoded.") from error
        lead = _lead_seconds(container, first_seconds or 0.0)
    samples = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    if not len(samples):
        raise MediaError(f"{path} has a sound stream with nothing in it.")
    shift = round(lead * rate_hz)
    samples = np.concatenate([np.zeros(shift, np.float32), samples]) if shift > 0 else samples[-shift:]
    return Sound(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), rate_hz)


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    return frame.to_ndarray().mean(axis=0, dtype=np.float32)


def _lead_seconds(container: av.container.InputContainer, audio_seconds: float) -> float:
    """How much later the sound starts than the picture; 0 where there is no moving picture (cover art is none)."""
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base is not None and (stream.frames or 2) > 1:
            return audio_seconds - float(stream.start_time * stream.time_base)
    return 0.0


def require_speech(sound: Sound, shortest_seconds: float) -> None:
    """Raises SpeechError if ``sound`` is shorter than one video frame. Silence is valid."""
    if sound.seconds < shortest_seconds:
        raise SpeechError(
            f"The speech is {1000 * sound.seconds:.0f} ms long; at least one video frame "
            f"({1000 * shortest_seconds:.0f} ms) is needed."
        )
