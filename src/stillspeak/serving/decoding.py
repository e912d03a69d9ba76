"""Decodes clients' photos in processes of their own, which have limits of memory and time and can be ended.

A few such processes stand ready, so that nobody waits for one to start. A process that takes too long or breaks is ended, and
another takes its place. Its answer is checked: it holds numbers and pixels, never code.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Coroutine

import numpy as np

from stillspeak.errors import MediaError
from stillspeak.media.images import Image
from stillspeak.serving.refusals import BusyError

_PLACES = 4  # ours: so many photos are decoded at once; the system shares the cores, so small photos pass large ones
_KEPT = 3  # ours: so many processes stand ready; each has 45 MB, most of it shared
_SECONDS = 15.0  # ours: a photo may take so long; 200 million pixels take 2 s
_MOST_PHOTOS = 100  # ours: a process ends after so many photos, so that memory leaks of libraries end with it
_READ_AHEAD_BYTES = 1 << 22
_COMMAND = ["-m", "stillspeak.serving.decoder"]


class Decoders:
    """Runs the processes that decode photos; they start with a ``with`` block and end with it.

    Args:
        most_px: the longest side of a decoded photo; longer ones are made smaller.
        seconds: the time that a photo may take.
    """

    def __init__(self, most_px: int, seconds: float = _SECONDS) -> None:
        self._most_px, self._seconds = most_px, seconds
        self._places = asyncio.Semaphore(_PLACES)
        self._idle: list[_Decoder] = []
        self._all: set[_Decoder] = set()
        self._tasks: set[asyncio.Task[None]] = set()  # these tasks start and end processes
        self._closed = False

    async def __aenter__(self) -> "Decoders":
        for _ in range(_KEPT):
            self._soon(self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(decoder.end() for decoder in self._all))

    def stop(self) -> None:
        """Ends all processes now, whatever they do; waiting callers get an error."""
        self._closed = True
        for decoder in self._all:
            decoder.kill()

    async def decode(self, photo: bytes) -> tuple[Image, float]:
        """Decodes a photo.

        Returns:
            The pixels, ``(height, width, 3)``, and by what factor the photo was made smaller, at least 1.

        Raises:
            MediaError: if the photo is no picture, takes too much memory or time, or breaks the process that decodes it.
            BusyError: if the server stops meanwhile.
        """
        async with self._places:
            with contextlib.suppress(_BrokenError):
                return await self._decoded(photo)
            with contextlib.suppress(_BrokenError):  # the system may have ended processes while they waited
                await self._start()
                return await self._decoded(photo)
        if self._closed:
            raise BusyError("The server stops; come back in a while.")
        raise MediaError("The photo is not a picture that can be read: it breaks its decoder.")

    async def _decoded(self, photo: bytes) -> tuple[Image, float]:
        if not self._idle:
            await self._start()
        decoder, well = self._idle.pop(), False  # the one that was added last
        try:
            async with asyncio.timeout(self._seconds):
                answer = await decoder.ask(photo, self._most_px, self._seconds)
            well = True
            return answer
        except TimeoutError as error:
            raise MediaError(f"The photo takes longer than {self._seconds:g} s to read; use a smaller one.") from error
        except MediaError:
            well = True
            raise
        finally:
            if well and decoder.photos < _MOST_PHOTOS and len(self._all) <= _KEPT:
                self._idle.append(decoder)
            else:
                self._all.discard(decoder)
                self._soon(decoder.end())
                if len(self._all) < _KEPT and not self._closed:
                    self._soon(self._start())

    async def _start(self) -> None:
        if self._closed:
            raise _BrokenError
        alone = {
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
        }  # NumPy takes memory for each thread, and computes nothing here
        command = [sys.executable, *_COMMAND]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_READ_AHEAD_BYTES, env=alone
        )
        decoder = _Decoder(process)
        self._all.add(decoder)
        self._idle.append(decoder)

    def _soon(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _BrokenError(Exception):
    """A process ended, or gave a wrong answer."""


class _Decoder:
    """Runs one process."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.photos = 0

    async def ask(self, photo: bytes, most_px: int, seconds: float) -> tuple[Image, float]:
        """Decodes a photo, like ``Decoders.decode``. Raises _BrokenError if the process gives no right answer."""
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        self.photos += 1
        try:
            asked = {"bytes": len(photo), "most_px": most_px, "seconds": seconds}
            to.write(json.dumps(asked).encode() + b"\n")
            to.write(photo)
            await to.drain()
            said = json.loads(await back.readline())
            if "error" in said:
                raise MediaError(str(said["error"]))
            height, width, smaller = int(said["height"]), int(said["width"]), float(said["smaller"])
            if min(height, width) < 1 or max(height, width) > most_px or smaller < 1:
                raise _BrokenError
            pixels = await back.readexactly(height * width * 3)
        except MediaError:
            raise
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise _BrokenError from error
        return np.frombuffer(pixels, np.uint8).reshape(height, width, 3), smaller

    def kill(self) -> None:
        """Ends the process now, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Ends the process and waits until it is gone."""
        self.kill()
        await self._process.wait()
