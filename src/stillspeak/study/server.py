"""Serves a user study to browsers: the page asks one question at a time, and answers go into the study's SQLite file.

A visitor is a random token behind ``#`` in the page's address. The server keeps nothing else of them and sets no cookie; a
visitor who comes back with the token goes on where they stopped. The page asks for videos by question, so no address says what
made them.
"""

import sqlite3
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from stillspeak.errors import DataError
from stillspeak.media.provenance import package_version
from stillspeak.serving.limits import BodyLimit
from stillspeak.serving.listen import listen
from stillspeak.serving.origins import Origin, may_ask
from stillspeak.serving.proxies import ALONE, Proxies, stand_behind
from stillspeak.serving.refusals import add_sentences
from stillspeak.study.answers import Answers, Question, is_right
from stillspeak.study.build import VIDEOS, Study, read_study

PAGE = Path(__file__).parent / "page"
_MOST_BYTES = 10_000  # of a request
_CHECKS = 1  # attention checks that a visitor sees


class About(BaseModel):
    """Holds what a visitor reads before they agree: what they will see and what the researcher tells. Empty texts stay hidden."""

    kind: Literal["turing", "preference"]
    questions: int
    researcher: str
    contact: str
    purpose: str
    duration: str
    withdrawal: str


class Consent(BaseModel):
    """Holds the request of a visitor who agrees to take part."""

    consent: Literal[True]


class Asked(BaseModel):
    """Holds a question as the page sees it: whether it has two videos, and whether it was answered."""

    number: int
    pair: bool
    answered: bool


class Visit(BaseModel):
    """Says how far a visitor is. ``right`` and ``of`` are the score of a Turing test, once everything is answered."""

    visitor: str
    kind: Literal["turing", "preference"]
    questions: list[Asked]
    right: int | None = None
    of: int | None = None


class Answer(BaseModel):
    """Holds a visitor's answer, and how many seconds they took."""

    answer: str = Field(max_length=16)
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)


def create_study_app(folder: Path, proxies: Proxies = ALONE) -> FastAPI:
    """Makes the study of a folder an ASGI application.

    Raises:
        DataError: if the folder holds no study.
        OutputError: if answers cannot be kept.
    """
    allowed = proxies.origins()
    study = read_study(folder)
    answers = Answers(folder, study)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        answers.close()

    app = FastAPI(title="stillspeak study", version=package_version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, most=_MOST_BYTES)
    stand_behind(app, proxies, {"/"} | {f"/{path.name}" for path in PAGE.iterdir()})
    add_sentences(app)
    _add_refusals(app)
    _add_visits(app, folder, study, answers, allowed)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _add_refusals(app: FastAPI) -> None:
    """Answers with a sentence in JSON where a visitor or a video is unknown, or an answer cannot be kept."""

    @app.exception_handler(DataError)
    async def unknown(_: Request, error: DataError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 404)

    @app.exception_handler(sqlite3.Error)
    async def unkept(_: Request, error: sqlite3.Error) -> JSONResponse:
        return JSONResponse({"detail": f"The answer could not be kept: {error}."}, 503, {"Retry-After": "10"})


def _add_visits(app: FastAPI, folder: Path, study: Study, answers: Answers, allowed: Collection[Origin]) -> None:
    """Adds the routes of a visit: the description of the study, the visitors, the videos and the answers."""

    @app.get("/study")
    def about() -> About:
        """Describes the study, for the page on which visitors agree to take part."""
        return About(kind=study.kind, questions=sum(study.shown) + _CHECKS, **asdict(study.information))

    @app.post("/visitors")
    def begin(request: Request, _: Consent) -> Visit:
        """Adds a visitor."""
        if not may_ask(request.headers, allowed):
            raise HTTPException(403, "Pages of other places may not take part.")
        token = answers.begin()
        return _visit(study, token, answers.questions(token))

    @app.get("/visitors/{visitor}")
    def visit(visitor: str) -> Visit:
        """Says how far a visitor is."""
        return _visit(study, visitor, answers.questions(visitor))

    @app.get("/visitors/{visitor}/questions/{number}/{side}.mp4", response_class=FileResponse)
    def video(visitor: str, number: int, side: Literal["left", "right"]) -> FileResponse:
        """Sends a video of a question; the only one of a Turing test is on the left."""
        question = next((q for q in answers.questions(visitor) if q.number == number), None)
        name = getattr(question, side, "")
        if not name:
            raise HTTPException(404, "There is no such video.")
        return FileResponse(folder / VIDEOS / name, media_type="video/mp4", headers={"Cache-Control": "no-store"})

    @app.put("/visitors/{visitor}/questions/{number}")
    def answer(visitor: str, number: int, said: Annotated[Answer, "JSON"]) -> Visit:
        """Takes an answer. The first one counts, and a second changes nothing."""
        return _visit(study, visitor, answers.answer(visitor, number, said.answer, said.seconds))


def _visit(study: Study, token: str, questions: list[Question]) -> Visit:
    asked = [Asked(number=q.number, pair=bool(q.right), answered=bool(q.answer)) for q in questions]
    visit = Visit(visitor=token, kind=study.kind, questions=asked)
    if study.kind == "turing" and all(q.answer for q in questions):
        judged = [is_right(q, study) for q in questions if not study.film(q.left).check]
        visit.right, visit.of = sum(judged), len(judged)
    return visit


def serve_study(folder: Path, host: str, port: int, proxies: Proxies = ALONE) -> None:
    """Serves a study until it is stopped. Raises DataError if there is none, OutputError if the port cannot be had."""
    listen(create_study_app(folder, proxies), host, port)
