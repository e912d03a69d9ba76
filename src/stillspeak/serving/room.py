"""Answers requests when the temporary folder is full, where uploads and films lie for a while."""

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
    """Answers a request for which there is no room with 507 and a sentence, and names its path on the server's stderr."""

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
        """Corrects FastAPI, which says of a form that it had no room for that it could not read it."""
        return _no_room(full_sentence()) if is_full(error) else await http_exception_handler(request, error)


def _no_room(sentence: str) -> Response:
    print(f"stillspeak: {sentence}", file=sys.stderr, flush=True)
    return JSONResponse({"detail": _SAID}, NO_ROOM)
