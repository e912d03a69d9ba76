"""Finds the streams of a file that players show and play, and decodes their frames in time."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from typing import TypeVar

import av
import av.error
from av.stream import Disposition

from stillspeak.media.timeline import Stream, Timeline

_NO_FILM = (
    Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image | Disposition.dependent
)  # cover art, previews, photos, half of a picture
_NO_SPEECH = (
    Disposition.comment
    | Disposition.descriptions
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.karaoke
    | Disposition.lyrics
    | Disposition.clean_effects
    | Disposition.non_diegetic
    | Disposition.dependent
)  # commentary, audio description, and other tracks beside the one that is meant
_AHEAD = 8  # time stamps are put in order among so many frames
_FPS, _MOST_FPS = Fraction(25), 1000  # the rate if a file names none, or one above the second
_SomeStream = TypeVar("_SomeStream", av.AudioStream, av.VideoStream)


def shown_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """Returns the stream whose picture players show, or None; cover art is no such stream."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_FILM]
    return _chosen(streams, container.streams.best("video"))


def heard_stream(container: av.container.InputContainer) -> av.AudioStream | None:
    """Returns the sound track that players play: the default one, or else the one that FFmpeg takes for the best.

    It returns commentary, audio description and the like only if there is no other track.
    """
    streams = list(container.streams.audio)
    main = [stream for stream in streams if not stream.disposition & _NO_SPEECH]
    best = container.streams.best("audio")
    return _chosen(main, best) or _chosen(streams, best)


def _chosen(streams: list[_SomeStream], best: object) -> _SomeStream | None:
    streams = [stream for stream in streams if stream.codec_context is not None]  # FFmpeg can decode these
    streams = [stream for stream in streams if stream.disposition & Disposition.default] or streams
    return next((stream for stream in streams if stream is best), streams[0] if streams else None)


def timeline_of(container: av.container.InputContainer) -> Timeline:
    """Returns the timeline of the picture and the sound that players play, of a container that was just opened."""
    chosen = shown_stream(container), heard_stream(container)
    return Timeline(container, [stream for stream in chosen if stream is not None])


def decoded(
    container: av.container.InputContainer, stream: Stream, timeline: Timeline
) -> Iterator[av.AudioFrame | av.VideoFrame]:
    """Yields the frames of a stream; damaged packets are skipped."""
    for packet in timeline.packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from (frame for frame in frames if isinstance(frame, av.AudioFrame | av.VideoFrame))


def frame_seconds(frame: av.AudioFrame | av.VideoFrame) -> float | None:
    """Returns when a frame is shown or heard, as its file says; None if it does not say."""
    stamp = frame.dts if frame.pts is None else frame.pts
    return None if stamp is None or frame.time_base is None else float(stamp * frame.time_base)


def timed(
    container: av.container.InputContainer, stream: av.VideoStream, timeline: Timeline
) -> Iterator[tuple[float, av.VideoFrame, Fraction | None]]:
    """Yields the frames of a stream, each with the second at which it is shown, and its pixels' width divided by their height.

    The seconds grow from frame to frame. Frames come in the order in which they are shown, for time stamps that are out of order
    are put in order. If a time stamp is missing or repeated, the frame follows the one before it at the stream's rate, or sooner
    if the next time stamp leaves less time.
    """
    rate = stream.average_rate or stream.guessed_rate or _FPS
    interval = 1 / float(rate if 0 < rate <= _MOST_FPS else _FPS)
    pixel = _PixelShape(stream)
    frames = (
        (frame_seconds(frame), frame, pixel.now())
        for frame in decoded(container, stream, timeline)
        if isinstance(frame, av.VideoFrame)
    )
    waiting = list(islice(frames, _AHEAD))
    last: float | None = None
    while waiting:
        last = _next_time([stamp for stamp, _, _ in waiting], last, interval)
        _, frame, shape = waiting.pop(0)
        yield last, frame, shape
        waiting.extend(islice(frames, 1))


class _PixelShape:
    """Tells the pixels' shape. The container's figure counts; if the codec begins with the same, the codec's, which may change.

    Args:
        stream: a stream of a container that was just opened.
    """

    def __init__(self, stream: av.VideoStream) -> None:
        self._context, self._said = stream.codec_context, stream.sample_aspect_ratio
        self._follows = not self._said or self._said == self._context.sample_aspect_ratio

    def now(self) -> Fraction | None:
        """Returns the shape of the pixels of the frame that was decoded last."""
        return self._context.sample_aspect_ratio if self._follows else self._said


def _next_time(stamps: list[float | None], last: float | None, interval: float) -> float:
    """Returns when the first of some frames is shown, by all their time stamps, and by the time of the frame before it."""
    known = iter(sorted(stamp for stamp in stamps if stamp is not None))
    ordered = [None if stamp is None else next(known) for stamp in stamps]
    if last is None:
        ahead, first = next(((n, stamp) for n, stamp in enumerate(ordered) if stamp is not None), (0, 0.0))
        return first - ahead * interval
    later = ((n, stamp) for n, stamp in enumerate(ordered) if stamp is not None and stamp > last)
    ahead, following = next(later, (0, last + interval))
    return following if ahead == 0 else last + min(interval, (following - last) / (ahead + 1))
