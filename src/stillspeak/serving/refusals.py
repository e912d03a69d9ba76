"""Defines how the server refuses: with a status, and a JSON object with one sentence."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from stillspeak.errors import StillspeakError

_RETRY_SECONDS = 10


class BusyError(Exception):
    """No place is left."""


class WorkerError(Exception):
    """The process that makes a video ended without a result, or took too long."""


class UnknownFilmError(Exception):
    """There is no video of this name, or no longer."""


class Said(BaseModel):
    """Holds an error: one sentence that says what is wrong."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Said, "description": "The input cannot be used."},
    401: {"model": Said, "description": "The API key is missing or wrong."},
    403: {"model": Said, "description": "The page that asks comes from another place."},
    404: {"model": Said, "description": "There is no video of this name, or no longer."},
    413: {"model": Said, "description": "The request is too large."},
    422: {"model": Said, "description": "A field is missing or makes no sense."},
    500: {"model": Said, "description": "The video's process ended without a result."},
    503: {"model": Said, "description": "No place is left; Retry-After says when to come back."},
    507: {"model": Said, "description": "The server's temporary folder has no room."},
}


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Returns the descriptions of some statuses, for a route."""
    return {code: REFUSALS[code] for code in codes}


def add_refusals(app: FastAPI) -> None:
    """Turns every error of the server into a JSON object with a sentence."""
    add_sentences(app)

    @app.exception_handler(StillspeakError)
    async def unusable(_: Request, error: StillspeakError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 400)

    @app.exception_handler(BusyError)
    async def busy(_: Request, error: BusyError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503, {"Retry-After": str(_RETRY_SECONDS)})

    @app.exception_handler(WorkerError)
    async def broken(_: Request, error: WorkerError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 500)

    @app.exception_handler(UnknownFilmError)
    async def unknown(_: Request, error: UnknownFilmError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)


def add_sentences(app: FastAPI) -> None:
    """Answers a wrong request with a sentence that does not repeat the request."""

    @app.exception_handler(RequestValidationError)
    async def senseless(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        said = "a file is needed" if "UploadFile" in first["msg"] else first["msg"]
        return JSONResponse({"detail": f"{where}: {said}."}, 422)
