"""Adds ``POST /dub``. Its film is followed, fetched and deleted like those of ``POST /animate``."""

from typing import Annotated, Literal

from fastapi import FastAPI, File, Form, Header, Request, Response, UploadFile
from fastapi.responses import FileResponse

from stillspeak.dub import LOUDEST
from stillspeak.dub_jobs import DubJob
from stillspeak.runtime.engine import MOST_GAIN
from stillspeak.serving.film_routes import NAME, VIDEO, delivered, keep
from stillspeak.serving.refusals import refusals
from stillspeak.serving.service import Service


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
        keep_sound: Annotated[float, Form(ge=0, le=LOUDEST, description="gain of the filmed sound")] = 0.0,
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
        files = str(made.folder / "film"), str(made.folder / "speech"), str(made.video)
        asked = DubJob(*files, face, extend, seed, mouth, keep_sound, label)
        keeping = service.begin(keep, film, made.folder / "film")
        return await delivered(request, service, made, asked, keeping, speech, job is None)
