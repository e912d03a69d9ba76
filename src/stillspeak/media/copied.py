"""Sound whose packets are kept as they are: where players play them, and what is heard is what was decoded from first to last."""

from pathlib import Path

import av
import av.error

from stillspeak.media.audio import first_frame_seconds, lead_seconds
from stillspeak.media.channels import GAP_SECONDS
from stillspeak.media.opening import open_media
from stillspeak.media.streams import frame_seconds, heard_stream, timeline_of
from stillspeak.media.timeline import packets

_TOGETHER_SECONDS = 1e-3
_MOST_AAC_HZ, _MOST_AAC_CHANNELS = 48_000, 6  # that Apple's players and browsers are known to play
_MOST_CHANNELS = 8  # with places that players know


class CopiedTrack:
    """The packets of a file's sound track, as they are.

    Args:
        container: being written; no packet has been muxed yet.
        source: the file.
        start_seconds: time stamp of what is heard first; some encoders' first packets are not heard.
    """

    def __init__(self, container: av.container.OutputContainer, source: Path, start_seconds: float) -> None:
        self._container = container
        self._source = open_media(source)
        stream = heard_stream(self._source)
        assert stream is not None
        self._stream = container.add_stream_from_template(stream)
        self._start = round(start_seconds / float(stream.time_base or 1))
        self._packets = (packet for packet in packets(self._source, stream) if packet.size and packet.pts is not None)
        self._next = next(self._packets, None)

    def write_until(self, seconds: float) -> None:
        """As ``Track``."""
        while (packet := self._next) is not None and packet.pts is not None and packet.time_base is not None:
            if (packet.pts - self._start) * packet.time_base >= seconds:
                break
            packet.pts -= self._start
            packet.dts = packet.pts
            packet.stream = self._stream
            self._next = next(self._packets, None)
            self._container.mux(packet)

    def finish(self, seconds: float) -> None:
        """As ``Track``: the last packet is the last that begins before the picture ends."""
        self.write_until(seconds)
        self._source.close()


def kept_from(path: Path, codecs: tuple[str, ...]) -> float | None:
    """The time stamp, in seconds, of what is heard first; None if the packets of a file cannot be kept as they are.

    They can be kept if players play them, and if a player that goes by their time stamps plays what was decoded. To see
    that, it decodes the whole track.

    Args:
        path: of a file that has sound.
        codecs: those that the new container takes and its players play.

    Raises:
        MediaError: if the file is missing or unreadable.
    """
    with open_media(path) as container:
        stream = heard_stream(container)
        if stream is None or stream.codec_context.name not in codecs:
            return None
        timeline = timeline_of(container)
        if not timeline.is_plain(stream):
            return None
    zero = first_frame_seconds(path, timeline)
    with open_media(path) as container:
        return _start_of_one_run(container, zero)


def _start_of_one_run(container: av.container.InputContainer, zero: float | None) -> float | None:
    """When a sound track starts, if it starts with the picture, keeps its format, and has no gap, overlap or damage."""
    stream = heard_stream(container)
    assert stream is not None
    first: av.AudioFrame | None = None
    start, made, damaged = 0.0, 0, False
    for packet in packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            damaged = True
            continue
        for frame in frames:
            assert isinstance(frame, av.AudioFrame)
            if first is None:
                first, start = frame, frame_seconds(frame) or 0.0
                if not is_played(stream, frame) or abs(lead_seconds(frame, zero)) >= _TOGETHER_SECONDS:
                    return None
            stamp = frame_seconds(frame)
            parted = stamp is not None and abs(stamp - start - made / first.sample_rate) > GAP_SECONDS
            if damaged or parted or _format(frame) != _format(first):
                return None
            made += frame.samples
    return None if first is None else start


def is_played(stream: av.AudioStream, frame: av.AudioFrame) -> bool:
    """Whether the common players play a stream of which ``frame`` was decoded, in a container that takes its codec."""
    count = frame.layout.nb_channels
    if "channels" in frame.layout.name or count > _MOST_CHANNELS:  # FFmpeg has no name for where they are
        return False
    if stream.codec_context.name != "aac":
        return True
    return stream.profile == "LC" and frame.sample_rate <= _MOST_AAC_HZ and count <= _MOST_AAC_CHANNELS


def _format(frame: av.AudioFrame) -> tuple[int, str]:
    return frame.sample_rate, frame.layout.name
