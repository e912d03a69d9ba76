"""Adds the routes of live talks: ``WS /talk``, and ``POST /offer`` if WebRTC is installed."""

from collections.abc import Collection
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, Query, Response, UploadFile, WebSocket
from pydantic import BaseModel

from stillspeak.runtime.engine import MOST_GAIN
from stillspeak.serving.film_routes import noted, require_small
from stillspeak.serving.limits import key_of, knows_key
from stillspeak.serving.origins import Origin, may_ask
from stillspeak.serving.protocol import MOST_HZ, Hello
from stillspeak.serving.refusals import BusyError, refusals
from stillspeak.serving.service import Service
from stillspeak.serving.talk import LATER, REFUSED, Conversation, refuse


class Answer(BaseModel):
    """Holds the answer to a WebRTC offer."""

    sdp: str
    type: str = "answer"


def add_talks(app: FastAPI, service: Service) -> None:
    """Adds the routes of talks."""
    _add_talking(app, service, service.settings.proxies.origins())
    if find_spec("aiortc") is not None:
        _add_calling(app, service)


def _add_talking(app: FastAPI, service: Service, allowed: Collection[Origin]) -> None:
    @app.websocket("/talk")
    async def talk(socket: WebSocket, key: Annotated[str, Query()] = "") -> None:
        if not may_ask(socket.headers, allowed) or not knows_key(
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
    """Adds the route of WebRTC, if the extra is installed."""
    callers: set[Any] = app.state.callers

    @app.post("/offer", responses=refusals(400, 401, 403, 413, 422, 503))
    async def offer(
        response: Response,
        photo: Annotated[UploadFile, File(description="a picture with a face in it")],
        sdp: Annotated[str, Form(max_length=65536, description="an offer that sends audio and receives video")],
        face: Annotated[str, Form(max_length=8, description="largest, all, or a number")] = "largest",
        side: Annotated[int, Form(ge=64, le=1920, description="of a frame's longer side, at most")] = 512,
        mouth: Annotated[float, Form(ge=0, le=MOST_GAIN, description="how far it opens; 1 is as sound says")] = 1.0,
    ) -> Answer:
        """Begins a live talk over WebRTC; notes about the photo come in a header, as with a video."""
        from stillspeak.serving.webrtc import Caller

        rate_hz = min(service.animator.rate_hz, MOST_HZ)
        hello = Hello.model_validate({"face": face, "side": side, "mouth": mouth, "rate_hz": rate_hz})
        require_small(photo, service)
        picture = await photo.read()
        caller = Caller(service, callers.discard)
        callers.add(caller)  # otherwise Python would collect it while it talks
        answer, notes = await caller.answer(sdp, picture, hello)
        response.headers.update(noted(notes))
        return Answer(sdp=answer)
