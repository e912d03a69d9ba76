"""Adds ``POST /dub``. Its film is followed, fetched and deleted like those of ``POST /animate``."""

import math
from typing import Annotated, Literal

from fastapi import FastAPI, File, Form, Header, Request, Response, UploadFile
from fastapi.responses import FileResponse

from stillspeak.dub_jobs import DubJob
from stillspeak.errors import MediaError
from stillspeak.runtime.engine import MOST_GAIN
from stillspeak.serving.film_routes import NAME, VIDEO, answer, keep, patience, until_over
from stillspeak.serving.films import Film, without_paths
from stillspeak.serving.length import speech_seconds
from stillspeak.serving.refusals import refusals
from stillspeak.serving.service import Service

_LOUDEST = 4.0  # the largest gain of the filmed sound


def add_dubbing(app: FastAPI, service: Service) -> None:
    """Adds the route that lets a film say something else."""
    codes = 400, 401, 403, 404, 413, 422, 500, 503, 507

    @app.post("/dub", response_class=FileResponse, responses={**VIDEO, **refusals(*codes)})
    async def dub(
        request: Request,
        film: Annotated[UploadFile, File(description="a video in which a person faces the camera")],
        speech: Annotated[UploadFile, File(description="any sound file, or a video with sound")],
        face: Annotated[str, Form(max_length=8, description="largest, or a number")] = "largest",
        extend: Annotated[Literal["hold", "loop", "pingpong", "end"], Form(description="if speech is longer")] = "hold",
        keep_sound: Annotated[float, Form(ge=0, le=_LOUDEST, description="gain of the filmed sound")] = 0.0,
        seed: Annotated[int, Form(ge=0, le=2**32)] = 0,
        label: Annotated[bool, Form(description='"AI-generated" in a corner')] = False,
        mouth: Annotated[float, Form(ge=0, le=MOST_GAIN, description="how far it opens; 1 is as speech says")] = 1.0,
        job: Annotated[str | None, Form(pattern=NAME, description="a name to fetch the video by later")] = None,
        prefer: Annotated[str | None, Header(description="respond-async: answer at once; wait=N: in N s")] = None,
    ) -> Response:
        """Lets a person of the film say the speech.

        If the speech is short, the answer is the video. Otherwise it is 202 with the address to fetch it from.
        """
        service.animator.engine.require_mouth(mouth)
        made = service.films.begin(job)
        try:
            files = str(made.folder / "film"), str(made.folder / "speech"), str(made.video)
            asked = DubJob(*files, face, extend, seed, mouth, keep_sound, label)
            seconds = await _started(service, made, film, speech, asked)
            await until_over(request, made, patience(request, seconds <= service.settings.direct_seconds))
            return answer(request, made, service if job is None else None)
        except BaseException:
            if job is None or made.task is None:  # the client has no name for it, or it never began
                await service.films.drop(made)
            raise


async def _started(service: Service, made: Film, film: UploadFile, speech: UploadFile, asked: DubJob) -> float:
    """Keeps the client's files, and begins the work; returns the length of the speech in seconds, inf if it is unknown."""
    seconds: float | None = None
    try:
        await service.begin(keep, film, made.folder / "film")
        await service.begin(keep, speech, made.folder / "speech")
        seconds = await speech_seconds(made.folder / "speech")
    except (MediaError, OSError) as error:
        if made.error is None and isinstance(error, MediaError):
            raise MediaError(without_paths(str(error), made.folder)) from error
        if made.error is None:
            raise
    if made.error is not None:  # it was deleted meanwhile
        raise made.error
    service.films.start(made, asked)
    return math.inf if seconds is None else seconds
