"""Counts what ``/metrics`` reports."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCIES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 1.0)


class Counts:
    """Holds the counts that ``/metrics`` reports."""

    def __init__(self) -> None:
        self.live = 0
        self._all = CollectorRegistry()
        self.sessions = Gauge("stillspeak_sessions", "Live talks now.", registry=self._all)
        self.frames = Counter("stillspeak_frames", "Frames of live talks that were drawn.", registry=self._all)
        self.dropped = Counter(
            "stillspeak_frames_dropped", "Frames that a slow client was not sent.", registry=self._all
        )
        self.refused = Counter(
            "stillspeak_refused", "Requests for which no place was left.", ["what"], registry=self._all
        )
        self.videos = Counter("stillspeak_videos", "Videos by how they ended.", ["state"], registry=self._all)
        self.latency = Histogram(
            "stillspeak_latency_seconds",
            "From the arrival of the last sample a frame needs to the frame's bytes.",
            buckets=_LATENCIES,
            registry=self._all,
        )

    def text(self) -> bytes:
        """Returns the counts in Prometheus' text format."""
        return generate_latest(self._all)
