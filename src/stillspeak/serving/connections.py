"""Limits how many connections a server has, and how long each may keep silent, so that silent ones cost nothing.

uvicorn waits for ever for a request that never comes, and answers everybody with 503 once there are too many connections, even
idle ones. This module closes a silent connection after a while, and at once when others need its place.
"""

import asyncio
from typing import Any

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_PROGRESS_BYTES = 4096  # if less of a body comes in the time for a piece, the client counts as silent


class PatientProtocol(H11Protocol):
    """Speaks HTTP/1.1 as uvicorn does, with limits.

    Attributes:
        most: how many connections may be open at once.
        header_seconds: the time that a client may take for the head of a request.
        piece_seconds: the time that a client may take for the next 4 kB of a body, or for reading what the server sends.
        linger_seconds: the time for which the server reads the rest of a body after it has answered.
    """

    most = 1000
    header_seconds = 10.0
    piece_seconds = 30.0
    linger_seconds = 5.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._silence: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._heard = 0  # counts the bytes of a body since the timer began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Takes a new connection, for asyncio. If there are too many, it closes the one that has been idle for longest."""
        super().connection_made(_Lingering(transport, self))  # type: ignore[arg-type]
        self._wait(self.header_seconds)
        if len(self.connections) > self.most:
            idle = [
                one for one in self.connections if isinstance(one, PatientProtocol) and one.idle and one is not self
            ]
            if idle:
                min(idle, key=lambda one: one.closes_at).transport.close()
            else:
                self.app = self._full  # it reads the whole request, or else the client would never read the answer

    @property
    def idle(self) -> bool:
        """Returns whether no request is being read or answered."""
        return self.conn.their_state is h11.IDLE and not self.transport.is_closing()

    @property
    def closes_at(self) -> float:
        """Returns when an idle connection is closed: the longer it has been idle, the sooner."""
        timers = [timer.when() for timer in (self._silence, self.timeout_keep_alive_task) if timer is not None]
        return min(timers, default=0.0)

    @property
    def answered_early(self) -> bool:
        """Returns whether a request was answered before its body was read to the end."""
        answered = self.cycle is not None and self.cycle.response_complete
        return answered and self.conn.their_state is h11.SEND_BODY

    def data_received(self, data: bytes) -> None:
        """Takes data of the client, for asyncio, and sets the timers."""
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
        """Ends a response, for uvicorn, which then waits for the next request."""
        self._rest()
        super().on_response_complete()
        if self.answered_early:
            self._wait(self.linger_seconds if self.transport.is_closing() else self.piece_seconds)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Turns the connection into a WebSocket, for uvicorn; from then on the WebSocket has its own limits."""
        self._rest()
        if self.app == self._full:
            self.transport.write(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()
        else:
            super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the connection, for asyncio, and gives its place free."""
        self._rest()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Stops writing, for asyncio, because the client does not read."""
        self._stuck = self.loop.call_later(self.piece_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Goes on writing, for asyncio, because the client reads again."""
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
    """Wraps a transport, and reads what the client still sends when the transport is closed.

    If a connection is closed while data comes in, the system resets it, and the client loses the answer. A proxy then answers
    502, although the server has answered 401, 403 or 413.
    """

    def __init__(self, transport: asyncio.Transport, protocol: PatientProtocol) -> None:
        self._transport, self._protocol, self._lingers = transport, protocol, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Returns whether the transport is closing, for asyncio."""
        return self._lingers or self._transport.is_closing()

    def close(self) -> None:
        """Closes the transport, for asyncio; the first call only stops sending, and drops what comes."""
        if self._lingers or not self._protocol.answered_early or not self._transport.can_write_eof():
            self._transport.close()
        elif not self._transport.is_closing():
            self._lingers = True
            self._transport.write_eof()
            self._transport.resume_reading()
