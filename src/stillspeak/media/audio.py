"""Reads the sound of files in any container and codec that FFmpeg knows (PyAV), and resamples it with soxr.

Samples are float32, mono, nominally in [-1, 1]. ``windows.py`` cuts them into windows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import soxr
from numpy.typing import NDArray

from stillspeak.errors import MediaError, SpeechError
from stillspeak.media.channels import joined
from stillspeak.media.opening import open_media
from stillspeak.media.streams import decoded, frame_seconds, heard_stream, shown_stream, timed, timeline_of
from stillspeak.media.timeline import Timeline

_CANCELLED = 0.01  # ours: two channels cancel each other if their mean keeps less than this share of the power of one
_LOUDEST = 1e3  # ours: larger floating-point samples are whole numbers that were never scaled; encoders hang on them
_MOST_LEAD_SECONDS = 60.0  # ours: sound that starts later than this has a clock of its own


@dataclass(frozen=True)
class Sound:
    """Holds mono sound.

    Attributes:
        samples: float32, ``(n,)``, nominally in [-1, 1].
        rate_hz: samples a second.
    """

    samples: NDArray[np.float32]
    rate_hz: int

    @property
    def seconds(self) -> float:
        """Returns the length in seconds."""
        return len(self.samples) / self.rate_hz

    def at(self, rate_hz: int) -> "Sound":
        """Returns the same sound at another sample rate (soxr, very high quality)."""
        if rate_hz == self.rate_hz:
            return self
        return Sound(soxr.resample(self.samples, self.rate_hz, rate_hz, quality="VHQ").astype(np.float32), rate_hz)


def read_audio(path: str | Path) -> Sound:
    """Decodes the sound track of any sound or video file, the one that players play, to mono.

    In a video, sound that starts later or earlier than the picture is padded or cut so that sample 0 is the first frame.

    Raises:
        MediaError: if the file is missing, unreadable or holds no sound, or its samples are far beyond [-1, 1].
    """
    stream = open_sound(path)
    return Sound(np.concatenate([np.zeros(0, np.float32), *stream.mono()]), stream.rate_hz)


@dataclass(frozen=True)
class SoundStream:
    """Holds the sound of a file, which is decoded block by block in constant memory.

    Attributes:
        blocks: float32 ``(channels, n)`` each, one channel or two; finite. Sample 0 is the first frame of a video.
        rate_hz: samples a second.
        channels: the number of channels of every block.
    """

    blocks: Iterator[NDArray[np.float32]]
    rate_hz: int
    channels: int

    def at(self, rate_hz: int) -> "SoundStream":
        """Returns the same sound at another sample rate (soxr, very high quality)."""
        if rate_hz == self.rate_hz:
            return self
        return SoundStream(self._resampled(rate_hz), rate_hz, self.channels)

    def mono(self) -> Iterator[NDArray[np.float32]]:
        """Yields blocks ``(n,)`` of the mean of the channels, or of the first one if the channels cancel each other."""
        power = power_of_mean = 0.0  # of the samples so far
        for block in self.blocks:
            first, mean = block[0], block.mean(axis=0)
            power, power_of_mean = power + float(np.vdot(first, first)), power_of_mean + float(np.vdot(mean, mean))
            yield first if power_of_mean < _CANCELLED * power else mean

    def _resampled(self, rate_hz: int) -> Iterator[NDArray[np.float32]]:
        resampler = soxr.ResampleStream(self.rate_hz, rate_hz, self.channels, quality="VHQ")
        for block in self.blocks:
            yield np.ascontiguousarray(resampler.resample_chunk(np.ascontiguousarray(block.T)).T)
        empty = np.zeros((0, self.channels), np.float32)
        yield np.ascontiguousarray(resampler.resample_chunk(empty, last=True).T)


def open_sound(path: str | Path) -> SoundStream:
    """Opens the sound of a file like ``read_audio``, but block by block, and with two channels if the file has several.

    Raises:
        MediaError: as ``read_audio`` does; the first block is decoded at once.
    """
    blocks = _blocks(path)
    rate_hz, channels = next(blocks)
    assert isinstance(rate_hz, int)
    return SoundStream((block for _, block in blocks), rate_hz, channels)


def _blocks(path: str | Path) -> Iterator[tuple[int, Any]]:
    """Yields first the rate and the number of channels, and then the rate with each block."""
    with open_media(path) as container:
        if heard_stream(container) is None:
            raise MediaError(f"{path} has no sound {'that can be decoded' if container.streams.audio else 'in it'}.")
        timeline = timeline_of(container)
    zero = first_frame_seconds(path, timeline)
    with open_media(path) as container:
        stream = heard_stream(container)
        assert stream is not None
        frames = (frame for frame in decoded(container, stream, timeline) if isinstance(frame, av.AudioFrame))
        first = next(frames, None)
        if first is None:
            raise MediaError(f"{path} has a sound stream with nothing in it that can be decoded.")
        rate_hz, channels = first.sample_rate, min(2, first.layout.nb_channels)
        yield rate_hz, channels
        shift = round(lead_seconds(first, zero) * rate_hz)
        if shift > 0:
            yield rate_hz, np.zeros((channels, shift), np.float32)
        cut = max(0, -shift)
        for block in joined(chain([first], frames), rate_hz, channels, zero is not None):
            block = sane(block, str(path))
            begin = min(cut, block.shape[1])
            cut -= begin
            if begin < block.shape[1]:
                yield rate_hz, block[:, begin:]


def first_frame_seconds(path: str | Path, timeline: Timeline) -> float | None:
    """Returns when the first frame of a file is shown, in seconds; None without a moving picture (cover art is none).

    Raises:
        MediaError: as ``open_media`` does.
    """
    with open_media(path) as container:
        stream = shown_stream(container)
        if stream is None or timeline.packet_count(stream) < 2:  # noqa: PLR2004 - one frame alone is a cover
            return None
        return next((seconds for seconds, _, _ in timed(container, stream, timeline)), None)


def lead_seconds(first: av.AudioFrame, zero: float | None) -> float:
    """Returns how many seconds after its picture a file's sound starts; 0 without a picture, or if their clocks differ."""
    lead = 0.0 if zero is None else (frame_seconds(first) or 0.0) - zero
    return lead if abs(lead) <= _MOST_LEAD_SECONDS else 0.0


def sane(samples: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    """Returns samples as finite float32, with 0 for each that is no number. ``name`` is what an error calls them.

    Raises:
        MediaError: if they are far beyond [-1, 1], because they are whole numbers that were never scaled.
    """
    loudest = float(np.abs(samples[np.isfinite(samples)]).max(initial=0))
    if loudest > _LOUDEST:
        raise MediaError(f"{name} holds samples as large as {loudest:.0e}; 1 is as loud as they should be.")
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)


def sound_seconds(path: str | Path) -> float | None:
    """Returns how long a file says that it is, without decoding it; None if it does not say. The figure may be wrong.

    Raises:
        MediaError: as ``open_media``.
    """
    with open_media(path) as container:
        return container.duration / av.time_base if container.duration else None


def require_speech(seconds: float, shortest_seconds: float) -> None:
    """Raises SpeechError if sound is shorter than one video frame. Silence is valid."""
    if seconds < shortest_seconds:
        raise SpeechError(
            f"The speech is {int(1000 * seconds)} ms long; at least one video frame "
            f"({1000 * shortest_seconds:.0f} ms) is needed."
        )
