"""Holds the settings of a server, with their defaults."""

from dataclasses import dataclass

from stillspeak.serving.proxies import ALONE, Proxies


@dataclass(frozen=True)
class Settings:
    """Holds the settings of a server.

    Attributes:
        model: a shipped model's name or an exported folder.
        api_key: the key that clients must send; without one anybody may use the server.
        sessions: how many live talks may run at once; 0 means two for each core.
        jobs: how many videos are made at once.
        queue: how many videos may wait; the next client is told to come back later.
        keep_minutes: for how many minutes a finished video can be fetched.
        keep_mb: how many megabytes all videos together may take; beyond it the oldest are deleted first, and the newest stays.
        direct_seconds: up to so many seconds of speech, ``POST /animate`` answers with the video itself.
        body_mb, photo_mb: the largest request and the largest photo, in megabytes.
        job_seconds: how many seconds a video may take.
        session_seconds: how many seconds a talk may last.
        silent_seconds: how many seconds a talk may go on without sound.
        hello_seconds: how many seconds a client may take for its first messages.
        ice_servers: STUN and TURN servers for WebRTC, as ``read_ice_server`` takes them; none are asked by default.
        proxies: the trusted proxies and the allowed pages.
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
