"""What a server without room in its temporary folder answers: uploads and films lie there for a while."""

import sys

from fastapi import FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from stillspeak.errors import TemporaryFolderError
from stillspeak.temporary import full_sentence, is_full

NO_ROOM = 507  # RFC 4918: Insufficient Storage
_SAID = "The server's temporary folder is full or missing; whoever runs the server has to give it room."


def add_room(app: FastAPI) -> None:
    """A request for which there is no room is answered with 507 and a sentence; its path is said on the server's stderr."""

    @app.exception_handler(TemporaryFolderError)
    async def unusable(_: Request, error: TemporaryFolderError) -> Response:
        return _no_room(str(error))

    @app.exception_handler(OSError)
    async def full(_: Request, error: OSError) -> Response:
        if not is_full(error):
            raise error
        return _no_room(full_sentence())

    @app.exception_handler(HTTPException)
    async def unread(request: Request, error: HTTPException) -> Response:
        """FastAPI calls a form that it had no room to keep a form that it could not read."""
        return _no_room(full_sentence()) if is_full(error) else await http_exception_handler(request, error)


def _no_room(sentence: str) -> Response:
    print(f"stillspeak: {sentence}", file=sys.stderr, flush=True)
    return JSONResponse({"detail": _SAID}, NO_ROOM)
