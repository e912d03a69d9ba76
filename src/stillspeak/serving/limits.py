"""Checks who may use the server, by API keys and pages, and how large a request may be."""

import contextlib
import hmac
from collections.abc import Collection

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stillspeak.serving.origins import Origin, may_ask
from stillspeak.serving.service import Service


class Gate:
    """Refuses requests before it reads their bodies: with 403 those of pages of other origins, with 401 those without the key.

    Args:
        app: the application behind the gate.
        service: the service, which knows the key.
        open_paths: the paths that need no key.
        allowed: the origins of other pages that may use the server.
    """

    def __init__(
        self, app: ASGIApp, service: Service, open_paths: Collection[str], allowed: Collection[Origin]
    ) -> None:
        self._app, self._service, self._open, self._allowed = app, service, open_paths, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._app
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] == "http" and path not in self._open:
            headers = Headers(scope=scope)
            if not may_ask(headers, self._allowed):
                answer = JSONResponse({"detail": "Pages of other places may not use this server."}, 403)
            elif not knows_key(self._service, key_of(headers.get("x-api-key"), headers.get("authorization"))):
                told = {"WWW-Authenticate": "Bearer"}
                answer = JSONResponse({"detail": "The API key is missing or wrong."}, 401, told)
        await answer(scope, receive, send)


def key_of(header: str | None, bearer: str | None) -> str:
    """Returns the key of the headers ``X-API-Key`` or ``Authorization: Bearer``; empty if there is none."""
    scheme, _, key = (bearer or "").partition(" ")
    return header or (key.strip() if scheme.lower() == "bearer" else bearer or "")


def knows_key(service: Service, key: str) -> bool:
    """Returns whether a key is right; without a set key any is. It takes the same time for every wrong key."""
    if not service.settings.api_key:
        return True
    right = service.settings.api_key.encode(errors="surrogateescape")
    plain, header = key.encode(errors="surrogateescape"), key.encode("latin-1", errors="backslashreplace")
    return hmac.compare_digest(plain, right) | hmac.compare_digest(header, right)


class BodyLimit:
    """Refuses requests whose body is too large, whatever length their headers name."""

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
