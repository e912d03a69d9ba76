"""A server at a sub-path: whether the proxy takes the path off or passes it on, and behind a real nginx."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import websockets
from fastapi.testclient import TestClient

from helpers import served, tone
from stillspeak.serving.protocol import unpack
from stillspeak.serving.proxies import Proxies
from stillspeak.serving.server import create_app
from stillspeak.serving.settings import Settings

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
LIVE = Path(__file__).parent.parent.parent / "docs" / "live.md"


@pytest.mark.parametrize("root", ["/talk", "talk/", "/a/b", "/animate", "/faces"])
@pytest.mark.parametrize("taken_off", [True, False])
def test_every_path_works_whether_the_proxy_takes_the_root_path_off_or_not(
    tiny_model: Path, root: str, taken_off: bool
):
    app = create_app(Settings(str(tiny_model), proxies=Proxies(root_path=root)))
    root = "/" + root.strip("/")
    before = "" if taken_off else root
    with TestClient(app) as client:
        for path in ("/", "/app.js", "/health", "/docs", "/openapi.json", "/metrics"):
            assert client.get(before + path).status_code == 200, path
        assert client.post(f"{before}/faces").status_code == 422
        assert client.post(f"{before}/animate").status_code == 422
        assert client.get(f"{before}/animate/nobody").status_code == 404
        assert client.get(f"{before}/nothing").status_code == 404
        assert client.get(f"{before}/openapi.json").json()["servers"] == [{"url": root}]
        with client.websocket_connect(f"{before}/talk") as talk:
            talk.send_text("hello")
            assert "first message" in talk.receive_text()


def test_without_its_last_slash_the_page_is_found_all_the_same(tiny_model: Path):
    app = create_app(Settings(str(tiny_model), proxies=Proxies(root_path="/talk")))
    with TestClient(app, follow_redirects=False) as client:
        answer = client.get("/talk?a=b", headers={"Host": "upstream:8000"})
    assert (answer.status_code, answer.headers["Location"]) == (
        307,
        "/talk/?a=b",
    )  # no name of a host that nobody knows


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextmanager
def nginx(folder: Path, http: str) -> Iterator[None]:
    """Debian's nginx with these lines in its ``http`` part."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; {user} worker_processes 1; pid {folder / 'pid'}; error_log {folder / 'error.log'};"
        f"events {{ worker_connections 64; }} http {{ access_log off; {paths} {http} }}"
    )
    assert NGINX is not None
    with subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-c", str(conf)]) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def behind(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two addresses behind nginx: as the documentation has it, and with nginx's own ``Host`` and the path taken off."""
    if NGINX is None:
        pytest.skip("there is no nginx here: apt-get install nginx")
    found = re.search(r"```nginx\n(.*?)\n\n(.*?)```", LIVE.read_text(), re.DOTALL)
    assert found is not None
    ports = free_port(), free_port()
    origin = f"http://127.0.0.1:{ports[1]}"
    options = "--root-path", "/talk", "--allow-origin", origin, "--model", str(tiny_model)
    with served("serve", "--port", "0", *options) as (_, address):
        documented = found[2].replace("http://127.0.0.1:8000", address)
        assert address in documented
        bare = re.sub(r"proxy_set_header (Host|X-).*?;", "", documented).replace(address, f"{address}/")
        blocks = [f"server {{ listen 127.0.0.1:{p}; {b} }}" for p, b in zip(ports, (documented, bare), strict=True)]
        with nginx(tmp_path_factory.mktemp("nginx"), "\n".join([found[1], *blocks])):
            for port in ports:
                wait_for(port)
            yield [f"http://127.0.0.1:{port}" for port in ports]


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("nginx does not answer")


@pytest.fixture(params=[0, 1], ids=["as documented", "path taken off, its own Host"])
def page(behind: list[str], request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A browser's page behind nginx."""
    origin = behind[request.param]
    with httpx.Client(base_url=f"{origin}/talk/", headers={"Origin": origin}, timeout=60, trust_env=False) as client:
        yield client


def test_page_and_faces_are_there_behind_nginx_and_other_pages_are_refused(page: httpx.Client, photo: Path):
    assert "app.js" in page.get("").text
    assert page.get("app.js").status_code == page.get("docs").status_code == 200
    files = {"photo": photo.read_bytes()}
    assert page.post("faces", files=files).json()[0]["number"] == 1
    assert page.post("faces", files=files, headers={"Origin": "https://evil.example.net"}).status_code == 403


def test_a_video_is_followed_and_fetched_through_nginx(page: httpx.Client, photo: Path, speech: Path):
    files = {"photo": photo.read_bytes(), "speech": speech.read_bytes()}
    name = f"through-nginx-{page.base_url.port}"
    answer = page.post("animate", files=files, data={"job": name}, headers={"Prefer": "respond-async"})
    assert (answer.status_code, answer.json()["job"]) == (202, name)
    assert answer.headers["Location"] == f"/talk/animate/{name}"
    with page.stream("GET", f"animate/{name}/events") as events:
        told = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    (said,) = told[-1]["notes"]  # that the model of the tests is hardly trained
    assert told[-1] == {"state": "done", "done": 25, "total": 25, "notes": [said]}
    film = page.get(page.base_url.join(answer.headers["Location"]))
    assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
    assert json.loads(film.headers["X-Stillspeak-Notes"]) == [said]
    assert page.post("animate", files=files).content[4:8] == b"ftyp"


def test_a_talk_goes_through_nginx(page: httpx.Client, photo: Path):
    address = str(page.base_url).replace("http", "ws") + "talk"

    async def talk(origin: str) -> list[bytes]:
        async with websockets.connect(address, origin=origin, max_size=None, proxy=None) as connection:
            await connection.send('{"side": 64, "idle": false}')
            await connection.send(photo.read_bytes())
            assert json.loads(await connection.recv())["ready"] is True
            await connection.send((tone(0.4).samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
            await connection.send('{"end": true}')
            return [message async for message in connection if isinstance(message, bytes)]

    frames = asyncio.run(talk(page.headers["Origin"]))
    assert [unpack(frame).number for frame in frames] == list(range(10))
    with pytest.raises(websockets.InvalidStatus):
        asyncio.run(talk("https://evil.example.net"))
