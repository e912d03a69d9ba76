"""Sound in and out of files: any container and codec that FFmpeg reads (PyAV), resampled with soxr.

Samples are float32, mono, nominally in [-1, 1]. Windows are cut in ``windows.py``, not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import numpy as np
import soxr
from numpy.typing import NDArray

from stillspeak.errors import MediaError, SpeechError

_GAP_SECONDS = 0.02  # ours: time stamps of some containers are whole milliseconds


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
        return av.open(str(path.absolute()))  # absolute: FFmpeg takes "a:" for a protocol
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
        frames = list(_decoded(container))
        if not frames:
            raise MediaError(f"{path} has a sound stream with nothing in it that can be decoded.")
        samples, rate_hz = _joined(frames)
        lead = _lead_seconds(container, frames[0].time or 0.0)
    shift = round(lead * rate_hz)
    samples = np.concatenate([np.zeros(shift, np.float32), samples]) if shift > 0 else samples[-shift:]
    return Sound(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), rate_hz)


def _decoded(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """The frames of the first sound stream; damaged packets are skipped."""
    packets = container.demux(container.streams.audio[0])
    while True:
        try:
            yield from (frame for frame in next(packets).decode() if isinstance(frame, av.AudioFrame))
        except StopIteration:
            return
        except av.error.FFmpegError:
            continue


def _joined(frames: list[av.AudioFrame]) -> tuple[NDArray[np.float32], int]:
    """Mono samples at the first frame's rate; a gap in time, where a packet was damaged, becomes silence."""
    rate_hz, first = frames[0].sample_rate, frames[0].time or 0.0
    pieces: list[NDArray[np.float32]] = []
    made, signature, resampler = 0, None, None
    for frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if resampler is None or now != signature:  # some files change their format on the way
            signature, resampler = now, av.AudioResampler(format="fltp", rate=rate_hz)
        missing = round(((frame.time or 0.0) - first) * rate_hz) - made
        fresh = [out.to_ndarray().mean(axis=0, dtype=np.float32) for out in resampler.resample(frame)]
        if missing > _GAP_SECONDS * rate_hz:
            fresh.insert(0, np.zeros(missing, np.float32))
        made += sum(len(piece) for piece in fresh)
        pieces += fresh
    return np.concatenate(pieces), rate_hz


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
