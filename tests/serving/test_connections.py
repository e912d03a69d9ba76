"""Connections that say nothing cost nothing: an honest client is answered among hundreds of idle ones."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from stillspeak.serving.connections import PatientProtocol
from stillspeak.serving.listen import address


def application() -> tuple[FastAPI, threading.Event]:
    """An application that says hello at once, and something else when it is let."""
    app, let = FastAPI(), threading.Event()

    @app.get("/hello")
    async def hello() -> str:
        return "hello"

    @app.get("/slow")
    def slow() -> str:
        let.wait(20)
        return "at last"

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    return app, let


@contextmanager
def running(app: FastAPI, **limits: float) -> Iterator[tuple[int, uvicorn.Server]]:
    """The application in a thread, with other limits."""
    config = uvicorn.Config(app, http=type("Limited", (PatientProtocol,), limits), log_level="error", ws="none")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1], server
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def said(port: int, text: bytes, count: int = 1) -> Iterator[list[socket.socket]]:
    """Clients that say so much and no more."""
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(count)]
        for client in clients:
            client.sendall(text)
        yield clients


def get(port: int, path: str = "/hello") -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=20, trust_env=False)


@pytest.mark.parametrize("text", [b"", b"GET /hello HTTP/1.1\r\nHost:", b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_an_honest_client_is_answered_among_hundreds_of_idle_ones(text: bytes):
    with running(application()[0], most=50) as (port, server), said(port, text, 300):
        assert [get(port).json() for _ in range(3)] == ["hello"] * 3
        assert len(server.server_state.connections) <= 52


def test_when_all_connections_are_busy_the_next_is_told_so_in_a_sentence():
    app, let = application()
    with running(app, most=3) as (port, _), said(port, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", 3) as clients:
        until = time.monotonic() + 10
        while get(port).status_code == 200 and time.monotonic() < until:
            time.sleep(0.05)
        refused = get(port)
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "All 3 connections are in use" in refused.json()["detail"]
        let.set()
        for client in clients:
            heard = b""
            while b"at last" not in heard:
                heard += client.recv(65536)
                assert heard
        assert get(port).json() == "hello"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"GET /hello HTTP/1.1\r\nHost:",
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n" + bytes(8000),
    ],
)
def test_what_never_becomes_a_request_is_closed(text: bytes):
    with running(application()[0], header_seconds=0.3, piece_seconds=0.3) as (port, _), said(port, text) as (client,):
        client.settimeout(10)
        assert client.recv(1000) == b""


def test_drops_of_a_head_or_a_body_do_not_hold_a_connection():
    for text in (b"GET /hello HTTP/1.1\r\n", b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"):
        with (
            running(application()[0], header_seconds=0.5, piece_seconds=0.5) as (port, _),
            said(port, text) as (client,),
        ):
            closed = False
            for _ in range(100):
                try:
                    client.sendall(b"x")
                except OSError:
                    closed = True
                    break
                time.sleep(0.05)
            assert closed


def test_a_slow_body_that_goes_on_is_heard_out():
    head = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 80000\r\nConnection: close\r\n\r\n"
    with running(application()[0], piece_seconds=1.0) as (port, _), said(port, head) as (client,):
        for _ in range(16):
            client.sendall(bytes(5000))
            time.sleep(0.1)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.endswith(b"80000")


def test_a_refusal_reaches_a_client_that_still_sends():
    app, large = FastAPI(), bytes(5_000_000)

    @app.post("/refused", status_code=403)
    async def refused() -> str:
        return "no"

    with running(app) as (port, _):
        head = f"POST /refused HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(large)}\r\n\r\n"
        with said(port, head.encode()) as (client,):
            client.sendall(large)
            assert client.recv(65536).startswith(b"HTTP/1.1 403")


@contextmanager
def listening(host: str, before: str = "") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A small application in a process of its own, and where it says that it is."""
    lines = [
        before,
        "from fastapi import FastAPI",
        "from stillspeak.serving.listen import listen",
        "app = FastAPI()",
        "app.get('/hello')(lambda: 'hello')",
        f"listen(app, {host!r}, 0)",
    ]
    command, pipe = [sys.executable, "-c", "\n".join(lines)], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().split()[-1]
        finally:
            server.terminate()


@pytest.mark.skipif(sys.platform != "linux", reason="limits the files of a process")
def test_a_server_without_files_for_new_connections_goes_on():
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))"
    with listening("127.0.0.1", few) as (server, shown):
        port = int(shown.rsplit(":", 1)[1])
        with said(port, b"", 200):
            assert get(port).json() == "hello"
        assert get(port).json() == "hello"
        server.terminate()
        assert server.stderr is not None
        assert "Traceback" not in server.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_server_may_open_as_many_files_as_the_system_allows():
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    before = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))"
    with listening("127.0.0.1", before) as (server, _):
        limits = Path(f"/proc/{server.pid}/limits")
        if not limits.exists():
            pytest.skip("looks at limits under /proc")
        line = next(line for line in limits.read_text().splitlines() if line.startswith("Max open files"))
        assert line.split()[3] == line.split()[4]


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("localhost", "http://localhost:8000"),
        ("::", "http://[::]:8000"),
        ("::1", "http://[::1]:8000"),
        ("fe80::1%eth0", "http://[fe80::1%25eth0]:8000"),
    ],
)
def test_an_address_is_shown_as_browsers_take_it(host: str, shown: str):
    assert address(host, 8000) == shown


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "localhost"])
def test_a_server_is_found_where_it_says(host: str):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    with listening(host) as (_, shown):
        assert httpx.get(f"{shown}/hello", trust_env=False).json() == "hello"
        port = int(shown.rsplit(":", 1)[1])
        if host == "::":  # IPv4 too
            assert get(port).json() == "hello"
