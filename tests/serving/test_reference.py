"""The pages load nothing from other hosts; ``/docs`` says what can be asked."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from stillspeak.serving.proxies import Proxies
from stillspeak.serving.server import STATIC, create_app
from stillspeak.serving.settings import Settings
from stillspeak.study.server import PAGE

ELSEWHERE = re.compile(
    r"""(?:src|href|action|url|import|from|fetch|srcset)\s*[=(]?\s*["'(]\s*(?:https?:)?//""", re.IGNORECASE
)


@pytest.fixture(scope="module")
def client(tiny_model: Path) -> TestClient:
    return TestClient(create_app(Settings(str(tiny_model), proxies=Proxies(root_path="/talk"))))


def test_no_page_loads_anything_from_another_host(client: TestClient):
    assert ELSEWHERE.search('<script src="https://cdn.example/x.js">')
    texts = [client.get("/docs").text, client.get("/").text]
    texts += [path.read_text() for folder in (STATIC, PAGE) for path in folder.iterdir()]
    for text in texts:
        assert not ELSEWHERE.search(text)
    assert "default-src 'none'" in client.get("/docs").headers["Content-Security-Policy"]
    assert client.get("/redoc").status_code == 404


def test_the_reference_names_every_operation_with_its_fields_and_answers(client: TestClient):
    page, api = client.get("/docs").text, client.get("/openapi.json").json()
    for path, methods in api["paths"].items():
        for method in methods:
            assert f"<h2>{method.upper()} {path}</h2>" in page
    for word in (
        "photo (multipart/form-data)",
        "job (path)",
        "prefer (header)",
        "video/mp4",
        "503",
        "from 0 to 4294967296",
    ):
        assert word in page, word
    assert "<script" not in page


def test_a_page_learns_which_ice_servers_to_ask(tiny_model: Path):
    servers = "stun:stun.example.org:3478", "turn:me:pass%40word@turn.example.org?transport=tcp"
    settings = Settings(str(tiny_model), ice_servers=servers, api_key="sesame")
    client = TestClient(create_app(settings))
    assert client.get("/settings").status_code == 401  # it holds a password
    told = client.get("/settings", headers={"X-API-Key": "sesame"}).json()["ice_servers"]
    assert told == [
        {"urls": "stun:stun.example.org:3478", "username": None, "credential": None},
        {"urls": "turn:turn.example.org?transport=tcp", "username": "me", "credential": "pass@word"},
    ]
    assert TestClient(create_app(Settings(str(tiny_model)))).get("/settings").json() == {"ice_servers": []}
