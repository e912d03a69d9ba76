"""Holds what all requests share: the model, the threads that draw, the places for talks, the videos, the counts."""

import asyncio
import contextlib
import ctypes
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stillspeak.animate import load
from stillspeak.cores import usable_cores
from stillspeak.errors import MediaError
from stillspeak.media.images import Image
from stillspeak.runtime.scene import MOST_PX
from stillspeak.serving.counts import Counts
from stillspeak.serving.decoding import Decoders
from stillspeak.serving.films import Films
from stillspeak.serving.refusals import BusyError
from stillspeak.serving.settings import Settings

Result = TypeVar("Result")
_MOST_BEGINNING = 64  # ours: so many requests may wait for the search of faces in their photos
_LOOKING = 2  # ours: so many photos are searched for faces at once; a large one without a face takes a second
_BEHIND = 10  # the niceness of threads that give way to those that draw


class Service:
    """Holds the model, and the places in which talks and videos use it.

    Raises:
        ModelError: if there is no such model.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.animator = load(
            settings.model, threads=1
        )  # one thread a call: the calls of many sessions run side by side
        self.sessions = settings.sessions or 2 * usable_cores()
        self._begun = 0
        self.counts = Counts()
        self.films = Films(settings, self.counts)

    async def draw(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function in one of the threads that draw."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, work, *arguments)

    async def begin(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function, two at a time, behind those that draw, so that running talks keep their rate.

        Raises:
            BusyError: if too many wait already.
        """
        with self._counted():
            return await asyncio.get_running_loop().run_in_executor(self._beginning, _tidily, work, *arguments)

    async def photo(self, data: bytes) -> tuple[Image, float]:
        """Decodes a client's photo in a process of its own, as ``Decoders.decode`` does.

        Raises:
            BusyError: if too many wait already.
            MediaError: if the photo cannot be used.
        """
        with self._counted():
            return await self._decoders.decode(data)

    def require_size(self, data: bytes) -> None:
        """Raises MediaError if a client's photo has too many bytes."""
        if len(data) > self.settings.photo_mb * 1e6:
            raise MediaError(f"The photo is larger than {self.settings.photo_mb:g} MB.")

    def stop(self) -> None:
        """Ends the decoding of photos, because the server ends."""
        self._decoders.stop()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        if self._begun >= _MOST_BEGINNING:
            self.counts.refused.labels("begin").inc()
            raise BusyError("Too many photos are looked at already; come back in a while.")
        self._begun += 1
        try:
            yield
        finally:
            self._begun -= 1

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Opens the threads and the processes that decode photos, for as long as the server runs."""
        self._drawing = ThreadPoolExecutor(usable_cores(), "draw")
        self._beginning = ThreadPoolExecutor(_LOOKING, "begin", _stand_back)
        gc.collect()
        gc.freeze()  # the collector need not look at all that was imported again: it would hold frames up
        try:
            async with Decoders(MOST_PX) as self._decoders:
                yield
        finally:
            self._drawing.shutdown(wait=False, cancel_futures=True)
            self._beginning.shutdown(wait=False, cancel_futures=True)
            gc.unfreeze()

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """Takes a place for a live talk, for the time of a ``with``. Raises BusyError if none is left."""
        if self.counts.live >= self.sessions:
            self.counts.refused.labels("talk").inc()
            raise BusyError(f"All {self.sessions} places for live talks are taken; come back in a while.")
        self.counts.live += 1
        self.counts.sessions.set(self.counts.live)
        try:
            yield
        finally:
            self.counts.live -= 1
            self.counts.sessions.set(self.counts.live)


def _tidily(work: Callable[..., Result], *arguments: object) -> Result:
    """Runs a function, and returns its freed memory to the system; glibc would keep 50 MB a thread after a large photo."""
    try:
        return work(*arguments)
    finally:
        if sys.platform == "linux":
            with contextlib.suppress(AttributeError):  # other C libraries keep less
                ctypes.CDLL(None).malloc_trim(0)


def _stand_back() -> None:
    """Lowers the priority of this thread, if the system allows it."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError, AttributeError):
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(now, _BEHIND))  # nobody may take more than they have
