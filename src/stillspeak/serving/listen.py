"""Runs an application: opens its address, limits its connections, and ends it."""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import sys
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from stillspeak.errors import OutputError
from stillspeak.serving.connections import PatientProtocol

_MOST_CONNECTIONS = 1000
_WAITING = 2048  # the system keeps so many connections until the server takes them
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def listen(app: FastAPI, host: str, port: int, **options: Any) -> None:
    """Runs an application until it is stopped, with options of uvicorn. Raises OutputError if the port cannot be used."""
    if not host:
        raise OutputError("--host must name an address; 0.0.0.0 is all of this machine's.")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        listening = _sockets(host, port)
    except (OSError, OverflowError, UnicodeError) as error:
        why = str(getattr(error, "strerror", None) or error).split(" (while")[0].rstrip(".")
        raise OutputError(f"Nobody can listen at {host}:{port}: {why}.") from error
    most = min(_MOST_CONNECTIONS, _raised_files() // 2)
    config = uvicorn.Config(
        app,
        http=type("Limited", (PatientProtocol,), {"most": most}),
        log_level="warning",
        proxy_headers=False,  # the application looks after them itself
        backlog=max(1, most // 8),  # connections that are taken in one go: few enough that files are left for them
        timeout_keep_alive=15,
        timeout_graceful_shutdown=5,
        **options,
    )
    print(f"stillspeak listens at {address(host, listening[0].getsockname()[1])}", flush=True)
    with contextlib.ExitStack() as opened:
        for one in listening:
            opened.enter_context(one)
        _Server(config).run(sockets=listening)


def address(host: str, port: int) -> str:
    """Returns the address at which a browser finds a server, with IPv6 in brackets, and its zone after ``%25`` (RFC 6874)."""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:  # noqa: PLR2004
            host = f"[{host.replace('%', '%25')}]"
    return f"http://{host}:{port}"


def _sockets(host: str, port: int) -> list[socket.socket]:
    """Opens a socket for each address of a host, all at one port."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = sorted({(family, where) for family, *_, where in found if family in (socket.AF_INET, socket.AF_INET6)})
    opened: list[socket.socket] = []
    refused: OSError | None = None
    for family, where in places:
        at = (where[0], opened[0].getsockname()[1] if opened else port, *where[2:])
        both = family == socket.AF_INET6 and where[0] == "::" and socket.has_dualstack_ipv6()
        try:
            opened.append(socket.create_server(at, family=family, dualstack_ipv6=both))  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in _NO_IPV6:
                for one in opened:
                    one.close()
                raise
            refused = error
    if not opened:
        raise refused or OSError("it has no address")
    return opened


def _raised_files() -> int:
    """Raises the number of files that may be open as far as the system allows; returns it."""
    if sys.platform == "win32":
        return 2 * _MOST_CONNECTIONS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return 2 * _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else soft


class _Server(uvicorn.Server):
    """Tells the application when it must end, for answers that would go on otherwise."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(_said_in_a_sentence)
        await super().startup(sockets)
        for one in sockets or []:
            one.listen(_WAITING)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        state = self.config.app.state  # type: ignore[union-attr]
        state.stopping = True
        if hasattr(state, "service"):
            state.service.stop()
        super().handle_exit(sig, frame)


def _said_in_a_sentence(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Says in a sentence that no file is left for a new connection; asyncio tries again after a second."""
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        print("No more files can be opened; new connections wait.", file=sys.stderr, flush=True)
    else:
        loop.default_exception_handler(context)
