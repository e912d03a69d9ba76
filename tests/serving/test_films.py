"""Videos outlive their request: asked for, followed, fetched, deleted, kept for a while, and gone with the server."""

import asyncio
import io
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from PIL import Image

from helpers import served, tone
from stillspeak.jobs import Job
from stillspeak.media.video import read_video
from stillspeak.serving import film_routes, films, folder
from stillspeak.serving.films import Film, Films
from stillspeak.serving.proxies import Proxies
from stillspeak.serving.server import create_app
from stillspeak.serving.settings import Settings

ASYNC = {"Prefer": "respond-async"}


def files(photo: np.ndarray, seconds: float, container: str = "WAV") -> dict[str, bytes]:
    """The fields of a request."""
    picture, speech = io.BytesIO(), io.BytesIO()
    Image.fromarray(photo).save(picture, "png")
    soundfile.write(speech, tone(seconds).samples, 16_000, format=container)
    return {"photo": picture.getvalue(), "speech": speech.getvalue()}


@pytest.fixture(scope="module")
def short(astronaut: np.ndarray) -> dict[str, bytes]:
    return files(astronaut, 0.5)


@pytest.fixture(scope="module")
def long(astronaut: np.ndarray) -> dict[str, bytes]:
    return files(astronaut, 31.0)


@pytest.fixture(scope="module")
def client(tiny_model: Path) -> Iterator[TestClient]:
    settings = Settings(str(tiny_model), jobs=2, queue=1, proxies=Proxies(root_path="/at"))
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Videos are made at once, and hold a few bytes."""

    async def make(job: Job, settings: Settings, film: Film) -> None:
        film.video.write_bytes(b"a few bytes")

    monkeypatch.setattr(films, "make", make)


def fetched(client: TestClient | httpx.Client, where: str, seconds: float = 60.0) -> httpx.Response:
    """The answer once the video is made."""
    until = time.monotonic() + seconds
    while (answer := client.get(where)).status_code == 202:
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() < until
        time.sleep(0.1)
    return answer


def test_a_video_is_asked_for_and_fetched_later_as_often_as_one_likes(
    client: TestClient, short: dict[str, bytes], tmp_path: Path
):
    asked = client.post("/animate", files=short, headers=ASYNC, data={"crop": "true"})
    name = asked.json()["job"]
    assert asked.status_code == 202
    assert asked.json() == {"job": name, "state": asked.json()["state"], "done": 0, "total": None, "notes": []}
    assert asked.headers["Location"] == f"/at/animate/{name}"
    assert len(name) == 32
    film = fetched(client, asked.headers["Location"])
    assert (film.status_code, film.headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "talk.mp4").write_bytes(film.content)
    assert read_video(tmp_path / "talk.mp4").shape == (12, 128, 96, 3)
    part = client.get(f"/animate/{name}", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert client.delete(f"/animate/{name}").status_code == 204
    for gone in (client.get(f"/animate/{name}"), client.delete(f"/animate/{name}")):
        assert gone.status_code == 404
        assert "no longer kept" in gone.json()["detail"]


@pytest.mark.parametrize(
    ("prefer", "seconds", "status"),
    [
        (None, 0.5, 200),
        ("respond-async", 0.5, 202),
        ("Respond-Async; x=1, handling=lenient", 0.5, 202),
        ("wait=60", 0.5, 200),
        ("wait=0", 0.5, 202),
        ("respond-async, wait=60", 0.5, 200),
        ("wait=soon", 0.5, 200),
        (None, 31.0, 202),
        ("wait=120", 31.0, 200),
    ],
)
@pytest.mark.usefixtures("quick")
def test_the_answer_is_the_video_where_speech_is_short_or_the_client_waits(
    client: TestClient, short: dict[str, bytes], long: dict[str, bytes], prefer: str | None, seconds: float, status: int
):
    headers = {} if prefer is None else {"Prefer": prefer}
    answer = client.post("/animate", files=short if seconds < 1 else long, headers=headers)
    assert answer.status_code == status
    if status == 202:
        assert client.delete(answer.headers["Location"]).status_code == 204


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("said", [None, 30.0, 30.1])
def test_speech_is_as_long_as_its_file_says_and_long_if_it_says_nothing(
    client: TestClient, short: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, said: float | None
):
    async def seconds(path: Path) -> float | None:
        return said

    monkeypatch.setattr(film_routes, "speech_seconds", seconds)
    assert client.post("/animate", files=short).status_code == (200 if said == 30.0 else 202)


def test_clients_hear_what_the_command_says_of_a_photo(client: TestClient, astronaut: np.ndarray):
    head = astronaut[20:220, 130:330]
    two = files(np.concatenate([head, np.full_like(head, 200), head], axis=1), 0.1)
    direct = client.post("/animate", files=two)
    assert direct.status_code == 200
    said = json.loads(direct.headers["X-Stillspeak-Notes"])
    assert said[0] == "2 faces; face 1 speaks (face chooses another)."
    assert [note[:10] for note in said[1:]] == ["The model "]  # the tests' own is hardly trained
    asked = client.post("/animate", files=two, headers=ASYNC).json()
    assert asked["notes"] == []
    told = [
        json.loads(line[6:])
        for line in client.get(f"/animate/{asked['job']}/events").text.splitlines()
        if line[:5] == "data:"
    ]
    assert (told[-1]["state"], told[-1]["notes"]) == ("done", said)
    video = client.get(f"/animate/{asked['job']}")
    assert json.loads(video.headers["X-Stillspeak-Notes"]) == said
    chosen = client.post("/animate", files=two, data={"face": "2"})
    assert json.loads(chosen.headers["X-Stillspeak-Notes"]) == said[1:]


def test_the_header_of_notes_holds_any_text_and_is_short_enough_for_a_proxy(
    client: TestClient, short: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
):
    notes = [
        'Zoë\'s "face"\r\nSet-Cookie: x=1 \u2028 \U0001f600',
        *(f"Face {number} {'is covered' * 30}." for number in range(9)),
    ]

    async def make(job: Job, settings: Settings, film: Film) -> None:
        film.video.write_bytes(b"a few bytes")
        film.notes = notes

    monkeypatch.setattr(films, "make", make)
    answer = client.post("/animate", files=short)
    header = answer.headers["X-Stillspeak-Notes"]
    told = json.loads(header)
    assert header.isascii()
    assert header.isprintable()
    assert len(header) <= 2000 < len(json.dumps(notes[: len(told) + 1]))
    assert told == notes[: len(told)]
    assert "Set-Cookie" not in answer.headers


def test_what_goes_wrong_later_is_told_to_who_fetches(client: TestClient, short: dict[str, bytes]):
    grey = files(np.full((300, 300, 3), 90, np.uint8), 0.1)["photo"]
    asked = client.post("/animate", files=short | {"photo": grey}, headers=ASYNC)
    assert asked.status_code == 202
    for _ in range(2):
        failed = fetched(client, asked.headers["Location"])
        assert failed.status_code == 400
        assert "The photo shows no face" in failed.json()["detail"]
    told = client.get(f"/animate/{asked.json()['job']}/events").text
    assert '"state": "failed"' in told


def test_what_is_wrong_at_once_is_said_at_once(client: TestClient, short: dict[str, bytes]):
    assert client.post("/animate", files={"speech": short["speech"]}, headers=ASYNC).status_code == 422
    assert client.post("/animate", files=short, headers=ASYNC, data={"fps": "fast"}).status_code == 400
    picture = client.post("/animate", files=short | {"photo": b"no picture"}, headers=ASYNC)
    assert (picture.status_code, "The photo is not a picture" in picture.json()["detail"]) == (400, True)
    sound = client.post("/animate", files=short | {"speech": b"no sound"}, headers=ASYNC)
    assert (sound.status_code, "The speech is not a sound" in sound.json()["detail"]) == (400, True)
    assert client.post("/animate", files=short, headers=ASYNC, data={"job": "../x"}).status_code == 422


def test_more_than_may_wait_are_told_to_come_back_and_names_are_not_shared(client: TestClient, long: dict[str, bytes]):
    names = ["one", "two", "three"]
    for name in names:
        assert client.post("/animate", files=long, data={"job": name}, headers=ASYNC).status_code == 202
    full = client.post("/animate", files=long, headers=ASYNC)
    assert (full.status_code, "come back" in full.json()["detail"]) == (503, True)
    stands = {"job": "three", "state": "waiting", "done": 0, "total": None, "notes": []}
    assert client.get("/animate/three").json() == stands
    assert client.delete("/animate/three").status_code == 204
    again = client.post("/animate", files=long, data={"job": "one"}, headers=ASYNC)
    assert (again.status_code, "give this one another" in again.json()["detail"]) == (400, True)
    for name in names[:2]:
        assert client.delete(f"/animate/{name}").status_code == 204
    assert client.get("/animate/one").status_code == 404


def test_who_waits_for_a_video_that_is_deleted_is_told(client: TestClient, long: dict[str, bytes]):
    answers = []
    ask = {"files": long, "data": {"job": "deleted"}, "headers": {"Prefer": "wait=60"}}
    waiting = threading.Thread(target=lambda: answers.append(client.post("/animate", **ask)))
    waiting.start()
    while client.delete("/animate/deleted").status_code == 404:
        time.sleep(0.05)
    waiting.join(20)
    assert (answers[0].status_code, answers[0].json()["detail"]) == (404, "The video was deleted.")


@pytest.mark.parametrize("name", [None, "mine"])
def test_a_client_that_leaves_finds_its_video_again_if_it_gave_a_name(
    tiny_model: Path, long: dict[str, bytes], name: str | None
):
    with served("serve", "--port", "0", "--model", str(tiny_model)) as (_, address):
        data = {"job": name} if name else {}
        with httpx.Client(base_url=address, trust_env=False) as client:
            with pytest.raises(httpx.ReadTimeout):
                client.post("/animate", files=long, data=data, headers={"Prefer": "wait=60"}, timeout=1.5)
            if name:
                time.sleep(0.7)  # the server has looked twice whether the client is there
                assert client.get("/animate/mine").json()["state"] in ("waiting", "running")
                assert client.delete("/animate/mine").status_code == 204
                return
            until = time.monotonic() + 20
            while 'state="failed"} 1.0' not in client.get("/metrics").text:
                assert time.monotonic() < until
                time.sleep(0.1)


@pytest.mark.usefixtures("quick")
def test_videos_are_kept_for_their_time_and_the_oldest_go_when_there_are_too_many(
    tiny_model: Path, short: dict[str, bytes]
):
    def made(settings: Settings, count: int, seconds: float) -> list[int]:
        with TestClient(create_app(settings)) as client:
            for number in range(count):
                assert client.post("/animate", files=short, data={"job": str(number)}).status_code == 200
            time.sleep(seconds)
            return [client.get(f"/animate/{number}").status_code for number in range(count)]

    assert made(Settings(str(tiny_model)), 2, 0) == [200, 200]
    assert made(Settings(str(tiny_model), keep_mb=1e-6), 2, 0) == [404, 200]
    assert made(Settings(str(tiny_model), keep_minutes=0.3 / 60), 1, 0.6) == [404]


@pytest.mark.usefixtures("quick")
def test_uploads_go_once_the_video_is_made_and_everything_when_the_server_ends(
    tiny_model: Path, short: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with TestClient(create_app(Settings(str(tiny_model)))) as client:
        assert client.post("/animate", files=short).status_code == 200
        assert client.post("/animate", files=short, data={"job": "kept"}).status_code == 200
        (home,) = tmp_path.iterdir()
        assert sorted(path.name for path in home.rglob("*") if path.is_file()) == ["lock", "talk.mp4"]
        assert home.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def waiting_films(folder: Path, count: int) -> bool:
    """Whether the uploads of so many videos are there."""
    return len(list(folder.glob("stillspeak-films-*/*/speech"))) == count


def test_a_signal_takes_the_folder_along_and_a_new_server_what_a_killed_one_left(
    tiny_model: Path, long: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    answers: list[httpx.Response] = []

    def wait(address: str) -> None:
        headers = {"Prefer": "wait=60"}
        answers.append(httpx.post(f"{address}/animate", files=long, headers=headers, trust_env=False, timeout=60))

    for sent in (signal.SIGTERM, signal.SIGKILL):
        with served("serve", "--port", "0", "--model", str(tiny_model)) as (server, address):
            asked = httpx.post(f"{address}/animate", files=long, headers=ASYNC, trust_env=False, timeout=60)
            assert asked.status_code == 202
            waiting = threading.Thread(target=wait, args=(address,))
            if sent == signal.SIGTERM:
                waiting.start()
                while not waiting_films(tmp_path, 2):
                    time.sleep(0.05)
            server.send_signal(sent)
            server.wait(20)
            if sent == signal.SIGTERM:
                waiting.join(20)
                assert (answers[0].status_code, "The server ends" in answers[0].text) == (503, True)
        assert len(list(tmp_path.glob("stillspeak-films-*"))) == (sent == signal.SIGKILL)
    (left,) = tmp_path.glob("stillspeak-films-*")
    with folder.own_folder() as young:
        assert left.exists()  # it may be a server that has just begun
        os.utime(left / "lock", (1, 1))
        os.utime(young / "lock", (1, 1))
        with folder.own_folder() as own:
            assert not left.exists()
            assert young.exists()  # its server runs
            assert own != young


def test_a_name_that_is_made_up_cannot_be_guessed(tmp_path: Path):
    async def names() -> set[str]:
        from stillspeak.serving.counts import Counts

        kept = Films(Settings(queue=100), Counts())
        async with kept.opened():
            return {kept.begin(None).name for _ in range(50)}

    found = asyncio.run(names())
    assert len(found) == 50
    assert all(len(name) == 32 for name in found)


def test_progress_is_not_held_back_and_says_that_it_lives(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(film_routes, "_ALIVE_SECONDS", 0.2)
    app = create_app(Settings(str(tiny_model), job_seconds=1.2))
    with TestClient(app) as client:
        answer = client.get("/animate/nobody/events")
        assert answer.headers["Cache-Control"] == "no-cache, no-transform"
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.text.startswith('data: {"state": "unknown"')
        assert "\n: the connection lives\n" in answer.text
        monkeypatch.setattr(film_routes, "_MOST_TOLD", 0)
        crowded = client.get("/animate/nobody/events")
        assert (crowded.status_code, "come back" in crowded.json()["detail"]) == (503, True)
        assert app.state.told == 0
