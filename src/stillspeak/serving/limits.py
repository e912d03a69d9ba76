"""Who may ask, and how much: API keys, origins, the size of a request."""

import contextlib
import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stillspeak.serving.service import Service


class Gate:
    """Asks who it is before anything of a request's body is read: 403 for pages of other origins, 401 without the key.

    Args:
        app: what is behind the gate.
        service: knows the key.
        open_paths: what anybody may ask for.
    """

    def __init__(self, app: ASGIApp, service: Service, open_paths: Collection[str]) -> None:
        self._app, self._service, self._open = app, service, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app
        if scope["type"] == "http" and scope["path"] not in self._open:
            headers = Headers(scope=scope)
            if not same_origin(headers.get("origin"), headers.get("host")):
                answer = JSONResponse({"detail": "Pages of other places may not use this server."}, 403)
            elif not knows_key(self._service, key_of(headers.get("x-api-key"), headers.get("authorization"))):
                told = {"WWW-Authenticate": "Bearer"}
                answer = JSONResponse({"detail": "The API key is missing or wrong."}, 401, told)
        await answer(scope, receive, send)


def same_origin(origin: str | None, host: str | None) -> bool:
    """A browser says which page asks; programs say nothing."""
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:  # no address at all
        return False


def key_of(header: str | None, bearer: str | None) -> str:
    """The key of the headers ``X-API-Key`` or ``Authorization: Bearer``; empty if there is none."""
    scheme, _, key = (bearer or "").partition(" ")
    return header or (key.strip() if scheme.lower() == "bearer" else bearer or "")


def knows_key(service: Service, key: str) -> bool:
    """Whether a key opens the server; any does where none was set. Takes as long for every wrong key."""
    if not service.settings.api_key:
        return True
    right = service.settings.api_key.encode(errors="surrogateescape")
    plain, header = key.encode(errors="surrogateescape"), key.encode("latin-1", errors="backslashreplace")
    return hmac.compare_digest(plain, right) | hmac.compare_digest(header, right)


class BodyLimit:
    """Refuses requests whose body is too large, whatever they say of their length."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app, self._most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._most:
            await self._refuse(scope, receive, send)
            return
        heard, begun, over = 0, False, False

        async def counted() -> Message:
            nonlocal heard, over
            message = await receive()
            heard += len(message.get("body", b""))
            over = over or heard > self._most
            if over:
                raise _TooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if not over:  # what a framework makes of the error is not what the client should hear
                begun = begun or message["type"] == "http.response.start"
                await send(message)

        with contextlib.suppress(_TooLargeError):
            await self._app(scope, counted, watched)
        if over and not begun:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        sentence = f"A request may have {self._most / 1e6:g} MB."
        await JSONResponse({"detail": sentence}, 413, {"Connection": "close"})(scope, receive, send)


class _TooLargeError(Exception):
    pass
