"""Adds the routes of videos: ``POST /animate``, the progress of a video, the finished video, and deleting it."""

import asyncio
import contextlib
import json
import math
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Annotated, Any, Literal

import PIL.Image
from fastapi import FastAPI, File, Form, Header, HTTPException, Request, Response, UploadFile
from fastapi import Path as PathField
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel
from starlette.background import BackgroundTask

from stillspeak.dub_jobs import DubJob
from stillspeak.errors import MediaError
from stillspeak.jobs import Job, frame_rate
from stillspeak.media.images import Image
from stillspeak.runtime.engine import MOST_GAIN
from stillspeak.serving.films import Film, without_paths
from stillspeak.serving.length import speech_seconds
from stillspeak.serving.refusals import BusyError, UnknownFilmError, refusals
from stillspeak.serving.service import Service

_ASK_SECONDS = 0.3  # the server looks so often whether a client has left, and tells progress
_ALIVE_SECONDS = 15.0  # after so long without news, a comment shows that the connection lives
_MOST_TOLD = 200  # so many clients may follow videos at once, for connections that stay silent crowd others out
_RETRY_SECONDS = 2  # a client asks again for an unfinished video after so long
NAME = "^[A-Za-z0-9_-]{1,64}$"
_WAIT = re.compile(r"wait\s*=\s*(\d{1,9})")
_JobName = Annotated[str, PathField(pattern=NAME, description="the video's name")]
_NOTES = "X-Stillspeak-Notes"
_MOST_NOTES = 2000  # characters: a proxy refuses an answer whose headers take more than some 4000
_PRIVATE = {"Cache-Control": "private, no-store"}


class Standing(BaseModel):
    """Describes a video that is being made: its name, its state, the frames made, of how many if that is known, and notes."""

    job: str
    state: Literal["waiting", "running", "done", "failed"]
    done: int
    total: int | None
    notes: list[str]


_ABOUT_NOTES = "What a user should hear of the photo: a JSON list of sentences, in ASCII. Absent if all is well."
VIDEO: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"video/mp4": {}},
        "description": "The video.",
        "headers": {_NOTES: {"description": _ABOUT_NOTES, "schema": {"type": "string"}}},
    },
    202: {"model": Standing, "description": "The video is being made: fetch it from Location later."},
}


def require_small(photo: UploadFile, service: Service) -> None:
    """Raises HTTPException 413 if a photo is too large."""
    if (photo.size or 0) > service.settings.photo_mb * 1e6:
        raise HTTPException(413, f"A photo may have {service.settings.photo_mb:g} MB.")


def add_films(app: FastAPI, service: Service) -> None:
    """Adds the routes of videos."""
    _add_making(app, service)
    _add_fetching(app, service)
    _add_progress(app, service)


def _add_making(app: FastAPI, service: Service) -> None:
    codes = 400, 401, 403, 404, 413, 422, 500, 503, 507

    @app.post("/animate", response_class=FileResponse, responses={**VIDEO, **refusals(*codes)})
    async def animate(
        request: Request,
        photo: Annotated[UploadFile, File(description="a picture with a face in it")],
        speech: Annotated[UploadFile, File(description="any sound file, or a video with sound")],
        face: Annotated[str, Form(max_length=8, description="largest, all, or a number")] = "largest",
        seed: Annotated[int, Form(ge=0, le=2**32)] = 0,
        fps: Annotated[str | None, Form(max_length=16, description="25, 29.97, 30000/1001")] = None,
        crop: Annotated[bool, Form(description="the model's own 96 x 128 frames")] = False,
        label: Annotated[bool, Form(description='"AI-generated" in a corner')] = False,
        mouth: Annotated[float, Form(ge=0, le=MOST_GAIN, description="how far it opens; 1 is as speech says")] = 1.0,
        teeth: Annotated[UploadFile | None, File(description="another photo of the person, with an open smile")] = None,
        job: Annotated[str | None, Form(pattern=NAME, description="a name to fetch the video by later")] = None,
        prefer: Annotated[str | None, Header(description="respond-async: answer at once; wait=N: in N s")] = None,
    ) -> Response:
        """Makes a video of the photo saying the speech.

        If the speech is short, the answer is the video. If it is long, the answer is 202 with the address to fetch it from.
        """
        photos = [photo] if teeth is None else [photo, teeth]
        for one in photos:
            require_small(one, service)
        if fps is not None:
            frame_rate(fps)
        service.animator.engine.require_mouth(mouth)
        film = service.films.begin(job)
        smile = None if teeth is None else str(film.teeth)
        asked = Job(*film.files, face=face, seed=seed, fps=fps, crop=crop, label=label, mouth=mouth, teeth=smile)
        return await delivered(request, service, film, asked, _keep_photos(service, film, photos), speech, job is None)


def _add_fetching(app: FastAPI, service: Service) -> None:
    path, codes = "/animate/{job}", (401, 403, 404, 422)

    @app.get(path, response_class=FileResponse, responses={**VIDEO, **refusals(400, 500, 503, *codes)})
    async def fetch(request: Request, job: _JobName) -> Response:
        """Returns the video once it is made; until then how far it is; or, if it failed, what went wrong."""
        return _answer(request, _known(service, job))

    @app.delete(path, status_code=204, responses=refusals(*codes))
    async def delete(job: _JobName) -> Response:
        """Stops a video that is being made, or deletes a finished one."""
        await service.films.drop(_known(service, job))
        return Response(status_code=204)


def _add_progress(app: FastAPI, service: Service) -> None:
    events = {
        "content": {"text/event-stream": {}},
        "description": "Events whose data is JSON: state, done, total, notes.",
    }

    @app.get(
        "/animate/{job}/events",
        response_class=StreamingResponse,
        responses={200: events, **refusals(401, 403, 422, 503)},
    )
    async def progress(job: _JobName) -> StreamingResponse:
        """Sends server-sent events that say how far the video with this name is."""
        if app.state.told >= _MOST_TOLD:
            raise BusyError(f"{_MOST_TOLD} clients follow videos already; come back in a while.")
        at_once = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}  # no proxy holds events back
        return StreamingResponse(_told(app, service, job), media_type="text/event-stream", headers=at_once)


async def delivered(
    request: Request,
    service: Service,
    film: Film,
    asked: Job | DubJob,
    keeping: Awaitable[None],
    speech: UploadFile,
    unnamed: bool,
) -> Response:
    """Keeps the client's files, makes a film of them, and answers with it, or with how far it is if that takes long.

    Args:
        request: the client's request.
        service: makes the film.
        film: the film, which has begun.
        asked: what the film is to show.
        keeping: keeps the client's picture in the film's folder.
        speech: the client's speech.
        unnamed: whether the client gave the film no name. Then it is forgotten once it is sent, or if it fails.
    """
    try:
        seconds = await _started(service, film, asked, keeping, speech)
        short = seconds is not None and seconds <= service.settings.direct_seconds
        await _until_over(request, film, _patience(request, short))
        return _answer(request, film, service if unnamed else None)
    except BaseException:
        if unnamed or film.task is None:  # the client has no name for it, or it never began
            await service.films.drop(film)
        raise


async def _started(
    service: Service, film: Film, asked: Job | DubJob, keeping: Awaitable[None], speech: UploadFile
) -> float | None:
    """Keeps the client's files, the picture first, and begins a film; returns the length of the speech, as its file says."""
    seconds: float | None = None
    try:
        await keeping
        await service.begin(keep, speech, film.folder / "speech")
        seconds = await speech_seconds(film.folder / "speech")
    except (MediaError, OSError) as error:
        if film.error is None and isinstance(error, MediaError):
            raise MediaError(without_paths(str(error), film.folder)) from error
        if film.error is None:
            raise
    if film.error is not None:  # it was deleted meanwhile
        raise film.error
    service.films.start(film, asked)
    return seconds


async def _keep_photos(service: Service, film: Film, photos: list[UploadFile]) -> None:
    """Keeps the photo, and the one for the teeth if there is one."""
    await _keep_photo(service, photos[0], film.folder / "photo", "The photo")
    for smile in photos[1:]:
        await _keep_photo(service, smile, film.teeth, "The photo for the teeth")


def keep(upload: UploadFile, path: Path) -> None:
    """Writes a client's file to a path."""
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)


async def _keep_photo(service: Service, upload: UploadFile, path: Path, name: str) -> None:
    """Decodes a client's photo in a process of its own, and keeps it. An error calls the photo ``name``."""
    try:
        pixels, _ = await service.photo(await upload.read())
    except MediaError as error:
        raise MediaError(str(error).replace("The photo", name, 1)) from error
    await service.begin(_keep_picture, pixels, path)


def _keep_picture(pixels: Image, path: Path) -> None:
    """Keeps a photo as a PNG with little compression, so that nothing else of a stranger's file is kept."""
    PIL.Image.fromarray(pixels).save(path, "PNG", compress_level=1)


def _patience(request: Request, short: bool) -> float:
    """Returns how many seconds a client waits for the video itself (RFC 7240, ``Prefer``)."""
    preferred = ",".join(request.headers.getlist("prefer")).lower()
    parts = [part.strip() for part in re.split("[,;]", preferred)]
    waits = [found for part in parts if (found := _WAIT.fullmatch(part))]
    if waits:
        return float(waits[0][1])
    return math.inf if short and "respond-async" not in parts else 0.0


async def _until_over(request: Request, film: Film, seconds: float) -> None:
    """Waits until a film is made, at most for so long.

    Raises:
        HTTPException: when the client has gone.
        BusyError: when the server ends.
    """
    until = time.monotonic() + seconds
    while not film.over.is_set() and (left := until - time.monotonic()) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, _ASK_SECONDS)):
                await film.over.wait()
        if not film.over.is_set() and request.app.state.stopping:
            raise BusyError("The server ends; ask again when it is back.")
        if not film.over.is_set() and await request.is_disconnected():
            raise HTTPException(499, "The client has gone.")


def _answer(request: Request, film: Film, forgetting: Service | None = None) -> Response:
    """Returns the film, or how far it is, or why it failed; ``forgetting`` forgets a film that has been sent."""
    if film.state == "done":
        sent = None if forgetting is None else BackgroundTask(forgetting.films.drop, film)
        told = {**_PRIVATE, **noted(film.notes)}
        return FileResponse(film.video, headers=told, media_type="video/mp4", background=sent, filename="talk.mp4")
    if film.error is not None:
        raise film.error
    where = f"{request.scope.get('root_path', '')}/animate/{film.name}"
    told = {"Location": where, "Retry-After": str(_RETRY_SECONDS), **_PRIVATE}
    return JSONResponse({"job": film.name, **film.standing()}, 202, told)


def noted(notes: list[str]) -> dict[str, str]:
    """Returns the header with as many notes as fit, in JSON and ASCII, which hold any text and break no header."""
    fitting = [*notes]
    while fitting and len(json.dumps(fitting)) > _MOST_NOTES:
        fitting.pop()
    return {_NOTES: json.dumps(fitting)} if fitting else {}


def _known(service: Service, name: str) -> Film:
    film = service.films.find(name)
    if film is None:
        raise UnknownFilmError(f"There is no video of the name {name}, or it is no longer kept.")
    return film


async def _told(app: FastAPI, service: Service, name: str) -> AsyncIterator[str]:
    """Yields progress as it changes, until the video is there; if nobody uses the name yet, it waits."""
    before, silent, unknown = None, 0.0, 0.0
    app.state.told += 1
    try:
        while unknown < service.settings.job_seconds:
            film = service.films.find(name)
            unknown += _ASK_SECONDS if film is None else 0.0
            now = film.standing() if film is not None else {"state": "unknown", "done": 0, "total": None, "notes": []}
            if now != before:
                yield f"data: {json.dumps(now)}\nretry: {1000 * _RETRY_SECONDS}\n\n"
                before, silent = now, 0.0
            elif silent >= _ALIVE_SECONDS:
                yield ": the connection lives\n\n"
                silent = 0.0
            if now["state"] in ("done", "failed") or app.state.stopping:
                return
            await asyncio.sleep(_ASK_SECONDS)
            silent += _ASK_SECONDS
    finally:
        app.state.told -= 1
