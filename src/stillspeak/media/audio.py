"""Sound in and out of files: any container and codec that FFmpeg reads (PyAV), resampled with soxr.

Samples are float32, mono, nominally in [-1, 1]. Windows are cut in ``windows.py``, not here.
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
from stillspeak.media.opening import open_media

_GAP_SECONDS = 0.02  # ours: time stamps of some containers are whole milliseconds
_CANCELLED = 0.01  # ours: share of a channel's power that is left in the mean when the other is its opposite
_LOUDEST = 1e3  # ours: floating-point samples beyond it are whole numbers that were never scaled; encoders hang on them
_MOST_GAP_SECONDS = 60.0  # ours: a longer one is a time stamp that lies
_MOST_SILENCE_SECONDS = 600.0  # ours: of all gaps together; a small file must not become hours


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


def read_audio(path: str | Path) -> Sound:
    """Decodes the first sound stream of any sound or video file to mono.

    In a video, sound that starts later or earlier than the picture is padded or cut so that sample 0 is the first frame.

    Raises:
        MediaError: if the file is missing, unreadable or holds no sound, or numbers that are none.
    """
    stream = open_sound(path)
    return Sound(np.concatenate([np.zeros(0, np.float32), *stream.mono()]), stream.rate_hz)


@dataclass(frozen=True)
class SoundStream:
    """The sound of a file as it is decoded, in constant memory.

    Attributes:
        blocks: float32 ``(channels, n)`` each, one channel or two; finite. Sample 0 is the first frame of a video.
        rate_hz: samples a second.
        channels: of every block.
    """

    blocks: Iterator[NDArray[np.float32]]
    rate_hz: int
    channels: int

    def at(self, rate_hz: int) -> "SoundStream":
        """The same sound at another rate (soxr, very high quality)."""
        if rate_hz == self.rate_hz:
            return self
        return SoundStream(self._resampled(rate_hz), rate_hz, self.channels)

    def mono(self) -> Iterator[NDArray[np.float32]]:
        """The mean of the channels, ``(n,)`` each; the first one where they cancel each other, as after a wrong wire."""
        power = power_of_mean = 0.0  # so far
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
    """As ``read_audio``, block by block and with two channels where the file has more than one.

    Raises:
        MediaError: as ``read_audio``; the first block is decoded at once.
    """
    blocks = _blocks(path)
    rate_hz, channels = next(blocks)
    assert isinstance(rate_hz, int)
    return SoundStream((block for _, block in blocks), rate_hz, channels)


def _blocks(path: str | Path) -> Iterator[tuple[int, Any]]:
    """First rate and channels, then the rate with each block."""
    with open_media(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path} has no sound in it.")
        frames = decoded(container)
        first = next(frames, None)
        if first is None:
            raise MediaError(f"{path} has a sound stream with nothing in it that can be decoded.")
        rate_hz, channels = first.sample_rate, min(2, len(first.layout.channels))
        yield rate_hz, channels
        shift = round(_lead_seconds(container, first.time or 0.0) * rate_hz)
        if shift > 0:
            yield rate_hz, np.zeros((channels, shift), np.float32)
        cut = max(0, -shift)
        for block in _joined(chain([first], frames), rate_hz, channels):
            block = sane(block, str(path))
            begin = min(cut, block.shape[1])
            cut -= begin
            if begin < block.shape[1]:
                yield rate_hz, block[:, begin:]


def sane(samples: NDArray[np.floating], name: str) -> NDArray[np.float32]:
    """Samples as finite float32: nothing where they are no numbers. ``name`` is what an error calls them.

    Raises:
        MediaError: if they are far beyond [-1, 1]: whole numbers that were never scaled.
    """
    loudest = float(np.abs(samples[np.isfinite(samples)]).max(initial=0))
    if loudest > _LOUDEST:
        raise MediaError(f"{name} holds samples as large as {loudest:.0e}; 1 is as loud as they should be.")
    return np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).astype(np.float32)


def sound_seconds(path: str | Path) -> float | None:
    """How long a file says that it is, without decoding it; None if it does not say. It may lie.

    Raises:
        MediaError: as ``open_media``.
    """
    with open_media(path) as container:
        return container.duration / av.time_base if container.duration else None


def decoded(container: av.container.InputContainer) -> Iterator[av.AudioFrame]:
    """The frames of the first sound stream; damaged packets are skipped."""
    for packet in packets(container, container.streams.audio[0]):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from (frame for frame in frames if isinstance(frame, av.AudioFrame))


def packets(container: av.container.InputContainer, stream: av.AudioStream | av.VideoStream) -> Iterator[av.Packet]:
    """The packets of a stream, up to where the file is so damaged that no more can be found."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return


def _joined(frames: Iterator[av.AudioFrame], rate_hz: int, channels: int) -> Iterator[NDArray[np.float32]]:
    """Samples at one rate, ``(channels, n)``; a gap in time, where a packet was damaged, becomes silence."""
    first: float | None = None
    made, silent, signature, resampler = 0, 0, None, None
    for frame in frames:
        first = (frame.time or 0.0) if first is None else first
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if resampler is None or now != signature:  # some files change their format on the way
            mixed = "stereo" if len(frame.layout.channels) > 2 else None  # noqa: PLR2004 - FFmpeg's weights of a centre
            signature, resampler = now, av.AudioResampler(format="fltp", layout=mixed, rate=rate_hz)
        missing = round(((frame.time or 0.0) - first) * rate_hz) - made
        if missing > _GAP_SECONDS * rate_hz:
            made += missing
            if missing <= _MOST_GAP_SECONDS * rate_hz and silent + missing <= _MOST_SILENCE_SECONDS * rate_hz:
                silent += missing
                yield np.zeros((channels, missing), np.float32)
        for out in resampler.resample(frame):
            block = np.asarray(out.to_ndarray(), np.float32)
            made += block.shape[1]
            if len(block) != channels:
                block = np.repeat(block.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)
            yield block


def _lead_seconds(container: av.container.InputContainer, audio_seconds: float) -> float:
    """How much later the sound starts than the picture; 0 where there is no moving picture (cover art is none)."""
    for stream in container.streams.video:
        if stream.start_time is not None and stream.time_base is not None and (stream.frames or 2) > 1:
            lead = audio_seconds - float(stream.start_time * stream.time_base)
            return lead if abs(lead) <= _MOST_GAP_SECONDS else 0.0
    return 0.0


def require_speech(seconds: float, shortest_seconds: float) -> None:
    """Raises SpeechError if sound is shorter than one video frame. Silence is valid."""
    if seconds < shortest_seconds:
        raise SpeechError(
            f"The speech is {int(1000 * seconds)} ms long; at least one video frame "
            f"({1000 * shortest_seconds:.0f} ms) is needed."
        )
