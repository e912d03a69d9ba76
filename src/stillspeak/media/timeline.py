"""Puts the time stamps of a file on one clock, before anything is decoded.

A file may be several recordings that were joined, each with time stamps of its own, or a recording that was paused. This module
looks at picture and sound together, so that every correction changes both, and they stay in step.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from math import inf

import av
import av.error

from stillspeak.errors import MediaError

_LEAP_SECONDS = 0.5  # ours: a time stamp so far from the one before it is believed only if the next one agrees with it
_GAP_SECONDS = 1.0  # ours: shorter gaps are no pauses
_MOST_GAP_SECONDS = 60.0  # ours: a longer gap in picture and sound alike is a recording that was paused
_MOST_SILENCE_SECONDS = 600.0  # ours: all gaps together last no longer, so that a small file does not become hours
_MOST_TICKS = 2**62  # a larger number is no time stamp

Stream = av.AudioStream | av.VideoStream
Span = tuple[float, float]  # from one second to another


def packets(container: av.container.InputContainer, *streams: Stream) -> Iterator[av.Packet]:
    """Yields the packets of streams, until the file is so damaged that no more can be found.

    Raises:
        MediaError: if the file is whole, but FFmpeg cannot read on: the second of two joined Ogg files has other channels.
    """
    try:
        yield from container.demux(*streams)
    except av.error.PatchWelcomeError as error:
        said = (
            f"{container.name} changes its form on the way and cannot be read on from there; convert it to WAV first."
        )
        raise MediaError(said) from error
    except (
        IndexError
    ):  # PyAV's, after the last packet, where a stream was found that was not there when the file was opened
        return
    except av.error.FFmpegError:
        return


class _Stretch:
    """Holds a part of a file whose time stamps run on: what is added to them, and the pauses that are left out."""

    def __init__(self, shift_seconds: float, pauses: list[Span]) -> None:
        self.pauses, self._shift_seconds = pauses, shift_seconds
        self._ends = [end - 1e-6 for _, end in pauses]
        self._left_out = [0.0, *accumulate(end - begin for begin, end in pauses)]

    def place(self, seconds: float) -> float:
        """Returns the second at which a time stamp belongs."""
        return seconds + self._shift_seconds - self._left_out[bisect_right(self._ends, seconds)]


class Timeline:
    """Finds where each packet of some streams belongs. It reads all packets, so the file must be opened anew afterwards.

    If time stamps begin again, another recording was joined to the one before, and follows it. A gap in all streams that is
    longer than a minute, or makes all gaps together longer than ten minutes, is a pause, and is left out. A single time stamp
    that leaps away from its neighbours is ignored.

    Args:
        container: the container, just opened.
        streams: the streams that share the clock.
    """

    def __init__(self, container: av.container.InputContainer, streams: Iterable[Stream]) -> None:
        self._watches = {stream.index: _Watch() for stream in streams}
        newest = 0
        for packet in packets(container, *streams) if self._watches else ():
            if packet.size:  # the last packet, which says that nothing follows, is empty
                newest = self._watches[packet.stream.index].see(packet, newest)
        for watch in self._watches.values():
            watch.end()
        self._stretches = self._placed(newest + 1)

    def packet_count(self, stream: Stream) -> int:
        """Returns the number of packets of a stream."""
        return self._watches[stream.index].number + 1

    def is_plain(self, stream: Stream) -> bool:
        """Returns whether the time stamps of a stream need no correction."""
        watch = self._watches[stream.index]
        return len(watch.begins) < 2 and not watch.lies and not any(part.pauses for part in self._stretches)  # noqa: PLR2004

    def packets(self, container: av.container.InputContainer, stream: Stream) -> Iterator[av.Packet]:
        """Yields the packets of a stream, each with the time stamps that it should have.

        Args:
            container: a container of the same file, just opened.
            stream: the same stream as one of ``streams``, but in this container.
        """
        plain, number = self.is_plain(stream), 0
        for packet in packets(container, stream):
            if packet.size and not plain:
                self._mend(packet, number, self._watches[stream.index])
                number += 1
            yield packet

    def _mend(self, packet: av.Packet, number: int, watch: "_Watch") -> None:
        if number in watch.lies:
            packet.pts = packet.dts = None
            return
        place, base = self._stretches[watch.stretch_of(number)].place, packet.time_base
        packet.pts = None if packet.pts is None else _ticks(place(float(packet.pts * base)), base)
        packet.dts = None if packet.dts is None else _ticks(place(float(packet.dts * base)), base)

    def _placed(self, count: int) -> list[_Stretch]:
        """Returns the stretches, each of which begins where its streams ended before."""
        placed: list[_Stretch] = []
        ends = dict.fromkeys(self._watches, -inf)
        silent = 0.0
        for number in range(count):
            spans = {index: watch.spans[number] for index, watch in self._watches.items() if number in watch.spans}
            pauses: list[Span] = []
            for begin, end in _common([span.all_gaps() for span in spans.values()]):
                length = end - begin
                if length > _MOST_GAP_SECONDS or silent + length > _MOST_SILENCE_SECONDS:
                    pauses.append((begin, end))
                else:
                    silent += length
            before = max((ends[index] for index in spans), default=-inf)
            begin = min((span.begin for span in spans.values()), default=0.0)
            stretch = _Stretch(0.0 if before == -inf else before - begin, pauses)
            ends |= {index: stretch.place(span.end) for index, span in spans.items()}
            placed.append(stretch)
        return placed


def _ticks(seconds: float, base: Fraction) -> int | None:
    ticks = round(seconds / base)
    return ticks if abs(ticks) <= _MOST_TICKS else None


def _common(gaps: list[list[Span]]) -> list[Span]:
    """Returns the gaps that all streams have in common, without the time before the first and after the last packet."""
    common = gaps[0] if gaps else []
    for other in gaps[1:]:
        both, here, there = [], iter(common), iter(other)
        one, two = next(here, None), next(there, None)
        while one and two:
            both.append((max(one[0], two[0]), min(one[1], two[1])))
            if one[1] < two[1]:
                one = next(here, None)
            else:
                two = next(there, None)
        common = [(begin, end) for begin, end in both if end - begin > _GAP_SECONDS]
    return [(begin, end) for begin, end in common if begin > -inf and end < inf]


@dataclass
class _Covered:
    """Holds the part of a stretch that one stream covers."""

    begin: float = inf
    end: float = -inf
    gaps: list[Span] = field(default_factory=list)

    def add(self, begin: float, end: float) -> None:
        """Takes the next packet. A frame that is shown before one that was decoded earlier narrows the gap between them."""
        before, after = self.gaps[-1] if self.gaps else (inf, -inf)
        if begin - self.end > _GAP_SECONDS and self.end > -inf:
            self.gaps.append((self.end, begin))
        elif before - 1e-6 < begin < after:
            self.gaps[-1] = (before, begin) if after - begin < begin - before else (min(end, after), after)
        self.begin, self.end = min(self.begin, begin), max(self.end, end)

    def all_gaps(self) -> list[Span]:
        """Returns all gaps, with the time before the first packet and after the last."""
        return [(-inf, self.begin), *self.gaps, (self.end, inf)]


@dataclass(frozen=True)
class _Seen:
    """Holds a packet: its number, the time stamp that says its order, and when it is shown or heard."""

    number: int
    stamp: float
    begin: float
    end: float


class _Watch:
    """Holds what the packets of one stream have shown so far."""

    def __init__(self) -> None:
        self.number, self.stretch = -1, 0
        self.lies: set[int] = set()  # packets whose time stamps are ignored
        self.begins: list[tuple[int, int]] = []  # the packet with which a stretch begins, and the number of the stretch
        self.spans: dict[int, _Covered] = {}
        # How long a packet lasts: the shortest time so far, since the packet before a pause may say that it lasts as long.
        self._usual = _GAP_SECONDS
        self._last: _Seen | None = None
        self._doubtful: _Seen | None = None

    def see(self, packet: av.Packet, newest: int) -> int:
        """Takes the next packet. ``newest`` is the last stretch that any stream has reached, before and (returned) after it."""
        self.number += 1
        stamp = packet.pts if packet.stream.type == "audio" or packet.dts is None else packet.dts
        stamp = packet.dts if stamp is None else stamp
        if stamp is None:
            return newest
        base = float(packet.time_base)
        begin = base * (stamp if packet.pts is None else packet.pts)
        step = base * stamp - self._last.stamp if self._last else 0.0
        self._usual = min([self._usual, *(length for length in (base * (packet.duration or 0), step) if length > 0)])
        seen = _Seen(self.number, base * stamp, begin, begin + self._usual)
        doubtful, last, self._doubtful = self._doubtful, self._last, None
        if doubtful is not None and last is not None:
            if abs(seen.stamp - doubtful.stamp) < abs(seen.stamp - last.stamp):
                newest = self._believe(doubtful, newest)
            else:
                self.lies.add(doubtful.number)
        if self._last is None or abs(seen.stamp - self._last.stamp) <= _LEAP_SECONDS:
            return self._believe(seen, newest)
        self._doubtful = seen
        return newest

    def end(self) -> None:
        """Ends the stream: no packet follows."""
        if self._doubtful is None or self._last is None:
            return
        if self._doubtful.stamp > self._last.stamp:
            self._believe(self._doubtful, self.stretch)
        else:
            self.lies.add(self._doubtful.number)

    def stretch_of(self, number: int) -> int:
        """Returns the number of the stretch that a packet belongs to."""
        at = bisect_right(self.begins, (number, inf)) - 1
        return self.begins[max(0, at)][1] if self.begins else 0

    def _believe(self, seen: _Seen, newest: int) -> int:
        if self._last is not None and seen.stamp < self._last.stamp - _LEAP_SECONDS:
            newest = newest if self.stretch < newest else newest + 1
            self.stretch = newest
        if not self.begins or self.begins[-1][1] != self.stretch:
            self.begins.append((seen.number, self.stretch))
        self.spans.setdefault(self.stretch, _Covered()).add(seen.begin, seen.end)
        self._last = seen
        return newest
