"""Builds the live server, a FastAPI application. Other modules add the routes of videos and talks.

A client's name never becomes a path: uploads are kept under names of our own, in a folder that is deleted with the server.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, File, Response, UploadFile
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from stillspeak.media.provenance import package_version
from stillspeak.runtime.scene import numbered
from stillspeak.serving.dub_routes import add_dubbing
from stillspeak.serving.film_routes import add_films, require_small
from stillspeak.serving.ice import IceServer, read_ice_server
from stillspeak.serving.limits import BodyLimit, Gate
from stillspeak.serving.listen import listen
from stillspeak.serving.proxies import stand_behind
from stillspeak.serving.reference import add_reference
from stillspeak.serving.refusals import add_refusals, refusals
from stillspeak.serving.room import add_room
from stillspeak.serving.service import Service, Settings
from stillspeak.serving.talk_routes import add_talks

STATIC = Path(__file__).parent / "static"
_PAGE = {"/"} | {f"/{path.name}" for path in STATIC.iterdir()}
_OPEN = _PAGE | {"/health", "/docs", "/openapi.json"}


class Health(BaseModel):
    """Says that the server runs, with which model, and how busy it is."""

    status: str
    version: str
    model: str
    fps: int
    rate_hz: int
    sessions: int


class Told(BaseModel):
    """Holds what a page must know of the server's settings."""

    ice_servers: list[IceServer]


class FoundFace(BaseModel):
    """Describes a face of a photo: the number that ``face`` takes, and its box in pixels."""

    number: int
    left: int
    top: int
    right: int
    bottom: int


def create_app(settings: Settings | None = None) -> FastAPI:
    """Builds the server as an ASGI application.

    Raises:
        ModelError: if there is no such model.
        OutputError: if a setting makes no sense.
    """
    settings = settings or Settings()
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.opened():
            async with service.films.opened():
                yield
            for caller in [*app.state.callers]:
                await caller.close()

    app = FastAPI(
        title="stillspeak",
        version=package_version(),
        summary="A photo and speech in, a video of that person saying it out. Everything made here is synthetic and says so.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own page would load its parts from another host
        redoc_url=None,
    )
    app.state.service, app.state.callers, app.state.stopping, app.state.told = service, set(), False, 0
    app.add_middleware(BodyLimit, most=round(settings.body_mb * 1e6))
    app.add_middleware(Gate, service=service, open_paths=_OPEN, allowed=settings.proxies.origins())
    stand_behind(app, settings.proxies, _PAGE)
    add_refusals(app)
    add_room(app)
    add_reference(app)
    _add_asking(app, service)
    add_films(app, service)
    add_dubbing(app, service)
    add_talks(app, service)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _add_asking(app: FastAPI, service: Service) -> None:
    ice_servers = [read_ice_server(text) for text in service.settings.ice_servers]

    @app.get("/health")
    async def health() -> Health:
        """Says that the server runs, and how busy it is."""
        about = service.animator
        return Health(
            status="ok",
            version=package_version(),
            model=about.engine.description.name,
            fps=about.fps,
            rate_hz=about.rate_hz,
            sessions=service.counts.live,
        )

    @app.get("/settings", responses=refusals(401, 403))
    async def settings() -> Told:
        """Returns what a page must know: the STUN and TURN servers that the user chose."""
        return Told(ice_servers=ice_servers)

    @app.get("/metrics", responses=refusals(401, 403), response_class=Response)
    async def metrics() -> Response:
        """Returns counts for Prometheus."""
        return Response(service.counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/faces", responses=refusals(400, 401, 403, 413, 422, 503))
    async def faces(photo: Annotated[UploadFile, File(description="a picture with faces in it")]) -> list[FoundFace]:
        """Finds the faces of a photo, and returns them best first."""
        require_small(photo, service)
        pixels, smaller = await service.photo(await photo.read())
        found = (await service.begin(numbered, pixels))[1]
        boxes = [[round(edge * smaller) for edge in face.box] for face in found]
        return [
            FoundFace(number=n, left=box[0], top=box[1], right=box[2], bottom=box[3]) for n, box in enumerate(boxes, 1)
        ]


def serve(settings: Settings, host: str, port: int) -> None:
    """Runs the server until it is stopped.

    Raises:
        ModelError: if there is no such model.
        OutputError: if the port cannot be had, or a setting makes no sense.
    """
    listen(create_app(settings), host, port, ws_max_size=round(settings.photo_mb * 1e6) + 1)
