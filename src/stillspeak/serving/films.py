"""Makes the videos of a server, each in a process of its own, and keeps them for a while after their requests."""

import asyncio
import contextlib
import json
import shutil
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stillspeak.cores import usable_cores
from stillspeak.dub_jobs import DubJob
from stillspeak.errors import StillspeakError, TemporaryFolderError
from stillspeak.jobs import Job
from stillspeak.serving.counts import Counts
from stillspeak.serving.folder import own_folder
from stillspeak.serving.protocol import for_client
from stillspeak.serving.refusals import BusyError, UnknownFilmError, WorkerError
from stillspeak.serving.settings import Settings


@dataclass(eq=False)
class Film:
    """Describes a video, from its upload until it is forgotten.

    Attributes:
        name: the name by which clients ask for it.
        folder: the folder that holds ``photo`` or ``film``, ``speech`` and perhaps ``teeth``, and in the end ``talk.mp4``.
        state: waiting, running, done or failed.
        done, total: how many frames are made, and how many there will be, if that is known.
        notes: sentences about the photo and the model that a user should read, such as how many faces there are.
        error: the reason why it failed.
        over: the event that is set once the video is done or failed.
    """

    name: str
    folder: Path
    state: str = "waiting"
    done: int = 0
    total: int | None = None
    notes: list[str] = field(default_factory=list)
    error: Exception | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    size: int = 0  # the bytes of the video

    @property
    def files(self) -> tuple[str, str, str]:
        """Returns the paths of photo, speech and video."""
        return str(self.folder / "photo"), str(self.folder / "speech"), str(self.video)

    @property
    def teeth(self) -> Path:
        """Returns the path of the second photo of the person, which the client may have sent."""
        return self.folder / "teeth"

    @property
    def video(self) -> Path:
        """Returns the path of the finished video."""
        return self.folder / "talk.mp4"

    def standing(self) -> dict[str, str | int | list[str] | None]:
        """Returns how far the video is, as clients read it."""
        return {"state": self.state, "done": self.done, "total": self.total, "notes": [*self.notes]}


class Films:
    """Holds all videos of a server by name, while the server runs."""

    def __init__(self, settings: Settings, counts: Counts) -> None:
        self._settings, self._counts = settings, counts
        self._films: dict[str, Film] = {}  # the oldest first

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Opens the places, and the folder that holds all files, for the time of a ``with``."""
        self._places = asyncio.Semaphore(self._settings.jobs)
        with own_folder() as self._folder:
            try:
                yield
            finally:
                for film in [*self._films.values()]:
                    await self.drop(film)

    def begin(self, name: str | None) -> Film:
        """Takes a place for a new video; without a name it gets one that nobody can guess.

        Raises:
            BusyError: if too many videos wait already.
            StillspeakError: if another video of this name is being made.
        """
        waiting = sum(not film.over.is_set() for film in self._films.values())
        if waiting >= self._settings.queue + self._settings.jobs:
            self._counts.refused.labels("animate").inc()
            raise BusyError(f"{waiting} videos are made or wait already; come back in a while.")
        name = name or uuid.uuid4().hex
        before = self._films.get(name)
        if before is not None and not before.over.is_set():
            raise StillspeakError(f"A video of the name {name} is being made; give this one another.")
        folder = self._folder / uuid.uuid4().hex  # a client's name never becomes a path
        folder.mkdir()
        if before is not None:
            self._forget(before)
        film = self._films[name] = Film(name, folder)
        return film

    def start(self, film: Film, job: Job | DubJob) -> None:
        """Makes a video that was begun, when its turn comes; its inputs lie in its folder."""
        film.task = asyncio.create_task(self._make(film, job))

    def find(self, name: str) -> Film | None:
        """Returns the video with a name, or None."""
        return self._films.get(name)

    async def drop(self, film: Film) -> None:
        """Stops a video that is being made, and forgets it."""
        film.error = film.error or UnknownFilmError("The video was deleted.")
        if film.task is not None:
            film.task.cancel()
            await asyncio.wait([film.task])
        film.over.set()
        self._forget(film)

    async def _make(self, film: Film, job: Job | DubJob) -> None:
        seconds = self._settings.job_seconds
        try:
            async with self._places, asyncio.timeout(seconds):
                film.state = "running"
                await make(job, self._settings, film)
            film.size = film.video.stat().st_size
            film.state = "done"
        except TimeoutError:
            film.error = WorkerError(f"The video took longer than {seconds:g} s.")
        except StillspeakError as error:
            film.error = type(error)(without_paths(str(error), film.folder))
        except Exception as error:  # whoever asks for the video reads it
            film.error = error
        finally:
            film.state = "done" if film.state == "done" else "failed"
            self._counts.videos.labels(film.state).inc()
            for name in ("photo", "film", "speech", "teeth"):
                (film.folder / name).unlink(missing_ok=True)
            film.over.set()
            self._keep(film)

    def _keep(self, film: Film) -> None:
        """Keeps finished videos for their time, and deletes the oldest if all together are too large."""
        asyncio.get_running_loop().call_later(60 * self._settings.keep_minutes, self._forget, film)
        made = [one for one in self._films.values() if one.size and one is not film]
        while made and film.size + sum(one.size for one in made) > self._settings.keep_mb * 1e6:
            self._forget(made.pop(0))

    def _forget(self, film: Film) -> None:
        shutil.rmtree(film.folder, ignore_errors=True)
        if self._films.get(film.name) is film:
            del self._films[film.name]


async def make(job: Job | DubJob, settings: Settings, film: Film) -> None:
    """Makes a video in a process of its own, and ends the process when it is cancelled.

    Raises:
        TemporaryFolderError: if there is no room for the video.
        StillspeakError: if the input cannot be used.
        WorkerError: if the process ended without a result.
    """
    command = [sys.executable, "-m", "stillspeak.serving.worker"]
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        threads = max(1, usable_cores() // settings.jobs)
        asked = {"kind": type(job).__name__, "job": asdict(job), "model": settings.model, "threads": threads}
        process.stdin.write(json.dumps(asked).encode())
        process.stdin.close()
        async for line in process.stdout:
            said = json.loads(line)
            if "error" in said:
                raise (TemporaryFolderError if said.get("full") else StillspeakError)(said["error"])
            if "ok" in said:
                return
            if "note" in said:
                film.notes.append(for_client(said["note"]))
            else:
                film.done, film.total = said["done"], said["total"]
        raise WorkerError("The process that made the video ended without a result; try again.")
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def without_paths(sentence: str, folder: Path) -> str:
    """Returns a sentence about the client's files without the server's paths."""
    for name in ("photo", "film", "speech", "talk.mp4"):
        sentence = sentence.replace(str(folder / name), f"The {name.removesuffix('.mp4')}")
    return sentence
