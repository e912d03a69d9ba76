"""The server: the same frames as offline, sentences for what is wrong, places that come back, nothing left behind."""

import asyncio
import io
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from helpers import tone
from stillspeak.animate import Animator, load
from stillspeak.cli import main
from stillspeak.media.audio import Sound
from stillspeak.media.inspection import inspect
from stillspeak.media.video import read_video
from stillspeak.serving import talk
from stillspeak.serving.protocol import Frame, Hello, unpack
from stillspeak.serving.server import create_app
from stillspeak.serving.service import Settings
from stillspeak.serving.session import Drawn, Session, encoded


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> bytes:
    """A photo as a PNG file's bytes."""
    file = io.BytesIO()
    Image.fromarray(astronaut).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(tiny_model: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(str(tiny_model), sessions=2, body_mb=3, silent_seconds=3))) as client:
        yield client


def wav(seconds: float = 1.0) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, tone(seconds).samples, 16_000, format="WAV")
    return file.getvalue()


def greet(socket: WebSocketTestSession, photo: bytes, **hello: object) -> dict[str, object]:
    socket.send_text(json.dumps(hello))
    socket.send_bytes(photo)
    return json.loads(socket.receive_text())


def rest(socket: WebSocketTestSession) -> tuple[list[Frame], dict[str, object]]:
    """All frames until the server says that it was the last."""
    frames: list[Frame] = []
    while True:
        message = socket.receive()
        if message.get("bytes"):
            frames.append(unpack(message["bytes"]))
        elif message.get("text"):
            return frames, json.loads(message["text"])
        else:
            raise WebSocketDisconnect(message["code"], message.get("reason"))


def picture(frame: Frame) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(frame.picture, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_a_talk_begins_with_what_the_command_says_of_the_photo(client: TestClient, astronaut: np.ndarray):
    head = astronaut[20:220, 130:330]
    file = io.BytesIO()
    Image.fromarray(np.concatenate([head, np.full_like(head, 200), head], axis=1)).save(file, "png")
    with client.websocket_connect("/talk") as socket:
        ready = greet(socket, file.getvalue(), idle=False)
        assert ready["notes"][0] == "2 faces; face 1 speaks (face chooses another)."


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_live_talk_gives_the_frames_of_the_same_talk_offline(
    client: TestClient, animator: Animator, astronaut: np.ndarray, face: bytes, kind: str, tmp_path: Path
):
    rate_hz = animator.rate_hz
    sound = tone(0.8, rate_hz).samples.clip(-1, 1)
    whole = np.rint(sound * 32767).astype("<i2")
    with client.websocket_connect("/talk") as socket:
        ready = greet(socket, face, rate_hz=rate_hz, format=kind, quality=100, idle=False, crop=True)
        assert ready == {"ready": True, "fps": 25, "width": 96, "height": 128}
        for start in range(0, len(whole), 700):
            socket.send_bytes(whole[start : start + 700].tobytes())
        socket.send_text('{"end": true}')
        frames, end = rest(socket)
    offline = animator(astronaut, Sound(whole.astype(np.float32) / 32768, rate_hz), crop=True).frames
    assert end == {"end": True, "frames": 20, "dropped": 0}
    assert [frame.number for frame in frames] == list(range(20))
    assert [frame.seconds for frame in frames] == pytest.approx([0.04 * t for t in range(20)], abs=1e-3)
    assert not any(frame.idle for frame in frames)
    errors = [np.abs(picture(frame).astype(int) - real).mean() for frame, real in zip(frames, offline, strict=True)]
    assert max(errors) < (2 if kind == "jpeg" else 6)
    (tmp_path / f"frame.{kind}").write_bytes(frames[0].picture)
    assert inspect(tmp_path / f"frame.{kind}")["synthetic"] is True


@pytest.mark.parametrize(("in_time", "seconds"), [(True, 0.1), (True, 0.02), (False, 0.1)])
def test_a_server_that_is_too_slow_misses_frames_and_stays_in_time(
    client: TestClient, face: bytes, monkeypatch: pytest.MonkeyPatch, in_time: bool, seconds: float
):
    def slowly(drawn: list[Drawn], hello: Hello) -> list[Frame]:
        time.sleep(0.1 * len(drawn))
        return encoded(drawn, hello)

    monkeypatch.setattr(talk, "encoded", slowly)
    monkeypatch.setattr(talk, "_LATE_SECONDS", 0.5 if in_time else 9.0)
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=64, idle=False)
        for _ in range(round(2 / seconds)):
            socket.send_bytes(np.zeros(round(16_000 * seconds), "<i2").tobytes())
            time.sleep(seconds if in_time else 0.0)
        ended = time.monotonic()
        socket.send_text('{"end": true}')
        frames, end = rest(socket)
        took = time.monotonic() - ended
    if in_time:
        assert end["frames"] == 50
        assert end["dropped"] == 50 - len(frames) > 10
        assert took < 1.7  # without that it would be 3
    else:  # all at once: nobody waits for a moment that has passed
        assert end == {"end": True, "frames": 50, "dropped": 0}
    assert frames[-1].number == 49


def test_after_a_pause_nothing_is_late(client: TestClient, face: bytes, monkeypatch: pytest.MonkeyPatch):
    def slowly(drawn: list[Drawn], hello: Hello) -> list[Frame]:
        time.sleep(0.03 * len(drawn))
        return encoded(drawn, hello)

    monkeypatch.setattr(talk, "encoded", slowly)
    monkeypatch.setattr(talk, "_LATE_SECONDS", 0.5)
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=64)
        for _ in range(3):
            for _ in range(2):
                socket.send_bytes(np.zeros(1600, "<i2").tobytes())
                time.sleep(0.1)
            time.sleep(1.2)
        socket.send_text('{"end": true}')
        frames, end = rest(socket)
    assert end["dropped"] == 0
    assert [frame.number for frame in frames] == list(range(len(frames)))


def test_without_sound_the_face_goes_on_and_the_sounds_own_time_stands_still(client: TestClient, face: bytes):
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=128)
        block = np.zeros(3200, "<i2").tobytes()  # 0.2 s
        socket.send_bytes(block)
        time.sleep(0.9)
        socket.send_bytes(block)
        socket.send_text('{"end": true}')
        frames, _ = rest(socket)
    idle = [frame for frame in frames if frame.idle]
    assert len(idle) >= 8
    assert {round(frame.seconds, 3) for frame in idle} <= {0.2}
    spoken = [frame.seconds for frame in frames if not frame.idle]
    assert spoken == sorted(spoken)
    assert spoken[-1] == pytest.approx(0.36, abs=0.041)


def test_silence_is_drawn_frame_by_frame(client: TestClient, face: bytes):
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=64)
        came = []
        while len(came) < 20:
            assert unpack(socket.receive_bytes()).idle
            came.append(time.monotonic())
        socket.send_bytes(b"")  # no sound at all
        socket.send_text('{"end": true}')
        rest(socket)
    assert (np.diff(came[5:]) > 0.01).mean() > 0.6  # they do not come in heaps


def test_a_key_may_have_any_letters(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model), api_key="schlüssel ä"))) as client:
        for key, status in (("schlüssel ä".encode(), 200), ("schlüssel ä".encode("latin-1"), 200), (b"schlussel", 401)):
            assert (
                client.post("/faces", files={"photo": ("a", face)}, headers={b"X-API-Key": key}).status_code == status
            )


def test_who_asks_for_progress_is_let_go_when_the_server_ends(tiny_model: Path):
    app = create_app(Settings(str(tiny_model)))
    with TestClient(app) as client:
        app.state.stopping = True
        assert "unknown" in client.get("/animate/nobody/events").text


@pytest.mark.parametrize(
    ("hello", "then", "said"),
    [
        ('{"rate_hz": 5}', None, "rate_hz"),
        ('{"nonsense": 1}', None, "nonsense"),
        ("hello", None, "the first message"),
        ("{}", b"no picture", "not a picture"),
        ("{}", "text", "begins with"),
        ('{"face": "9"}', None, "no face 9"),
        ('{"mouth": 2.5}', None, "mouth: Input should be less than or equal to 2"),
        ('{"mouth": NaN}', None, "mouth"),
    ],
)
def test_a_first_message_that_makes_no_sense_is_answered_in_a_sentence(
    client: TestClient, face: bytes, hello: str, then: bytes | str | None, said: str
):
    with client.websocket_connect("/talk") as socket:
        socket.send_text(hello)
        if isinstance(then, str):
            socket.send_text(then)
        else:
            socket.send_bytes(then or face)
        assert said in json.loads(socket.receive_text())["error"]
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def test_half_a_sample_or_other_text_ends_the_talk_with_a_sentence(client: TestClient, face: bytes):
    for message, said in ((b"\0" * 3, "whole samples"), ('{"end": 0}', "only text")):
        with client.websocket_connect("/talk") as socket:
            greet(socket, face, side=128, idle=False)
            socket.send_bytes(message) if isinstance(message, bytes) else socket.send_text(message)
            assert said in json.loads(socket.receive_text())["error"]


def test_a_talk_goes_on_from_the_newest_picture_and_begins_with_the_picture_itself(
    animator: Animator, astronaut: np.ndarray
):
    darker = (astronaut * 0.6).astype(np.uint8)
    session = Session(animator, Hello(side=512), astronaut)
    sound = tone(2.0).samples
    session.hear(sound[:16_000])
    session.show(session.look(darker))
    made = [one.picture.astype(float) for one in session.hear(sound[16_000:])]
    mean = [float(picture.mean()) for picture in made]
    assert mean[0] > mean[1] > mean[2] > mean[3]  # the picture before it melts away
    assert mean[3] == pytest.approx(float(darker.mean()), abs=1)
    often = Session(animator, Hello(side=512), astronaut)
    often.show(often.look(darker))
    assert np.abs(often.hear(sound[:16_000])[0].picture.astype(int) - darker).max() <= 2


def test_pictures_come_between_sound_and_one_that_cannot_be_used_changes_nothing(
    client: TestClient, face: bytes, astronaut: np.ndarray
):
    def file(pixels: np.ndarray) -> bytes:
        kept = io.BytesIO()
        Image.fromarray(pixels).save(kept, "jpeg")
        return kept.getvalue()

    wrong = [
        (b"no picture", "picture"),
        (file(np.zeros((512, 512, 3), np.uint8)), "face"),
        (file(astronaut[:200]), "shape"),
    ]
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, samples="f32", idle=False, side=512)
        for data, said in [*wrong, (file(astronaut), "")]:
            socket.send_text('{"picture": true}')
            socket.send_bytes(data)
            answer = json.loads(socket.receive_text())
            assert answer["picture"] is not bool(said)
            assert said in answer.get("note", "")
        socket.send_bytes(tone(1.0).samples.tobytes())
        socket.send_text('{"end": true}')
        frames, end = rest(socket)
        assert end["frames"] == len(frames) == 25


def test_a_text_where_a_picture_is_due_ends_the_talk(client: TestClient, face: bytes):
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=128, idle=False)
        socket.send_text('{"picture": true}')
        socket.send_text('{"end": true}')
        assert "binary message" in json.loads(socket.receive_text())["error"]


def test_a_talk_that_stays_silent_is_ended(client: TestClient, face: bytes):
    with client.websocket_connect("/talk") as socket:
        greet(socket, face, side=64, idle=False)
        assert "No sound came" in json.loads(socket.receive_text())["error"]


def test_places_are_taken_and_given_back(client: TestClient, face: bytes):
    with client.websocket_connect("/talk") as one, client.websocket_connect("/talk") as two:
        greet(one, face, side=64)
        greet(two, face, side=64)
        assert client.get("/health").json()["sessions"] == 2
        with client.websocket_connect("/talk") as three:
            assert "places" in json.loads(three.receive_text())["error"]
    deadline = time.monotonic() + 10
    while client.get("/health").json()["sessions"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get("/health").json()["sessions"] == 0
    assert b"stillspeak_refused_total" in client.get("/metrics").content


def test_a_video_is_made_and_nothing_is_left(
    client: TestClient, face: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    files = {"photo": ("../../etc/passwd", face), "speech": ("a.wav", wav())}
    answer = client.post("/animate", files=files, data={"fps": "50", "crop": "true", "job": "mine"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "talk.mp4").write_bytes(answer.content)
    assert read_video(tmp_path / "talk.mp4", 50).shape == (50, 128, 96, 3)
    assert inspect(tmp_path / "talk.mp4")["synthetic"] is True
    assert list((tmp_path / "tmp").iterdir()) == []
    told = client.get("/animate/mine/events").text
    last = json.loads([line for line in told.splitlines() if line.startswith("data: ")][-1].removeprefix("data: "))
    assert (last["state"], last["done"], last["total"]) == ("done", 50, 50)


@pytest.mark.parametrize(
    ("files", "data", "status", "said"),
    [
        ({"photo": b"x", "speech": wav()}, {}, 400, "The photo is not a picture"),
        ({"photo": None, "speech": b"x"}, {}, 400, "The speech is not a sound"),
        ({"photo": None, "speech": wav()}, {"face": "7"}, 400, "no face 7"),
        ({"photo": None, "speech": wav()}, {"fps": "fast"}, 400, "frame rate"),
        ({"photo": None}, {}, 422, "speech: Field required"),
        ({"photo": None}, {"speech": "a.wav"}, 422, "speech: a file is needed"),
        ({"photo": None, "speech": wav()}, {"seed": "-1"}, 422, "seed"),
        ({"photo": None, "speech": wav()}, {"mouth": "2.1"}, 422, "mouth: Input should be less than or equal to 2"),
        ({"photo": None, "speech": wav()}, {"mouth": "nan"}, 422, "mouth"),
        ({"photo": None, "speech": wav()}, {"mouth": "wide"}, 422, "mouth: Input should be a valid number"),
        ({"photo": None, "speech": wav(), "teeth": b"x"}, {}, 400, "The photo for the teeth is not a picture"),
        ({"photo": None, "speech": wav()}, {"teeth": "a.jpg"}, 422, "teeth: a file is needed"),
        ({"photo": None, "speech": wav(), "teeth": None}, {"crop": "1"}, 400, "leave out the crop or the teeth"),
        ({"photo": None, "speech": bytes(4_000_000)}, {}, 413, "3 MB"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(
    client: TestClient, face: bytes, files: dict[str, bytes | None], data: dict[str, str], status: int, said: str
):
    answer = client.post(
        "/animate", files={name: (name, content or face) for name, content in files.items()}, data=data
    )
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_a_mouth_opens_as_far_as_it_is_told_in_videos_and_in_talks(client: TestClient, face: bytes, tmp_path: Path):
    def video(**how: float) -> bytes:
        files, data = {"photo": ("a", face), "speech": ("b", wav(0.6))}, {name: str(one) for name, one in how.items()}
        (tmp_path / "talk.mp4").write_bytes(client.post("/animate", files=files, data={"crop": "1", **data}).content)
        return read_video(tmp_path / "talk.mp4").tobytes()

    def live(**how: float) -> list[bytes]:
        with client.websocket_connect("/talk") as socket:
            assert greet(socket, face, samples="f32", quality=100, idle=False, crop=True, **how)["ready"]
            socket.send_bytes(tone(0.6).samples.astype("<f4").tobytes())
            socket.send_text('{"end": true}')
            return [frame.picture for frame in rest(socket)[0]]

    for made in (video, live):
        assert made() == made(mouth=1) != made(mouth=1.8)


def test_a_second_photo_that_shows_no_teeth_is_refused_and_no_file_of_it_is_kept(
    client: TestClient, face: bytes, closed_astronaut: np.ndarray
):
    file = io.BytesIO()
    Image.fromarray(closed_astronaut).save(file, "png")
    files = {"photo": ("a", face), "speech": ("b", wav(0.6)), "teeth": ("c", file.getvalue())}
    answer = client.post("/animate", files=files)
    assert (answer.status_code, "for the teeth shows no teeth" in answer.json()["detail"]) == (400, True)
    answer = client.post("/animate", files={**files, "teeth": ("c", face)}, data={"job": "smile"})
    assert answer.status_code == 200
    film = client.app.state.service.films.find("smile")  # type: ignore[attr-defined]
    assert [path.name for path in film.folder.iterdir()] == ["talk.mp4"]


def test_a_model_that_cannot_open_its_mouth_more_says_so_before_anything_is_made(unwarmed_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(unwarmed_model)))) as client:
        files = {"photo": ("a", face), "speech": ("b", wav(0.4))}
        answer = client.post("/animate", files=files, data={"mouth": "1.2", "job": "mine"})
        assert (answer.status_code, "leave the mouth at 1" in answer.json()["detail"]) == (400, True)
        assert client.get("/animate/mine").status_code == 404
        assert client.post("/animate", files=files, data={"mouth": "1.0"}).status_code == 200
        with client.websocket_connect("/talk") as socket:
            assert "leave the mouth at 1" in str(greet(socket, face, mouth=1.2)["error"])
        with client.websocket_connect("/talk") as socket:
            assert greet(socket, face, mouth=1)["ready"]


def test_a_body_that_lies_about_its_length_is_refused_all_the_same(client: TestClient):
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(100_000)

    answer = client.post("/animate", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413


def test_two_videos_of_one_name_are_not_made_at_once(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model), jobs=2))) as client:
        files = {"photo": ("a", face), "speech": ("b", wav(20.0))}
        answers: list[int] = []
        ask = partial(client.post, "/animate", files=files, data={"job": "same"})
        first = threading.Thread(target=lambda: answers.append(ask().status_code))
        first.start()
        time.sleep(0.7)
        second = ask()
        first.join()
        assert answers == [200]
        assert second.status_code == 400
        assert "of the name same is being made" in second.json()["detail"]
        assert client.get("/animate/same/events").text.count("done")


def test_a_full_queue_says_when_to_come_back(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model), jobs=1, queue=0))) as client:
        files = {"photo": ("a", face), "speech": ("b", wav(20.0))}
        answers: list[int] = []
        first = threading.Thread(target=lambda: answers.append(client.post("/animate", files=files).status_code))
        first.start()
        time.sleep(0.7)
        late = client.post("/animate", files=files)
        first.join()
    assert answers == [200]
    assert late.status_code == 503
    assert int(late.headers["Retry-After"]) > 0
    assert "come back" in late.json()["detail"]


def test_a_video_that_takes_too_long_is_given_up(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model), job_seconds=0.2))) as client:
        answer = client.post("/animate", files={"photo": ("a", face), "speech": ("b", wav(20.0))})
    assert answer.status_code == 500
    assert "longer than" in answer.json()["detail"]


def workers_of(process: int) -> list[int]:
    """The processes that make videos for a server."""
    children = Path(f"/proc/{process}/task").glob("*/children")
    found = [int(child) for file in children for child in file.read_text().split()]
    return [child for child in found if b"serving.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes under /proc")
def test_a_worker_that_is_killed_is_said_and_the_server_goes_on(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model)))) as client, client.websocket_connect("/talk") as socket:
        assert greet(socket, face)["ready"] is True
        answers = []
        files = {"photo": ("a", face), "speech": ("b", wav(60.0))}
        wait = {"Prefer": "wait=60"}
        asking = threading.Thread(target=lambda: answers.append(client.post("/animate", files=files, headers=wait)))
        asking.start()
        while not (found := workers_of(os.getpid())):
            time.sleep(0.02)
        os.kill(found[0], signal.SIGKILL)
        asking.join(20)
        assert answers[0].status_code == 500
        assert "ended without a result; try again" in answers[0].json()["detail"]
        assert not workers_of(os.getpid())
        socket.send_bytes((tone(1.0).samples * 32767).astype("<i2").tobytes())
        socket.send_text('{"end": true}')
        assert len(rest(socket)[0]) >= 25
        files = {"photo": ("a", face), "speech": ("b", wav(0.5))}
        assert client.post("/animate", files=files).status_code == 200


def test_only_those_who_know_the_key_get_in_and_no_other_page(tiny_model: Path, face: bytes):
    with TestClient(create_app(Settings(str(tiny_model), api_key="sesame"))) as client:
        files = {"photo": ("a", face)}
        assert client.get("/health").status_code == 200
        assert client.post("/faces", files=files).status_code == 401
        assert client.post("/faces", files=files, headers={"X-API-Key": "wrong"}).status_code == 401
        assert client.post("/faces", files=files, headers={"X-API-Key": "sesame"}).json()[0]["number"] == 1
        assert client.post("/faces", files=files, headers={"Authorization": "Bearer sesame"}).status_code == 200
        assert client.post("/faces", files=files, headers={"Authorization": "bearer sesame"}).status_code == 200
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk"):
            pass
        with client.websocket_connect("/talk?key=sesame") as socket:
            assert greet(socket, face)["ready"] is True
        other = {"X-API-Key": "sesame", "Origin": "https://elsewhere.example"}
        assert client.post("/faces", files=files, headers=other).status_code == 403
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/talk?key=sesame", headers=other):
            pass
        assert client.get("/metrics").status_code == 401
        assert client.get("/").status_code == client.get("/app.js").status_code == 200
        nonsense = {"X-API-Key": "sesame", "Origin": "http://["}
        assert client.post("/faces", files=files, headers=nonsense).status_code == 403


def test_nothing_of_a_strangers_body_is_read(tiny_model: Path):
    app = create_app(Settings(str(tiny_model), api_key="sesame"))
    sent: list[dict] = []

    async def receive() -> dict:
        raise AssertionError("the body was asked for")

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/animate", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 401


def test_photos_and_crowds_have_a_limit(tiny_model: Path, face: bytes, astronaut: np.ndarray):
    with TestClient(create_app(Settings(str(tiny_model), photo_mb=0.1))) as client:
        assert client.post("/faces", files={"photo": ("a", face)}).status_code == 413
    row = np.concatenate([astronaut[:256, 100:300]] * 5, axis=1)
    file = io.BytesIO()
    Image.fromarray(row).save(file, "png")
    with TestClient(create_app(Settings(str(tiny_model)))) as client, client.websocket_connect("/talk") as socket:
        said = greet(socket, file.getvalue(), face="all")
        assert "at most 4 faces, not 5" in str(said["error"])


def test_the_page_is_there_and_says_that_it_is_synthetic(client: TestClient):
    page = client.get("/")
    assert "ynthetic" in page.text
    for name in ("app.js", "style.css"):
        assert name in page.text
        assert client.get(f"/{name}").status_code == 200
    assert client.get("/../server.py").status_code == 404


def test_a_port_that_is_taken_and_places_that_are_none_are_said(capsys: pytest.CaptureFixture[str], tiny_model: Path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port, "--model", str(tiny_model)]) == 2
    assert "Nobody can listen" in capsys.readouterr().err
    assert main(["serve", "--sessions", "-1"]) == 2
    assert main(["serve", "--port", "99999999", "--model", str(tiny_model)]) == 2
    assert main(["serve", "--model", "nonsense"]) == 2


@pytest.mark.parametrize("rate_hz", [44_100, 88_200, 96_000, 176_400, 192_000, 384_000])
def test_a_sound_card_at_its_own_rate_gives_the_same_frames(animator: Animator, astronaut: np.ndarray, rate_hz: int):
    def frames(at_hz: int) -> np.ndarray:
        session = Session(animator, Hello(rate_hz=at_hz, crop=True), astronaut)
        samples = tone(1.0, animator.rate_hz).at(at_hz).samples
        pieces = [samples[start : start + at_hz // 50] for start in range(0, len(samples), at_hz // 50)]
        drawn = [one for piece in pieces for one in session.hear(piece)]
        assert (
            len(drawn) >= 20
        )  # no more than the 60 ms that a frame looks ahead, and 20 for the resampler, are kept back
        return np.stack([one.picture for one in drawn + session.finish()]).astype(int)

    own, card = frames(animator.rate_hz), frames(rate_hz)
    assert len(card) == len(own) == 25
    assert np.abs(card - own).mean() < 0.2 * np.abs(own - own[0]).mean()


def test_a_frame_may_be_far_smaller_than_the_photo(tiny_model: Path, astronaut: np.ndarray):
    session = Session(load(tiny_model), Hello(side=64), cv2.resize(astronaut, (2048, 2048)))
    assert session.size == (64, 64)
