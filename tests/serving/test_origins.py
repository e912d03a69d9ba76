"""Which pages may ask: one spelling for each origin, and nobody else's word but a trusted proxy's."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect

from stillspeak.cli import main
from stillspeak.errors import OutputError
from stillspeak.serving.origins import allowed_origin, may_ask, read_origin
from stillspeak.serving.proxies import Proxies
from stillspeak.serving.server import create_app
from stillspeak.serving.settings import Settings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://talk.example.com", "HTTPS://Talk.Example.Com:443"),
        ("http://talk.example.com:80", "http://talk.example.com."),
        ("http://[::1]:8000", "http://[0:0:0:0:0:0:0:1]:8000"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("http://[2001:DB8::1]", "http://[2001:db8:0::1]:80"),
    ],
)
def test_an_origin_has_one_spelling(one: str, other: str):
    assert read_origin(one) == read_origin(other) is not None


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "",
        "talk.example.com",
        "http://",
        "http://[",
        "http://a b",
        "http://user@a",
        "http://a/b",
        "http://a:99999",
    ],
)
def test_what_names_no_origin_is_none(text: str):
    assert read_origin(text) is None
    with pytest.raises(OutputError, match="--allow-origin takes an origin such as"):
        allowed_origin(text)


@pytest.mark.parametrize(
    ("headers", "right"),
    [
        ({"host": "127.0.0.1:8000"}, True),
        ({"host": "talk.example.com:443", "origin": "https://talk.example.com"}, True),
        ({"host": "Talk.Example.Com.", "origin": "https://talk.example.com"}, True),
        ({"host": "[::1]:8000", "origin": "http://[0::1]:8000"}, True),
        ({"host": "talk.example.com", "origin": "https://talk.example.com:8443"}, False),
        ({"host": "talk.example.com", "origin": "https://evil.example.net"}, False),
        ({"host": "talk.example.com", "origin": "https://talk.example.com.evil.net"}, False),
        ({"host": "talk.example.com", "origin": "null"}, False),
        ({"host": "talk.example.com", "origin": ""}, False),
        ({"origin": "https://talk.example.com"}, False),
        ({"host": "up:1", "x-forwarded-host": "talk.example.com", "origin": "https://talk.example.com"}, True),
        ({"host": "up:1", "x-forwarded-host": "talk.example.com, cdn", "origin": "https://talk.example.com"}, True),
        ({"host": "up:1", "x-forwarded-host": "a.example", "origin": "https://talk.example.com"}, False),
        ({"host": "a.example", "x-forwarded-port": "8443", "origin": "https://a.example:8443"}, True),
        ({"host": "a.example", "x-forwarded-proto": "http", "origin": "https://a.example"}, True),
        ({"host": "a.example", "x-forwarded-proto": "https", "origin": "http://a.example"}, False),
    ],
)
def test_a_page_may_ask_where_host_and_port_are_the_servers_own(headers: dict[str, str], right: bool):
    assert may_ask(Headers(headers)) is right


def test_allowed_origins_may_ask_from_anywhere():
    allowed = {allowed_origin("https://Talk.example.com/")}
    assert may_ask(Headers({"host": "up", "origin": "https://talk.example.com:443"}), allowed)
    assert not may_ask(Headers({"host": "up", "origin": "http://talk.example.com"}), allowed)
    assert may_ask(Headers({"host": "up", "origin": "null"}), {allowed_origin("*")})


def asked(tiny_model: Path, proxies: Proxies, peer: str, headers: dict[str, str]) -> tuple[int, bool]:
    """The status of a request, and whether a talk may begin, for a page that comes through a proxy."""
    app = create_app(Settings(str(tiny_model), proxies=proxies))
    with TestClient(app, client=(peer, 1)) as client:
        status = client.get("/metrics", headers=headers).status_code
        try:
            with client.websocket_connect("/talk", headers=headers):
                return status, True
        except WebSocketDisconnect:
            return status, False


def test_only_trusted_proxies_are_believed_by_requests_and_talks_alike(tiny_model: Path):
    page = {"X-Forwarded-Host": "talk.example.com", "Origin": "https://talk.example.com"}
    container = Proxies(trusted="172.16.0.0/12")
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert asked(tiny_model, Proxies(), peer, page) == (200, True)
    assert asked(tiny_model, Proxies(), "172.17.0.2", page) == (403, False)
    assert asked(tiny_model, container, "172.17.0.2", page) == (200, True)
    assert asked(tiny_model, container, "127.0.0.1", page) == (403, False)
    assert asked(tiny_model, Proxies(("https://talk.example.com",)), "172.17.0.2", page) == (200, True)


def test_browsers_are_told_which_pages_of_others_may_read_the_answers(tiny_model: Path):
    proxies = Proxies(("https://Talk.example.com:443",))
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key, prefer"}
    with TestClient(create_app(Settings(str(tiny_model), api_key="sesame", proxies=proxies))) as client:
        for origin, status in (("https://talk.example.com", 200), ("https://evil.example.net", 400)):
            answer = client.options("/animate", headers={"Origin": origin, **preflight})
            assert answer.status_code == status
            assert answer.headers.get("Access-Control-Allow-Origin") == (origin if status == 200 else None)
        answer = client.get("/metrics", headers={"Origin": "https://talk.example.com", "X-API-Key": "wrong"})
        assert answer.status_code == 401
        assert answer.headers["Access-Control-Allow-Origin"] == "https://talk.example.com"
        assert "Location" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize(
    "wrong",
    [
        ("--allow-origin", "talk.example.com"),
        ("--root-path", "/a/../b"),
        ("--root-path", "/a b"),
        ("--forwarded-allow-ips", "proxy"),
        ("--ice-server", "http://stun"),
        ("--ice-server", "turn:host:3478"),
        ("--keep-minutes", "0"),
        ("--keep-minutes", "nan"),
    ],
)
def test_a_setting_that_makes_no_sense_is_a_sentence(
    tiny_model: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str]
):
    assert main(["serve", "--model", str(tiny_model), *wrong]) == 2
    said = capsys.readouterr().err
    assert wrong[0] in said
    assert len(said.splitlines()) == 1
