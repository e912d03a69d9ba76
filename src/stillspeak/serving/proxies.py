"""Makes a server work behind a reverse proxy: which proxy it trusts, under which path it lies, which other pages may use it."""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from stillspeak.errors import OutputError
from stillspeak.serving.origins import ANY, Origin, allowed_origin, read_origin

_ROOT = re.compile(r"(/[A-Za-z0-9._~-]+)+")
_ASKED = ["Authorization", "Prefer", "Range", "X-API-Key"]
_TOLD = [
    "Accept-Ranges", "Content-Disposition", "Content-Range", "Location", "Preference-Applied", "Retry-After",
    "X-Stillspeak-Notes",
]  # fmt: skip


@dataclass(frozen=True)
class Proxies:
    """Holds what a server knows of the proxies before it.

    Attributes:
        allow_origins: the origins of other pages that may use the server, such as ``https://talk.example.com``; ``*`` allows all.
        trusted: the addresses and networks of proxies whose ``X-Forwarded-*`` count, separated by commas; ``*`` trusts all.
        root_path: the path under which a proxy offers the server, such as ``/talk``.
    """

    allow_origins: tuple[str, ...] = ()
    trusted: str = "127.0.0.1,::1"
    root_path: str = ""

    def origins(self) -> frozenset[Origin]:
        """Returns the origins that may use the server. Raises OutputError if a text is no origin."""
        return frozenset(allowed_origin(text) for text in self.allow_origins)

    def checked(self) -> "Proxies":
        """Returns a copy with the root path in ASGI's form. Raises OutputError if a value makes no sense."""
        self.origins()
        for one in self.trusted.split(","):
            try:
                if one.strip() not in ("", "*"):
                    ipaddress.ip_network(one.strip(), strict=False)
            except ValueError as error:
                raise OutputError(f"--forwarded-allow-ips takes addresses and networks, not {one:.80}.") from error
        stripped = self.root_path.strip("/")
        root_path = f"/{stripped}" if stripped else ""
        if root_path and (not _ROOT.fullmatch(root_path) or {".", ".."} & set(stripped.split("/"))):
            raise OutputError(f"--root-path takes a path such as /talk, not {self.root_path:.80}.")
        return Proxies(self.allow_origins, self.trusted, root_path)


ALONE = Proxies()


def stand_behind(app: FastAPI, proxies: Proxies, page: Collection[str]) -> None:
    """Makes an application work behind proxies. Call it after all other middleware was added.

    Args:
        app: the application.
        proxies: the settings of the proxies.
        page: the paths of the files of its page.

    Raises:
        OutputError: if a value of ``proxies`` makes no sense.
    """
    proxies = proxies.checked()
    if proxies.allow_origins:
        methods = ["DELETE", "GET", "HEAD", "POST", "PUT"]
        app.add_middleware(
            _AllowedOrigins,
            allow_methods=methods,
            allow_headers=_ASKED,
            expose_headers=_TOLD,
            allowed=proxies.origins(),
        )
    if proxies.root_path:
        app.add_middleware(_UnderPath, server=app, root_path=proxies.root_path, page=page)
    app.add_middleware(Proxied, trusted=proxies.trusted)


class Proxied:
    """Takes ``X-Forwarded-*`` from trusted proxies, and hides from the application what others send under these names.

    Args:
        app: the application.
        trusted: the trusted proxies, as in ``Proxies``.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        self._app = app
        self._heard = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        host, port = scope.get("client") or ("", 0)
        scope["client"] = (host := host.removeprefix("::ffff:"), port)  # IPv4 that came in through an IPv6 socket
        if host in self._heard.trusted_hosts:
            await self._heard(scope, receive, send)  # type: ignore[arg-type]
            return
        scope["headers"] = [(n, v) for n, v in scope["headers"] if not n.startswith(b"x-forwarded-")]
        await self._app(scope, receive, send)


class _UnderPath:
    """Offers a server under a path, whether the proxy passes that path on or removes it.

    A path that begins with the root path may be either, as ``/talk`` is for a server under ``/talk``. It counts as passed on if
    the rest of it is a path of the server.
    """

    def __init__(self, app: ASGIApp, server: FastAPI, root_path: str, page: Collection[str]) -> None:
        self._app, self._server, self._root, self._page = app, server, root_path, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        added = {**scope, "root_path": self._root, "path": self._root + path}
        added["raw_path"] = self._root.encode() + scope.get("raw_path", path.encode())
        passed_on = {**scope, "root_path": self._root}
        if path != self._root and not path.startswith(f"{self._root}/"):
            await self._app(added, receive, send)
        elif path == self._root and scope["type"] == "http" and not self._leads(added):
            query = scope.get("query_string", b"").decode("latin-1")
            there = RedirectResponse(f"{self._root}/" + (f"?{query}" if query else ""))
            await there(scope, receive, send)
        else:
            await self._app(passed_on if self._leads(passed_on) or not self._leads(added) else added, receive, send)

    def _leads(self, scope: Scope) -> bool:
        """Returns whether a path is one of the server's own."""
        rest = scope["path"][len(self._root) :]
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and rest in self._page:
            return True
        routes = [route for route in self._server.routes if not isinstance(route, Mount)]
        return any(route.matches(scope)[0] is Match.FULL for route in routes)


class _AllowedOrigins(CORSMiddleware):
    """Tells browsers which other pages may read the answers, by the comparison that decides who may use the server."""

    def __init__(self, app: ASGIApp, allowed: Collection[Origin], **options: list[str]) -> None:
        super().__init__(app, **options)  # type: ignore[arg-type]
        self._allowed = allowed

    def is_allowed_origin(self, origin: str) -> bool:
        """Returns whether an origin is allowed, for CORSMiddleware."""
        return ANY in self._allowed or read_origin(origin) in self._allowed
