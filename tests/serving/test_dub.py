"""``POST /dub``: a client's film says something else, or the client reads in a sentence why not."""

import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from helpers import tone
from stillspeak.media.inspection import inspect
from stillspeak.media.provenance import EDITED_SOURCE_TYPE
from stillspeak.media.writer import VideoWriter
from stillspeak.serving.server import create_app
from stillspeak.serving.settings import Settings


@pytest.fixture(scope="module")
def client(tiny_model: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(str(tiny_model))), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="module")
def speech() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(0.6).samples, 16_000, format="WAV")
    return file.getvalue()


def test_a_film_that_is_sent_says_the_speech_and_the_notes_say_what_was_dubbed(
    client: TestClient, astronaut: np.ndarray, speech: bytes, tmp_path: Path
):
    small = cv2.resize(astronaut, (240, 240), interpolation=cv2.INTER_AREA)
    with VideoWriter(tmp_path / "film.mp4", Fraction(25)) as writer:
        for _ in range(15):
            writer.write(small)
    made = client.post("/dub", files={"film": (tmp_path / "film.mp4").read_bytes(), "speech": speech})
    assert (made.status_code, made.headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "made.mp4").write_bytes(made.content)
    with av.open(str(tmp_path / "made.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 15
    assert inspect(tmp_path / "made.mp4")["digitalSourceType"] == EDITED_SOURCE_TYPE
    assert "Person 1: 0.6 of 0.6 seconds dubbed." in json.loads(made.headers["X-Stillspeak-Notes"])


def test_what_is_wrong_with_a_film_is_said_in_a_sentence(client: TestClient, photo: Path, speech: bytes):
    picture = client.post("/dub", files={"film": photo.read_bytes(), "speech": speech})
    assert (picture.status_code, "The film is a picture and not a film" in picture.json()["detail"]) == (400, True)
    assert client.post("/dub", files={"film": b"nothing", "speech": speech}).status_code == 400
    assert client.post("/dub", files={"speech": speech}).status_code == 422
    fields = {"film": photo.read_bytes(), "speech": speech}
    assert client.post("/dub", files=fields, data={"extend": "stretch"}).status_code == 422
