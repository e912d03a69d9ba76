"""A server without room says so, whichever part of a request found none, and says no paths."""

import errno
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import starlette.formparsers
from fastapi.testclient import TestClient

from stillspeak.errors import OutputError
from stillspeak.serving import worker
from stillspeak.serving.server import create_app
from stillspeak.serving.service import Settings


@pytest.fixture
def client(tiny_model: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(str(tiny_model))), raise_server_exceptions=False) as client:
        yield client


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def post(client: TestClient):
    return client.post("/animate", files={"photo": b"photo", "speech": b"speech"}, data={"crop": "1"})


def test_an_upload_that_finds_no_room_is_answered(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(starlette.formparsers.SpooledTemporaryFile, "write", no_room)
    answer = post(client)
    assert answer.status_code == 507
    assert answer.json() == {
        "detail": "The server's temporary folder is full or missing; whoever runs the server has to give it room."
    }
    assert "is full; set TMPDIR to another." in capsys.readouterr().err
    monkeypatch.undo()
    assert client.post("/animate", content=b"x", headers={"content-type": "multipart/form-data"}).status_code == 400


def test_a_folder_that_finds_no_room_is_answered(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client.app.state.service.films, "begin", no_room)
    assert post(client).status_code == 507


def test_another_fault_is_no_want_of_room(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(client.app.state.service.films, "begin", refuse)
    assert post(client).status_code == 500


@pytest.mark.parametrize(("cause", "full"), [(no_room, True), (lambda: 1 / 0, False)])
def test_a_worker_tells_want_of_room_from_other_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cause, full: bool
):
    def fail(*_: object, **__: object) -> None:
        try:
            cause()
        except Exception as error:
            raise OutputError("The film could not be written.") from error

    job = {"photo": "p", "speech": "s", "output": "o"}
    monkeypatch.setattr(
        sys, "stdin", io.StringIO(json.dumps({"kind": "Job", "job": job, "model": "default", "threads": 1}))
    )
    monkeypatch.setattr(worker, "run_job", fail)
    monkeypatch.setattr(worker.os, "nice", lambda _: 0)
    worker.main()
    said = json.loads(capsys.readouterr().out)
    assert said["full"] is full
    assert ("The temporary folder" in said["error"]) is full
