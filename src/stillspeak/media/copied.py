"""Copies the packets of a sound track without encoding them again, if players play them as they were decoded."""

from pathlib import Path

import av
import av.error

from stillspeak.media.audio import first_frame_seconds, lead_seconds
from stillspeak.media.channels import GAP_SECONDS
from stillspeak.media.opening import open_media
from stillspeak.media.streams import frame_seconds, heard_stream, timeline_of
from stillspeak.media.timeline import packets

_TOGETHER_SECONDS = 1e-3
_MOST_AAC_HZ, _MOST_AAC_CHANNELS = 48_000, 6  # Apple's players and browsers are known to play so much
_MOST_CHANNELS = 8  # players know the places of so many channels


class CopiedTrack:
    """Writes the packets of a file's sound track, unchanged.

    Args:
        container: the container that is written; it has no packet yet.
        source: the file with the sound track.
        start_seconds: the time stamp of the first sound that is heard; some encoders' first packets are not heard.
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
        """Muxes the packets up to a moment of the picture, as ``Track`` asks."""
        while (packet := self._next) is not None and packet.pts is not None and packet.time_base is not None:
            if (packet.pts - self._start) * packet.time_base >= seconds:
                break
            packet.pts -= self._start
            packet.dts = packet.pts
            packet.stream = self._stream
            self._next = next(self._packets, None)
            self._container.mux(packet)

    def finish(self, seconds: float) -> None:
        """Muxes the rest, as ``Track`` asks, up to the last packet that begins before the picture ends."""
        self.write_until(seconds)
        self._source.close()


def kept_from(path: Path, codecs: tuple[str, ...]) -> float | None:
    """Returns the time stamp, in seconds, of the first sound that is heard; None if the packets cannot be copied.

    They can be copied if players play their codec, and if a player that follows their time stamps plays what was decoded. To
    check that, the function decodes the whole track.

    Args:
        path: a file that has sound.
        codecs: the codecs that the new container takes and its players play.

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
    """Returns when a sound track starts; None unless it starts with the picture and has one format, no gap and no damage."""
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
    """Returns whether the common players play a stream, by its codec and by a ``frame`` that was decoded from it."""
    count = frame.layout.nb_channels
    if "channels" in frame.layout.name or count > _MOST_CHANNELS:  # FFmpeg has no name for where they are
        return False
    if stream.codec_context.name != "aac":
        return True
    return stream.profile == "LC" and frame.sample_rate <= _MOST_AAC_HZ and count <= _MOST_AAC_CHANNELS


def _format(frame: av.AudioFrame) -> tuple[int, str]:
    return frame.sample_rate, frame.layout.name
