"""How a server runs: the numbers of which each has its default here."""

from dataclasses import dataclass

from stillspeak.serving.proxies import ALONE, Proxies


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        model: a shipped model's name or an exported folder.
        api_key: what clients must know; empty: nothing.
        sessions: live talks at once; 0: two for each core.
        jobs: videos made at once.
        queue: videos that may wait; one more is told to come back later.
        keep_minutes: that a video can be fetched after it was made.
        keep_mb: that all videos together may keep; beyond it the oldest go first, and the newest stays.
        direct_seconds: of speech, up to which ``POST /animate`` answers with the video itself.
        body_mb, photo_mb: the largest request, the largest photo.
        job_seconds: that a video may take.
        session_seconds: that a talk may last.
        silent_seconds: that a talk may go without sound.
        hello_seconds: that a client may take for its first messages.
        ice_servers: STUN and TURN servers for WebRTC, as ``read_ice_server`` takes them; none are asked by default.
        proxies: which proxies and which pages of others are trusted.
    """

    model: str = "default"
    api_key: str = ""
    sessions: int = 0
    jobs: int = 1
    queue: int = 8
    keep_minutes: float = 15.0
    keep_mb: float = 1000.0
    direct_seconds: float = 30.0
    body_mb: float = 100.0
    photo_mb: float = 20.0
    job_seconds: float = 900.0
    session_seconds: float = 3600.0
    silent_seconds: float = 120.0
    hello_seconds: float = 10.0
    ice_servers: tuple[str, ...] = ()
    proxies: Proxies = ALONE
