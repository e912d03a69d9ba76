"""Carries a live talk over WebRTC (extra ``[webrtc]``, aiortc): it takes the client's sound track and sends a video track.

The client offers a connection that sends audio and receives video, and posts it with the photo to ``POST /offer``. Frames are
shown as they are drawn; their time stamps are those of the client's sound.
"""

import asyncio
import contextlib
import ipaddress
from collections import deque
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

from stillspeak.errors import MediaError
from stillspeak.media.label import labelled
from stillspeak.serving.ice import read_ice_server
from stillspeak.serving.protocol import Hello
from stillspeak.serving.service import Service
from stillspeak.serving.session import Drawn, Session

_CLOCK_HZ = 90_000  # the clock rate of video in RTP
_UNSENT = 5  # so many frames may wait; the oldest are dropped


class TalkTrack(VideoStreamTrack):
    """Sends the talking photo as a video track, which ``show`` feeds. Every frame gets the label.

    Args:
        still: the picture that is shown first.
        fps: frames a second.
    """

    kind = "video"

    def __init__(self, still: Drawn, fps: int) -> None:
        super().__init__()
        self._fps = fps
        self._due: deque[Drawn] = deque([still], _UNSENT)
        self._news = asyncio.Event()
        self._news.set()

    def show(self, drawn: list[Drawn]) -> None:
        """Queues frames that are due; a receiver that is too slow misses the oldest."""
        self._due.extend(drawn)
        self._news.set()

    async def recv(self) -> av.VideoFrame:
        """Returns the next frame, as soon as there is one."""
        while not self._due:
            self._news.clear()
            await self._news.wait()
            if self.readyState != "live":
                raise MediaStreamError
        drawn = self._due.popleft()
        picture = labelled(drawn.picture)  # a track has no place for a mark that a program reads
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts, frame.time_base = drawn.number * _CLOCK_HZ // self._fps, Fraction(1, _CLOCK_HZ)
        return frame

    def stop(self) -> None:
        """Ends the track."""
        super().stop()
        self._news.set()


class Caller:
    """Holds one peer: a place in the service, a session, a connection. It calls ``gone`` when the talk is over."""

    def __init__(self, service: Service, gone: Callable[["Caller"], None]) -> None:
        self._service, self._gone = service, gone
        self._place = contextlib.ExitStack()
        helpers = [read_ice_server(text) for text in service.settings.ice_servers]
        asked = [RTCIceServer(one.urls, one.username, one.credential) for one in helpers]
        self._peer = RTCPeerConnection(RTCConfiguration(asked))  # without a list aiortc asks a server of Google's
        self._listening: asyncio.Task[None] | None = None

    async def answer(self, offer: str, photo: bytes, hello: Hello) -> tuple[str, list[str]]:
        """Begins a talk; returns the answer's SDP, and sentences about the photo that a user should read.

        Raises:
            BusyError: if no place is left.
            MediaError, FaceError: if the offer or the photo cannot be used.
        """
        self._place.enter_context(self._service.session())
        try:
            pixels, _ = await self._service.photo(photo)
            session = await self._service.begin(Session, self._service.animator, hello, pixels)
            return await self._connected(offer, session, hello), session.notes
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Gives the place back; a second call does nothing."""
        listening, self._listening = self._listening, None
        if listening is not None and listening is not asyncio.current_task():
            listening.cancel()
        self._place.close()
        self._gone(self)
        await self._peer.close()

    async def _connected(self, offer: str, session: Session, hello: Hello) -> str:
        if "a=fingerprint" not in offer:  # nobody could ever connect
            raise MediaError("The offer has no fingerprint.")
        track = TalkTrack(Drawn(0, 0.0, True, session.first), self._service.animator.fps)

        @self._peer.on("connectionstatechange")
        async def changed() -> None:
            if self._peer.connectionState in ("failed", "closed", "disconnected"):
                await self.close()

        @self._peer.on("track")
        def heard(sound: MediaStreamTrack) -> None:
            if sound.kind == "audio" and self._listening is None:
                self._listening = asyncio.create_task(self._listen(sound, session, track, hello))

        self._peer.addTrack(track)
        try:
            await self._peer.setRemoteDescription(RTCSessionDescription(_with_addresses(offer), "offer"))
            answer = await self._peer.createAnswer()
            assert answer is not None
            await self._peer.setLocalDescription(answer)
        except (
            ValueError,
            AssertionError,
            KeyError,
            IndexError,
            AttributeError,
            RuntimeError,
            OperationError,
            InvalidStateError,
            InvalidAccessError,
        ) as error:  # the parser reads what anyone sends
            raise MediaError("The offer is not an SDP that sends audio and receives video.") from error
        if self._listening is None:
            raise MediaError("The offer sends no sound.")
        return self._peer.localDescription.sdp

    async def _listen(self, sound: MediaStreamTrack, session: Session, track: TalkTrack, hello: Hello) -> None:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=hello.rate_hz)
        settings = self._service.settings
        try:
            async with asyncio.timeout(settings.session_seconds):
                while True:
                    async with asyncio.timeout(settings.silent_seconds):
                        frame = await sound.recv()
                    assert isinstance(frame, av.AudioFrame)
                    samples = [np.asarray(part.to_ndarray(), np.float32).ravel() for part in resampler.resample(frame)]
                    drawn = await self._service.draw(session.hear, np.concatenate([np.zeros(0, np.float32), *samples]))
                    self._service.counts.frames.inc(len(drawn))
                    track.show(drawn)
        except (MediaStreamError, TimeoutError):
            pass  # the peer is gone, silent for long, or has talked long enough
        finally:
            await self.close()


def _with_addresses(offer: str) -> str:
    """Returns an offer without the candidates that are names.

    Browsers hide their addresses behind names that end in ``.local``. Looking up such a name takes seconds and asks the network.
    Nobody needs it, because the browser comes to the server's own addresses. The offer then no longer says that it holds all
    candidates.
    """
    kept, named = [], False
    for line in offer.splitlines(keepends=True):
        parts = line.split()
        if line.startswith("a=candidate:") and len(parts) > 4 and not _is_address(parts[4]):  # noqa: PLR2004 - RFC 8839, 5.1
            named = True
        else:
            kept.append(line)
    return "".join(line for line in kept if not (named and line.startswith("a=end-of-candidates")))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
