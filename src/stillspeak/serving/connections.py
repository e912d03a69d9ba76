"""Connections that cost a server nothing when they say nothing: how many there are, and how long each may keep silent.

uvicorn waits for ever for a request that never comes, and answers everybody with 503 once there are too many connections,
idle ones too. Here whoever says nothing is closed after a while, and at once when others need the place.
"""

import asyncio
from typing import Any

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_PROGRESS_BYTES = 4096  # of a body: less in the time for a piece counts as silence


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with limits.

    Attributes:
        most: connections at once.
        header_seconds: that a client may take for the head of a request.
        piece_seconds: that a client may take for the next 4 kB of a body, or for reading what it is sent.
        linger_seconds: for which the rest of a body is heard that was answered before.
    """

    most = 1000
    header_seconds = 10.0
    piece_seconds = 30.0
    linger_seconds = 5.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._silence: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._heard = 0  # bytes of a body since the timer began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As of asyncio. One connection too many takes the place of the one that has been idle for longest."""
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._wait(self.header_seconds)
        if len(self.connections) > self.most:
            idle = [
                one for one in self.connections if isinstance(one, PatientProtocol) and one.idle and one is not self
            ]
            if idle:
                min(idle, key=lambda one: one.closes_at).transport.close()
            else:
                self.app = self._full  # its request is heard out, or the client would never read why

    @property
    def idle(self) -> bool:
        """Whether no request is being heard or answered."""
        return self.conn.their_state is h11.IDLE and not self.transport.is_closing()

    @property
    def closes_at(self) -> float:
        """When an idle connection is closed: the sooner, the longer it has been idle."""
        timers = [timer.when() for timer in (self._silence, self.timeout_keep_alive_task) if timer is not None]
        return min(timers, default=0.0)

    @property
    def answered_early(self) -> bool:
        """Whether a request was answered before its body was heard out."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def data_received(self, data: bytes) -> None:
        """As of asyncio."""
        if self.transport.is_closing():
            return
        before = self.conn.their_state
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY:
            self._heard = self._heard + len(data) if before is h11.SEND_BODY else _PROGRESS_BYTES
            if self._heard >= _PROGRESS_BYTES:
                self._wait(self.piece_seconds)
        elif self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            if self._silence is None:  # a request has begun, and its head is not whole
                self._wait(self.header_seconds)
        elif self.conn.their_state is not h11.IDLE:
            self._rest()

    def on_response_complete(self) -> None:
        """As of uvicorn, which now waits for the next request."""
        self._rest()
        super().on_response_complete()
        if self.answered_early:
            self._wait(self.linger_seconds if self.transport.is_closing() else self.piece_seconds)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """As of uvicorn; from here on it is the WebSocket that has limits."""
        self._rest()
        if self.app == self._full:
            self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()
        else:
            super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """As of asyncio."""
        self._rest()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """As of asyncio: the client does not read."""
        self._stuck = self.loop.call_later(self.piece_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """As of asyncio."""
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
        super().resume_writing()

    def _wait(self, seconds: float) -> None:
        self._rest()
        self._silence = self.loop.call_later(seconds, self.transport.close)

    def _rest(self) -> None:
        self._heard = 0
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    async def _full(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers in place of the application when all connections are in use."""
        detail = {"detail": f"All {self.most} connections are in use; come back in a while."}
        await JSONResponse(detail, 503, {"Retry-After": "10", "Connection": "close"})(scope, receive, send)


class _Lingering:
    """A transport that hears out a client which still sends when it is closed.

    A connection that is closed while data comes in is reset, and what was sent is lost with it: a proxy would answer 502 where
    the server has said 401, 403 or 413.
    """

    def __init__(self, transport: asyncio.Transport, protocol: PatientProtocol) -> None:
        self._transport, self._protocol, self._lingers = transport, protocol, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """As of asyncio."""
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """As of asyncio; the first time, nothing more is sent, and what comes is dropped."""
        if self._lingers or not self._protocol.answered_early or not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            self._lingers = True
            self._transport.write_eof()
            self._transport.resume_reading()
