"""What all requests share: the model, the threads that draw, the places that are left, what is counted."""

import asyncio
import contextlib
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from stillspeak.animate import load
from stillspeak.cores import usable_cores
from stillspeak.errors import StillspeakError, TemporaryFolderError
from stillspeak.jobs import Job

Result = TypeVar("Result")
_LATENCIES = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 1.0)
_MOST_BEGINNING = 64  # ours: requests that wait for their photo to be looked at
_BEHIND = 10  # the niceness of threads that stand back
_REMEMBERED_SECONDS = 60.0  # how long the progress of a job that ended can be asked for


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        model: a shipped model's name or an exported folder.
        api_key: what clients must know; empty: nothing.
        sessions: live talks at once; 0: two for each core.
        jobs: videos made at once.
        queue: videos that may wait; one more is told to come back later.
        body_mb, photo_mb: the largest request, the largest photo.
        job_seconds: that a video may take.
        session_seconds: that a talk may last.
        silent_seconds: that a talk may go without sound.
        hello_seconds: that a client may take for its first messages.
    """

    model: str = "default"
    api_key: str = ""
    sessions: int = 0
    jobs: int = 1
    queue: int = 8
    body_mb: float = 100.0
    photo_mb: float = 20.0
    job_seconds: float = 900.0
    session_seconds: float = 3600.0
    silent_seconds: float = 120.0
    hello_seconds: float = 10.0


class BusyError(Exception):
    """No place is left."""


class WorkerError(Exception):
    """A video's process ended without a result, or took too long."""


@dataclass
class Progress:
    """Where a video stands."""

    done: int = 0
    total: int | None = None
    state: str = "waiting"
    ended: float = 0.0


class Service:
    """The model and its places.

    Raises:
        ModelError: if there is no such model.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.animator = load(
            settings.model, threads=1
        )  # one thread a call: the calls of many sessions run side by side
        self.sessions = settings.sessions or 2 * usable_cores()
        self._waiting = self._begun = 0
        self.progress: dict[str, Progress] = {}
        self.counts = Counts()

    async def draw(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function in one of the threads that draw."""
        return await asyncio.get_running_loop().run_in_executor(self._drawing, work, *arguments)

    async def begin(self, work: Callable[..., Result], *arguments: object) -> Result:
        """Runs a function, one at a time, behind those that draw: however many come, talks that go on keep their rate.

        Raises:
            BusyError: if too many wait already.
        """
        if self._begun >= _MOST_BEGINNING:
            self.counts.refused.labels("begin").inc()
            raise BusyError("Too many photos are looked at already; come back in a while.")
        self._begun += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._beginning, work, *arguments)
        finally:
            self._begun -= 1

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Threads and places, for as long as the server runs."""
        self._places = asyncio.Semaphore(self.settings.jobs)
        self._drawing = ThreadPoolExecutor(usable_cores(), "draw")
        self._beginning = ThreadPoolExecutor(1, "begin", _stand_back)
        gc.collect()
        gc.freeze()  # the collector need not look at all that was imported again: it would hold frames up
        try:
            yield
        finally:
            self._drawing.shutdown(wait=False, cancel_futures=True)
            self._beginning.shutdown(wait=False, cancel_futures=True)
            gc.unfreeze()

    @contextlib.contextmanager
    def session(self) -> Iterator[None]:
        """A place for a live talk. Raises BusyError if none is left."""
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

    def require_place(self) -> None:
        """Raises BusyError if no more videos may wait."""
        if self._waiting >= self.settings.queue + self.settings.jobs:
            self.counts.refused.labels("animate").inc()
            raise BusyError(f"{self._waiting} videos are made or wait already; come back in a while.")

    async def make(self, job: Job, name: str) -> None:
        """Makes a video in a process of its own, when there is a place.

        Raises:
            BusyError: if too many wait already.
            StillspeakError: if the input cannot be used, or another video of this name is being made.
            WorkerError: if the process ended without a result, or took too long.
        """
        self.require_place()
        self._forget()
        if name in self.progress and not self.progress[name].ended:
            raise StillspeakError(f"A video of the name {name} is being made; give this one another.")
        progress = self.progress[name] = Progress()
        self._waiting += 1
        try:
            async with self._places, asyncio.timeout(self.settings.job_seconds):
                progress.state = "running"
                await self._worker(job, progress)
            progress.state = "done"
        except TimeoutError as error:
            progress.state = "failed"
            raise WorkerError(f"The video took longer than {self.settings.job_seconds:g} s.") from error
        except BaseException:
            progress.state = "failed"
            raise
        finally:
            self._waiting -= 1
            progress.ended = time.monotonic()
            self.counts.videos.labels(progress.state).inc()

    async def _worker(self, job: Job, progress: Progress) -> None:
        command = [sys.executable, "-m", "stillspeak.serving.worker"]
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            threads = max(1, usable_cores() // self.settings.jobs)
            asked = {"job": asdict(job), "model": self.settings.model, "threads": threads}
            process.stdin.write(json.dumps(asked).encode())
            process.stdin.close()
            async for line in process.stdout:
                said = json.loads(line)
                if "error" in said:
                    raise (TemporaryFolderError if said["full"] else StillspeakError)(said["error"])
                if "ok" in said:
                    return
                progress.done, progress.total = said["done"], said["total"]
            raise WorkerError("The process that made the video ended without a result; try again.")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()

    def _forget(self) -> None:
        """Lets go of jobs that ended a while ago."""
        now = time.monotonic()
        for name in [n for n, p in self.progress.items() if p.ended and now - p.ended > _REMEMBERED_SECONDS]:
            del self.progress[name]


class Counts:
    """What ``/metrics`` tells."""

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
        """In Prometheus' text format."""
        return generate_latest(self._all)


def _stand_back() -> None:
    """Gives this thread less of the processor, where threads can be given less; where that is refused it goes on as it is."""
    if sys.platform != "linux":
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError, AttributeError):
        now = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(now, _BEHIND))  # nobody may take more than they have
