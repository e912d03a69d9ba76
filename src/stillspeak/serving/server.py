"""The live server: FastAPI. Videos by ``POST /animate``, live talks by ``WS /talk``, the page at ``/``.

No name that a client gives becomes a path: uploads are kept under names of our own, in a folder that goes with the answer.
"""

import asyncio
import json
import shutil
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, File, Form, HTTPException, Query, Request, Response, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.background import BackgroundTask

from stillspeak.errors import OutputError, StillspeakError
from stillspeak.jobs import Job
from stillspeak.media.images import decode_image
from stillspeak.media.provenance import package_version
from stillspeak.runtime.scene import numbered
from stillspeak.serving.limits import BodyLimit, Gate, key_of, knows_key, same_origin
from stillspeak.serving.protocol import MOST_HZ, Hello
from stillspeak.serving.service import BusyError, Progress, Service, Settings, WorkerError
from stillspeak.serving.talk import LATER, REFUSED, Conversation, refuse

STATIC = Path(__file__).parent / "static"
_RETRY_SECONDS = 10
_ASK_SECONDS = 0.3  # how often a client's leaving is looked for, and progress is told
_NAME = "^[A-Za-z0-9_-]{1,64}$"
_OPEN = {"/", "/health", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"} | {
    f"/{path.name}" for path in STATIC.iterdir()
}


class Said(BaseModel):
    """An error: what is wrong, in one sentence."""

    detail: str


class Health(BaseModel):
    """That the server runs, with what, and how busy it is."""

    status: str
    version: str
    model: str
    fps: int
    rate_hz: int
    sessions: int


class FoundFace(BaseModel):
    """A face of a photo: the number that ``face`` takes, and its box in pixels."""

    number: int
    left: int
    top: int
    right: int
    bottom: int


class Answer(BaseModel):
    """The answer to a WebRTC offer."""

    sdp: str
    type: str = "answer"


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Said, "description": "The input cannot be used."},
    401: {"model": Said, "description": "The API key is missing or wrong."},
    403: {"model": Said, "description": "The page that asks comes from another place."},
    413: {"model": Said, "description": "The request is too large."},
    422: {"model": Said, "description": "A field is missing or makes no sense."},
}
_MAKING = {
    500: {"model": Said, "description": "The video's process ended without a result."},
    503: {"model": Said, "description": "No place is left; Retry-After says when to come back."},
}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The server as an ASGI application. Raises ModelError if there is no such model."""
    service = Service(settings or Settings())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with service.opened():
            yield
            for caller in [*app.state.callers]:
                await caller.close()

    app = FastAPI(
        title="stillspeak",
        version=package_version(),
        summary="A photo and speech in, a video of that person saying it out. Everything made here is synthetic and says so.",
        lifespan=lifespan,
    )
    app.state.service, app.state.callers, app.state.stopping = service, set(), False
    app.add_middleware(BodyLimit, most=round(service.settings.body_mb * 1e6))
    app.add_middleware(Gate, service=service, open_paths=_OPEN)
    _add_errors(app)
    _add_asking(app, service)
    _add_making(app, service)
    _add_talking(app, service)
    if find_spec("aiortc") is not None:
        _add_calling(app, service)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    return app


def _add_errors(app: FastAPI) -> None:
    """Every error is a JSON object with a sentence."""
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


def add_sentences(app: FastAPI) -> None:
    """What is wrong with a request is said in a sentence that does not repeat the request."""

    @app.exception_handler(RequestValidationError)
    async def senseless(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        said = "a file is needed" if "UploadFile" in first["msg"] else first["msg"]
        return JSONResponse({"detail": f"{where}: {said}."}, 422)


def _add_asking(app: FastAPI, service: Service) -> None:
    @app.get("/health")
    async def health() -> Health:
        """Whether the server runs, and how busy it is."""
        about = service.animator
        return Health(
            status="ok",
            version=package_version(),
            model=about.engine.description.name,
            fps=about.fps,
            rate_hz=about.rate_hz,
            sessions=service.counts.live,
        )

    @app.get("/metrics", responses={c: _ERRORS[c] for c in (401, 403)}, response_class=Response)
    async def metrics() -> Response:
        """Counts for Prometheus."""
        return Response(service.counts.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.post("/faces", responses={**_ERRORS, 503: _MAKING[503]})
    async def faces(photo: Annotated[UploadFile, File(description="a picture with faces in it")]) -> list[FoundFace]:
        """The faces of a photo, best first."""
        data = await _photo(photo, service)
        found = (await service.begin(lambda: numbered(decode_image(data, "The photo")[0])))[1]
        return [
            FoundFace(number=n, left=f.box[0], top=f.box[1], right=f.box[2], bottom=f.box[3])
            for n, f in enumerate(found, 1)
        ]

    @app.get(
        "/animate/{job}/events",
        response_class=StreamingResponse,
        responses={
            200: {
                "content": {"text/event-stream": {}},
                "description": "Events whose data is JSON: state, done, total.",
            },
            **{code: _ERRORS[code] for code in (401, 403, 422)},
        },
    )
    async def events(job: Annotated[str, _named()]) -> StreamingResponse:
        """Server-sent events: where the video stands that was asked for with this ``job``."""
        return StreamingResponse(_told(app, service, job), media_type="text/event-stream")


def _add_making(app: FastAPI, service: Service) -> None:
    @app.post(
        "/animate",
        response_class=FileResponse,
        responses={200: {"content": {"video/mp4": {}}, "description": "The video."}, **_ERRORS, **_MAKING},
    )
    async def animate(
        request: Request,
        photo: Annotated[UploadFile, File(description="a picture with a face in it")],
        speech: Annotated[UploadFile, File(description="any sound file, or a video with sound")],
        face: Annotated[str, Form(max_length=8, description="largest, all, or a number")] = "largest",
        seed: Annotated[int, Form(ge=0, le=2**32)] = 0,
        fps: Annotated[str | None, Form(max_length=16, description="25, 29.97, 30000/1001")] = None,
        crop: Annotated[bool, Form(description="the model's own 96 x 128 frames")] = False,
        label: Annotated[bool, Form(description='"AI-generated" in a corner')] = False,
        job: Annotated[str | None, Form(pattern=_NAME, description="a name to ask for progress by")] = None,
    ) -> FileResponse:
        """A video of the photo saying the speech."""
        service.require_place()
        _require_small(photo, service)
        folder = Path(tempfile.mkdtemp(prefix="stillspeak"))
        try:
            await service.begin(_keep, photo, folder / "photo")
            await service.begin(_keep, speech, folder / "speech")
            names = str(folder / "photo"), str(folder / "speech"), str(folder / "talk.mp4")
            asked = Job(*names, face=face, seed=seed, fps=fps, crop=crop, label=label)
            try:
                await _unless_gone(request, service.make(asked, job or uuid.uuid4().hex))
            except StillspeakError as error:
                raise StillspeakError(_without_paths(str(error), folder)) from error
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        return FileResponse(folder / "talk.mp4", media_type="video/mp4", filename="talk.mp4", background=gone)


def _add_talking(app: FastAPI, service: Service) -> None:
    @app.websocket("/talk")
    async def talk(socket: WebSocket, key: Annotated[str, Query()] = "") -> None:
        if not same_origin(socket.headers.get("origin"), socket.headers.get("host")) or not knows_key(
            service, key or key_of(socket.headers.get("x-api-key"), socket.headers.get("authorization"))
        ):
            await socket.close(REFUSED)
            return
        await socket.accept()
        try:
            with service.session():
                await Conversation(socket, service).run()
        except BusyError as error:
            await refuse(socket, str(error), LATER)


def _add_calling(app: FastAPI, service: Service) -> None:
    """WebRTC, where the extra is installed."""
    callers: set[Any] = app.state.callers

    @app.post("/offer", responses={**_ERRORS, 503: _MAKING[503]})
    async def offer(
        photo: Annotated[UploadFile, File(description="a picture with a face in it")],
        sdp: Annotated[str, Form(max_length=65536, description="an offer that sends audio and receives video")],
        face: Annotated[str, Form(max_length=8, description="largest, all, or a number")] = "largest",
        side: Annotated[int, Form(ge=64, le=1920, description="of a frame's longer side, at most")] = 512,
    ) -> Answer:
        """A live talk over WebRTC."""
        from stillspeak.serving.webrtc import Caller

        hello = Hello.model_validate({"face": face, "side": side, "rate_hz": min(service.animator.rate_hz, MOST_HZ)})
        picture = await _photo(photo, service)
        caller = Caller(service, callers.discard)
        callers.add(caller)  # or it would be collected while it talks
        return Answer(sdp=await caller.answer(sdp, picture, hello))


def _named() -> Any:
    from fastapi import Path as PathField

    return PathField(pattern=_NAME)


async def _photo(upload: UploadFile, service: Service) -> bytes:
    _require_small(upload, service)
    return await upload.read()


def _require_small(photo: UploadFile, service: Service) -> None:
    if (photo.size or 0) > service.settings.photo_mb * 1e6:
        raise HTTPException(413, f"A photo may have {service.settings.photo_mb:g} MB.")


def _keep(upload: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(upload.file, file)


def _without_paths(sentence: str, folder: Path) -> str:
    """A sentence about the client's files, in the client's words."""
    for name in ("photo", "speech", "talk.mp4"):
        sentence = sentence.replace(str(folder / name), f"The {name.removesuffix('.mp4')}")
    return sentence


async def _unless_gone(request: Request, work: Any) -> None:
    """Does some work, and gives it up when the client has gone."""
    making = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([making], timeout=_ASK_SECONDS))[0]:
            if await request.is_disconnected():
                break
        else:
            await making
            return
        raise HTTPException(499, "The client has gone.")
    finally:
        making.cancel()
        await asyncio.wait([making])


async def _told(app: FastAPI, service: Service, job: str) -> AsyncIterator[str]:
    """Progress as it changes, until the video is there; a name that nobody uses is waited for."""
    before = None
    for _ in range(round(service.settings.job_seconds / _ASK_SECONDS)):
        now = service.progress.get(job, Progress(state="unknown"))
        event = json.dumps({"state": now.state, "done": now.done, "total": now.total})
        if event != before:
            yield f"data: {event}\n\n"
            before = event
        if now.state in ("done", "failed") or app.state.stopping:
            return
        await asyncio.sleep(_ASK_SECONDS)


def serve(settings: Settings, host: str, port: int) -> None:
    """Runs the server until it is stopped. Raises ModelError, or OutputError if the port cannot be had."""
    listen(create_app(settings), host, port, ws_max_size=round(settings.photo_mb * 1e6) + 1)


def listen(app: FastAPI, host: str, port: int, **options: Any) -> None:
    """Runs an application until it is stopped; options as of uvicorn. Raises OutputError if the port cannot be had."""
    if not host:
        raise OutputError("--host must name an address; 0.0.0.0 is all of this machine's.")
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).split(" (while")[0].rstrip(".")
        raise OutputError(f"Nobody can listen at {host}:{port}: {why}.") from error
    config = uvicorn.Config(app, log_level="warning", timeout_keep_alive=15, timeout_graceful_shutdown=5, **options)
    print(f"stillspeak listens at http://{host}:{listening.getsockname()[1]}", flush=True)
    with listening:
        _Server(config).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Tells the application that it is to end, for answers that go on until they are told."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.config.app.state.stopping = True  # type: ignore[union-attr]
        super().handle_exit(sig, frame)
