"""Handles one connection of ``WS /talk``: messages in, frames out, silence between. ``protocol.py`` defines the messages."""

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from stillspeak.errors import MediaError, StillspeakError
from stillspeak.serving.newest import Newest
from stillspeak.serving.protocol import Frame, Hello, pack, read_hello, read_mark, read_samples
from stillspeak.serving.service import Service
from stillspeak.serving.session import Drawn, Session, encoded

REFUSED, LATER = 1008, 1013  # RFC 6455 and its registry: policy violation, try again later
_UNSENT = 25  # so many frames may wait for a slow client; the oldest are dropped
_GRACE_SECONDS = 0.25  # silence is put in if sound comes so much too late
_PIECE_SECONDS = 0.4  # longer messages are drawn piece by piece, so that other talks get their turn
_LATE_SECONDS, _OF_LATE_FRAMES = 2.0, 10  # a talk that is so far behind the client's clock sends every tenth frame
_GOODBYE_SECONDS = 2.0
_INBOX = 4  # so many messages are read ahead


class Conversation:
    """Talks with one client."""

    def __init__(self, socket: WebSocket, service: Service) -> None:
        self._socket, self._service = socket, service
        self._inbox: asyncio.Queue[tuple[float, str | bytes | None]] = asyncio.Queue(_INBOX)
        self._outbox: deque[Frame] = deque()
        self._texts: deque[str] = deque()
        self._news = asyncio.Event()
        self._ended = False
        self._frames = self._dropped = 0

    async def run(self) -> None:
        """Handles the talk from the first message to the last."""
        settings = self._service.settings
        try:
            async with asyncio.timeout(settings.session_seconds):
                session, hello = await self._begin()
                async with asyncio.TaskGroup() as tasks:
                    newest = Newest(self._service, session, self._say)
                    reading = tasks.create_task(self._read(newest))
                    seeing = tasks.create_task(newest.run())
                    tasks.create_task(self._send())
                    await self._listen(session, hello)
                    reading.cancel()
                    seeing.cancel()
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._socket.close()
        except* (WebSocketDisconnect, RuntimeError):
            pass  # the client has gone, or what is sent finds the connection closed
        except* StillspeakError as errors:
            await self._refuse(str(errors.exceptions[0]))
        except* TimeoutError:
            await self._refuse(f"A talk may last {settings.session_seconds:g} s.")

    async def _begin(self) -> tuple[Session, Hello]:
        settings = self._service.settings
        try:
            async with asyncio.timeout(settings.hello_seconds):
                hello = read_hello(await self._socket.receive_text())
                photo = await self._socket.receive_bytes()
        except TimeoutError as error:
            raise MediaError(f"The first messages did not come within {settings.hello_seconds:g} s.") from error
        except KeyError as error:  # the client sent text where bytes are due, or the other way round
            raise MediaError("A talk begins with a JSON text and then the photo as one binary message.") from error
        self._service.require_size(photo)
        pixels, _ = await self._service.photo(photo)
        session = await self._service.begin(Session, self._service.animator, hello, pixels)
        height, width = session.size
        ready = {"ready": True, "fps": self._service.animator.fps, "width": width, "height": height}
        ready |= {"notes": session.notes} if session.notes else {}
        await self._socket.send_text(json.dumps(ready))
        return session, hello

    async def _read(self, newest: Newest) -> None:
        """Puts messages into the inbox, and None when the client has gone; pictures go to ``newest``."""
        picture = False  # whether the next message is one
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                await self._inbox.put((time.monotonic(), None))
                return
            content, text = message.get("bytes"), message.get("text")
            if picture and content is None:
                raise MediaError('After {"picture": true} comes the picture as one binary message.')
            if picture and content is not None:
                newest.push(content)
                picture = False
            elif text is not None and read_mark(text) == "picture":
                picture = True
            else:
                await self._inbox.put((time.monotonic(), text if content is None else content))

    async def _listen(self, session: Session, hello: Hello) -> None:
        """Draws the client's sound, and silence while none comes."""
        covered = heard = time.monotonic()  # until when there is sound, and until when there is the client's own
        due = covered  # until when it would be, had the client never been kept waiting
        frame = 1 / self._service.animator.fps
        late = _GRACE_SECONDS  # once there is silence it goes on frame by frame
        while True:
            at_rest = self._inbox.empty()
            arrived, message = await self._next(covered + late if hello.idle else None, heard)
            if message is None and arrived:
                raise WebSocketDisconnect
            if message is None:
                silent = time.monotonic() - covered
                self._put(await self._drawn(hello, session.rest, silent))
                covered, late = covered + silent, frame
                due = max(due, covered)
            elif isinstance(message, bytes):
                samples, late = read_samples(message, hello.samples), _GRACE_SECONDS
                if not len(samples):
                    continue
                seconds = len(samples) / hello.rate_hz
                covered, heard = max(covered, arrived) + seconds, max(heard, arrived) + seconds
                begin = max(due, arrived) if at_rest else due
                due = begin + seconds
                await self._hear(session, hello, samples, arrived, begin)
            else:  # the end; _read takes pictures
                self._put(await self._drawn(hello, session.finish))
                self._ended = True
                self._news.set()
                return

    async def _next(self, due: float | None, heard: float) -> tuple[float, str | bytes | None]:
        """Returns when the next message came, and the message; (0, None) when silence is due."""
        settings = self._service.settings
        now = time.monotonic()
        if self._inbox.empty() and now - heard > settings.silent_seconds:
            raise MediaError(f"No sound came for {settings.silent_seconds:g} s.")
        until = heard + settings.silent_seconds if due is None else due
        frame = 1 / self._service.animator.fps
        try:
            async with asyncio.timeout(max(frame / 4, until - now)):
                return await self._inbox.get()
        except TimeoutError:
            return (0.0, None) if due is not None else await self._next(due, heard)

    async def _hear(
        self, session: Session, hello: Hello, samples: NDArray[np.float32], arrived: float, begin: float
    ) -> None:
        """Draws a message that ``arrived`` at one moment; by the client's clock its sound began at another."""
        piece = int(_PIECE_SECONDS * hello.rate_hz)
        for start in range(0, len(samples), piece):
            late = time.monotonic() - begin - (start + piece) / hello.rate_hz > _LATE_SECONDS
            made = await self._drawn(hello, session.hear, samples[start : start + piece], late=late)
            for _ in made:
                self._service.counts.latency.observe(time.monotonic() - arrived)
            self._put(made)

    async def _drawn(
        self, hello: Hello, draw: Callable[..., list[Drawn]], *arguments: object, late: bool = False
    ) -> list[Frame]:
        """Returns the frames to send; when ``late``, only a few, because encoding costs most."""

        def made() -> tuple[int, list[Frame]]:
            drawn = draw(*arguments)
            kept = [one for one in drawn if not late or one.number % _OF_LATE_FRAMES == 0]
            return len(drawn) - len(kept), encoded(kept, hello)

        missed, frames = await self._service.draw(made)
        self._frames += missed
        self._service.counts.frames.inc(missed)
        self._drop(missed)
        return frames

    def _put(self, frames: list[Frame]) -> None:
        """Queues frames to send; a client that is too slow misses the oldest, and stays in time."""
        self._outbox.extend(frames)
        self._frames += len(frames)
        self._service.counts.frames.inc(len(frames))
        while len(self._outbox) > _UNSENT:
            self._outbox.popleft()
            self._drop(1)
        self._news.set()

    def _drop(self, count: int) -> None:
        self._dropped += count
        self._service.counts.dropped.inc(count)

    def _say(self, message: dict[str, object]) -> None:
        """Queues a text to send."""
        self._texts.append(json.dumps(message))
        self._news.set()

    async def _send(self) -> None:
        while True:
            while self._texts:
                await self._socket.send_text(self._texts.popleft())
            while self._outbox:
                await self._socket.send_bytes(pack(self._outbox.popleft()))
            if self._ended:
                await self._socket.send_text(
                    json.dumps({"end": True, "frames": self._frames, "dropped": self._dropped})
                )
                return
            self._news.clear()
            await self._news.wait()

    async def _refuse(self, sentence: str) -> None:
        await refuse(self._socket, sentence, REFUSED)


async def refuse(socket: WebSocket, sentence: str, code: int) -> None:
    """Sends a sentence that says why, and closes the connection."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_SECONDS):  # a client that reads nothing holds no place
            await socket.send_text(json.dumps({"error": sentence}))
            await socket.close(code, sentence[:120])
