"""Looks at the pictures that a client sends during a talk, one at a time, while the talk goes on.

A client may send pictures faster than faces can be found in them. Then only the newest one is looked at.
"""

import asyncio
from collections.abc import Callable

from stillspeak.errors import StillspeakError
from stillspeak.serving.protocol import for_client
from stillspeak.serving.service import Service
from stillspeak.serving.session import Session


class Newest:
    """Holds the newest picture of a talk until it was looked at.

    Args:
        service: decodes pictures, and has the threads that look for faces.
        session: the talk.
        say: sends a message to the client.
    """

    def __init__(self, service: Service, session: Session, say: Callable[[dict[str, object]], None]) -> None:
        self._service, self._session, self._say = service, session, say
        self._waiting: bytes | None = None
        self._came = asyncio.Event()

    def push(self, picture: bytes) -> None:
        """Takes a picture file; one that waits still is forgotten."""
        self._waiting = picture
        self._came.set()

    async def run(self) -> None:
        """Looks at pictures as they come, without end. One that cannot be used changes nothing, and the client is told why."""
        while True:
            await self._came.wait()
            self._came.clear()
            picture, self._waiting = self._waiting, None
            if picture is None:
                continue
            try:
                await self._use(picture)
                self._say({"picture": True})
            except StillspeakError as error:
                self._say({"picture": False, "note": for_client(str(error))})

    async def _use(self, picture: bytes) -> None:
        self._service.require_size(picture)
        pixels, _ = await self._service.photo(picture)
        self._session.show(await self._service.begin(self._session.look, pixels))
