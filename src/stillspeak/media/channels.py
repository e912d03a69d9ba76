"""Turns decoded sound frames of any format, rate and channels into one run of samples at one rate."""

from collections.abc import Iterator

import av
import av.error
import numpy as np
import soxr
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.streams import frame_seconds

GAP_SECONDS = 0.02  # ours: time stamps of some containers are whole milliseconds
_MOST_CHANNELS = 64  # FFmpeg takes no more

Block = NDArray[np.float32]


def joined(frames: Iterator[av.AudioFrame], rate_hz: int, channels: int, with_picture: bool) -> Iterator[Block]:
    """Yields samples ``(channels, n)``. A gap in time becomes silence; with a picture, overlapping sound is cut, to stay in step.

    Args:
        frames: the decoded frames, with time stamps on one clock.
        rate_hz: the sample rate of the blocks.
        channels: the number of channels of every block, one or two.
        with_picture: whether sound is cut where its time stamps go back; without a picture it is simply played on.
    """
    zero: float | None = None
    made: int = 0
    signature, to_samples = None, _Converter(rate_hz)
    for frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if signature is not None and now != signature:  # some files change their format on the way
            for block in to_samples.rest():
                made += block.shape[1]
                yield _as_many(block, channels)
            to_samples = _Converter(rate_hz)
        signature, stamp, early = now, frame_seconds(frame), 0
        if stamp is not None:
            if zero is None:
                zero = stamp - made / rate_hz
            missing = round((stamp - zero) * rate_hz) - made
            if missing > GAP_SECONDS * rate_hz:
                made += missing
                yield from _silence(channels, missing, rate_hz)
            early = -missing if with_picture and -missing > GAP_SECONDS * rate_hz else 0
        for block in to_samples.convert(frame):
            made += block[:, early:].shape[1]
            yield _as_many(block[:, early:], channels)
            early = max(0, early - block.shape[1])
    yield from (_as_many(block, channels) for block in to_samples.rest())


def _silence(channels: int, samples: int, most: int) -> Iterator[Block]:
    """Yields silence in blocks of at most ``most`` samples, so that an hour of it takes no more memory."""
    for begin in range(0, samples, most):
        yield np.zeros((channels, min(most, samples - begin)), np.float32)


def _as_many(block: Block, channels: int) -> Block:
    """Returns a block with one or two channels; if it has another number, each is the mean of all."""
    if len(block) == channels:
        return block
    return np.repeat(block.mean(axis=0, keepdims=True, dtype=np.float32), channels, axis=0)


class _Converter:
    """Turns frames of one format into float samples at another rate, with one channel or two; more are mixed down.

    FFmpeg mixes channels whose places it knows or can guess from their number, as players do. Otherwise each is the mean of all.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._ffmpeg: av.AudioResampler | None = None
        self._mean: _Mean | None = None

    def convert(self, frame: av.AudioFrame) -> list[Block]:
        """Returns blocks ``(channels, n)`` with one or two channels.

        Raises:
            MediaError: if there are too many channels.
        """
        if self._ffmpeg is None:
            mixed = "stereo" if frame.layout.nb_channels > 2 else None  # noqa: PLR2004 - FFmpeg's weights of a centre
            self._ffmpeg = av.AudioResampler(format="fltp", layout=mixed, rate=self._rate_hz)
            try:
                return self._converted(frame)
            except (av.error.FFmpegError, ValueError):  # it knows no way from these channels to two
                self._ffmpeg, self._mean = av.AudioResampler(format="flt"), _Mean(frame, self._rate_hz)
        return self._converted(frame)

    def rest(self) -> list[Block]:
        """Returns the samples that are left when no frame follows."""
        return self._converted(None) + ([] if self._mean is None else [self._mean.rest()])

    def _converted(self, frame: av.AudioFrame | None) -> list[Block]:
        frames = [] if self._ffmpeg is None else self._ffmpeg.resample(frame)
        made = [np.asarray(out.to_ndarray(), np.float32) for out in frames if out is not None]
        return made if self._mean is None else [self._mean.of(block) for block in made]


class _Mean:
    """Takes the mean of more than two channels at another rate. Samples come interleaved, for PyAV reads at most eight planes."""

    def __init__(self, frame: av.AudioFrame, rate_hz: int) -> None:
        self._count = frame.layout.nb_channels
        if self._count > _MOST_CHANNELS:
            raise MediaError(f"Sound of {self._count} channels cannot be mixed down; {_MOST_CHANNELS} are the most.")
        self._kept = self._count if self._count <= 2 else 1  # noqa: PLR2004 - stereo stays so
        self._resampler = soxr.ResampleStream(frame.sample_rate, rate_hz, self._kept, quality="VHQ")

    def of(self, interleaved: Block) -> Block:
        samples = interleaved.reshape(-1, self._count)
        if self._kept != self._count:
            samples = samples.mean(axis=1, keepdims=True, dtype=np.float32)
        return np.ascontiguousarray(self._resampler.resample_chunk(np.ascontiguousarray(samples)).T)

    def rest(self) -> Block:
        return np.ascontiguousarray(self._resampler.resample_chunk(np.zeros((0, self._kept), np.float32), last=True).T)
