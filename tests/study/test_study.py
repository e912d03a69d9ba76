"""The user study: visitors of known skill are found out, no answer is lost, everyone sees what they should."""

import csv
import json
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from scipy.stats import beta

from helpers import planned, served
from stillspeak.animate import _EASE_SECONDS, Animator, load
from stillspeak.cli import main
from stillspeak.data.manifest import read_manifest
from stillspeak.errors import DataError
from stillspeak.media.audio import Sound
from stillspeak.media.inspection import inspect
from stillspeak.media.video import read_video
from stillspeak.model.generator import Generator
from stillspeak.study.answers import Answers
from stillspeak.study.build import Information, Study, build_study, read_study
from stillspeak.study.report import over_visitors, report
from stillspeak.study.server import create_study_app
from stillspeak.study.videos import noise_seed
from stillspeak.training.weights import fill_generator, read_generator

ROOT = Path(__file__).parents[2]


def insist(client: httpx.Client, method: str, path: str, **content: object) -> dict:
    """As the page does: until the server is there."""
    for _ in range(600):
        try:
            return client.request(method, path, **content).raise_for_status().json()
        except httpx.TransportError:
            time.sleep(0.2)
    raise TimeoutError


def visit(address: str, study: Study, number: int, skill: float, answers: int) -> list[tuple[str, str]]:
    """A visitor who is right with a probability and answers so many questions; returns videos and answers."""
    source = random.Random(number)
    said = []
    with httpx.Client(base_url=address, timeout=20) as client:
        state = insist(client, "POST", "/visitors", json={"consent": True})
        for question in state["questions"][:answers]:
            at = f"/visitors/{state['visitor']}/questions/{question['number']}"
            name = ""
            for _ in range(600):
                try:
                    name = client.get(f"{at}/left.mp4").text
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            film = study.film(name)
            truth = film.check or ("real" if film.method == "real" else "generated")
            right = bool(film.check) or source.random() < skill
            answer = truth if right else {"real": "generated", "generated": "real"}[truth]
            body = {"answer": answer, "seconds": 3.5}
            insist(client, "PUT", at, json=body)
            twice = insist(client, "PUT", at, json={**body, "answer": "real"})  # changes nothing
            assert sum(q["answered"] for q in twice["questions"]) == len(said) + 1
            if not film.check:
                said.append((film.method, answer))
            else:
                said.append(("check", answer))
    return said


def test_ties_are_ties_whatever_a_float_makes_of_thirds():
    thirds = [(a / 3 - b / 3, a - b) for a in range(4) for b in range(4) for _ in range(a + 1)]
    found, exact = (over_visitors([pair[k] for pair in thirds]) for k in (0, 1))
    assert found is not None
    assert exact is not None
    assert found["p"] == exact["p"]


def test_twenty_visitors_at_once_and_a_server_that_is_killed_lose_nothing(tmp_path: Path):
    study = planned(tmp_path / "s", "turing")
    with (
        served("study", "serve", str(tmp_path / "s"), "--port", "0") as (server, address),
        ThreadPoolExecutor(20) as pool,
    ):
        running = [pool.submit(visit, address, study, k, 0.8, 5 if k == 7 else 11) for k in range(20)]
        time.sleep(1.5)
        server.send_signal(signal.SIGKILL)
        server.wait()
        with served("study", "serve", str(tmp_path / "s"), "--port", address.rsplit(":", 1)[1]):
            said = [visitor.result(120) for visitor in running]
    found = report(tmp_path / "s", tmp_path / "r")
    full = [[one for one in visitor if one[0] != "check"] for k, visitor in enumerate(said) if k != 7]
    right = [sum((method == "real") == (answer == "real") for method, answer in visitor) for visitor in full]
    # a visitor whose first answer to begin was lost with the server has left an empty visit behind
    assert found["visitors"] >= 20
    assert (found["complete"], found["counted"]) == (19, 19)
    assert found["histogram"] == [right.count(k) for k in range(11)]
    count, of = sum(right), 190
    by_hand = beta.ppf([0.025], count, of - count + 1)[0], beta.ppf([0.975], count + 1, of - count)[0]
    assert found["accuracy"]["count"] == count
    assert (found["accuracy"]["low"], found["accuracy"]["high"]) == pytest.approx(by_hand)
    assert found["accuracy"]["low"] < 0.8 < found["accuracy"]["high"]
    assert found["always generated"] == pytest.approx(0.6)
    said_real = [
        [np.mean([answer == "real" for method, answer in visitor if (method == "real") is real]) for visitor in full]
        for real in (True, False)
    ]
    apart = float(np.mean(said_real[0]) - np.mean(said_real[1]))  # a skill of 0.8: about 0.8 and 0.2
    assert found["told apart"]["mean"] == pytest.approx(apart)
    assert found["told apart"]["low"] < apart < found["told apart"]["high"]
    assert found["told apart"]["p"] < 0.001
    fooled = [answer == "real" for visitor in full for method, answer in visitor if method == "ours"]
    assert found["taken for real"]["ours"]["count"] == sum(fooled)
    assert found["taken for real"]["ours"]["of"] == len(fooled) == 19 * 6
    rows = list(csv.DictReader((tmp_path / "r" / "answers.csv").open()))
    assert sum(bool(row["answer"]) for row in rows) == 19 * 11 + 5
    assert (tmp_path / "r" / "figure9.pdf").read_bytes().startswith(b"%PDF")


def test_a_preference_is_found_with_its_sides_and_its_chance(tmp_path: Path):
    study = planned(tmp_path / "s", "preference")
    source, wins, careless = random.Random(1), 0, 3
    with closing(Answers(tmp_path / "s", study, seed=2)) as answers:
        for visitor in range(20):
            token = answers.begin()
            for question in answers.questions(token):
                left = study.film(question.left)
                if left.check:
                    attentive = visitor >= careless
                    said = "left" if (left.check == "this") == attentive else "right"
                else:
                    ours = source.random() < 0.75
                    said = "left" if (left.method == "ours") == ours else "right"
                    wins += ours and visitor >= careless
                answers.answer(token, question.number, said, 1.0)
    assert main(["study", "report", str(tmp_path / "s"), "-o", str(tmp_path / "r")]) == 0
    found = json.loads((tmp_path / "r" / "report.json").read_text())
    assert (found["counted"], found["failed the attention check"]) == (17, 3)
    assert (found["preferred"]["ours"]["count"], found["preferred"]["ours"]["of"]) == (wins, 170)
    assert found["preferred"]["static"]["count"] == 170 - wins
    assert found["preferred"]["ours"]["low"] < 0.75 < found["preferred"]["ours"]["high"]
    assert found["preferred"]["ours"]["p"] < 1e-6
    assert found["left side"]["p"] > 0.01
    assert found["over visitors"]["mean"] == pytest.approx(wins / 170 - 0.5)
    assert found["over visitors"]["p"] < 0.01
    assert sum(found["histogram"]) == 17


def test_who_says_generated_to_most_can_tell_nothing():
    source = np.random.default_rng(0)
    found = []
    for _ in range(200):  # studies of 40 visitors who say real to 30 % of 6 generated and 4 real videos alike
        said = source.random((40, 10)) < 0.3
        found.append(over_visitors([*(said[:, 6:].mean(axis=1) - said[:, :6].mean(axis=1))]))
    assert np.mean([one["p"] < 0.05 for one in found]) < 0.1
    assert np.mean([one["low"] <= 0 <= one["high"] for one in found]) > 0.88


def test_answers_stay_with_their_study_and_damage_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = planned(tmp_path / "s", "turing")
    with closing(Answers(tmp_path / "s", study)) as answers:
        answers.begin()
    (tmp_path / "s" / "study.json").write_text(json.dumps(asdict(study) | {"name": "other"}))
    command = ["study", "report", str(tmp_path / "s"), "-o", str(tmp_path / "r")]
    assert main(command) == 2
    assert "answers to another study" in capsys.readouterr().err
    for change in ({"kind": "bogus"}, {"shown": [6]}, {"films": {}}, {"methods": None}):
        (tmp_path / "s" / "study.json").write_text(json.dumps(asdict(study) | change))
        assert main(command) == 2
    (tmp_path / "s" / "study.json").write_text(json.dumps(asdict(study)))
    data = (tmp_path / "s" / "answers.sqlite").read_bytes()
    (tmp_path / "s" / "answers.sqlite").write_bytes(data[:100] + bytes(len(data) - 100))
    assert main(command) == 2
    (tmp_path / "s" / "answers.sqlite").write_bytes(data)
    (tmp_path / "s" / "videos" / study.films[0].name).unlink()
    assert main(command) == 2
    assert "is missing" in capsys.readouterr().err


def test_the_study_server_takes_small_sensible_requests_of_its_own_page(tmp_path: Path):
    planned(tmp_path / "s", "turing")
    with TestClient(create_study_app(tmp_path / "s")) as client:
        visitor = client.post("/visitors", json={"consent": True}).json()["visitor"]
        assert client.post("/visitors", json={"consent": False}).status_code == 422
        assert client.post("/visitors", json={"consent": True}, headers={"Origin": "http://x.y"}).status_code == 403
        assert client.post("/visitors", content=b"x" * 20_000).status_code == 413
        at = f"/visitors/{visitor}/questions/1"
        for body in (b'{"answer": "real", "seconds": 1e999}', b'{"answer": "real", "seconds": NaN}', b"{"):
            answer = client.put(at, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 422
            assert isinstance(answer.json()["detail"], str)
        surrogate = client.put(at, content=b'{"answer": "\\ud800"}', headers={"Content-Type": "application/json"})
        assert surrogate.status_code in (404, 422)
        assert client.get(f"/visitors/{visitor}/questions/1/right.mp4").status_code == 404
        assert client.get("/visitors/nobody").json()["detail"].startswith("There is no such visitor")


def test_what_visitors_see_is_balanced_and_of_different_clips(tmp_path: Path):
    study = planned(tmp_path / "s", "turing")
    shown: Counter[str] = Counter()
    orders, checks = set(), set()
    with closing(Answers(tmp_path / "s", study, seed=0)) as answers:
        for _ in range(24):
            films = [study.film(question.left) for question in answers.questions(answers.begin())]
            plain = [film for film in films if not film.check]
            assert len({film.clip for film in plain}) == 10
            assert Counter(film.method for film in plain) == {"ours": 6, "real": 4}
            shown.update(film.name for film in plain)
            orders.add(tuple(film.method for film in plain))
            checks.update(k for k, film in enumerate(films) if film.check)
    generated = [shown[film.name] for film in study.films if film.method == "ours"]
    assert max(generated) - min(generated) <= 1
    assert len(orders) > 10
    assert min(checks) >= 5


def test_a_study_is_built_and_only_what_is_generated_says_so(prepared: Path, tiny_model: Path, tmp_path: Path):
    models = {"ours": tiny_model}
    study = build_study("turing", prepared, tmp_path / "s", models, split="train", shown=(1, 1), clips=2)
    assert read_study(tmp_path / "s") == study
    for film in study.films:
        path = tmp_path / "s" / "videos" / film.name
        assert inspect(path)["synthetic"] is (None if film.method == "real" else True)
        assert read_video(path).shape[1:] == (384, 288, 3)
    lengths = {(film.clip, len(read_video(tmp_path / "s" / "videos" / film.name))) for film in study.films[:2]}
    assert len(lengths) == 1


def test_no_two_clips_blink_at_the_same_time(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seeds: list[int] = []
    made = Animator.animate_aligned

    def noted(self: Animator, crop: np.ndarray, sound: Sound, *, seed: int = 0) -> np.ndarray:
        seeds.append(seed)
        return made(self, crop, sound, seed=seed)

    monkeypatch.setattr(Animator, "animate_aligned", noted)
    build_study("turing", prepared, tmp_path / "s", {"ours": "default"}, split="train", shown=(2, 1), clips=4)
    assert len(seeds) == len(set(seeds)) == 4


def test_the_moment_of_a_blink_does_not_tell_that_a_video_is_generated():
    """Eyes that begin to close in one certain frame would be the sign of a generated video."""
    trained, engine = read_generator(ROOT / "src/stillspeak/weights/default"), load("default").engine
    generator = Generator(trained.config.generator).eval()
    fill_generator(generator, trained)
    begins: Counter[int] = Counter()
    for clip in range(100):
        noise = engine.noise(noise_seed(0, f"clips/s2/clip{clip}.mp4"), 0, 75)
        with torch.no_grad():
            z_n, _ = generator.noise(torch.from_numpy(noise)[None], generator.begin(1).noise)
        shut = z_n[0, :, 0] > 0.3  # a blink reaches 0.62
        begins.update(np.flatnonzero(shut[1:] & ~shut[:-1]).tolist())
    assert begins.total() > 80
    assert begins.most_common(1)[0][1] / begins.total() < 0.08


def test_real_and_generated_videos_are_treated_alike(
    prepared: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A model that returns the real frames themselves cannot be told from the clip by anything."""
    clips = iter([read_video(prepared / record.path) for record in read_manifest(prepared, "train")[:1]])
    monkeypatch.setattr(Animator, "animate_aligned", lambda *_, **__: next(clips))
    study = build_study("turing", prepared, tmp_path / "s", {"ours": tiny_model}, split="train", shown=(1, 0), clips=1)
    real, generated = (read_video(tmp_path / "s" / "videos" / film.name) for film in study.films[:2])
    assert real.shape == generated.shape
    assert np.abs(real.astype(int) - generated).mean() < 1.5  # one more compression, as every prepared clip had one
    clip = read_video(prepared / read_manifest(prepared, "train")[0].path)
    assert len(real) == len(clip) - round(_EASE_SECONDS * 25)  # neither shows how a generated face leaves the still


def test_what_the_researcher_tells_is_kept_and_what_is_missing_is_said(
    prepared: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    build = ["study", "build", "turing", "--data", str(prepared), "--model", f"ours={tiny_model}", "--split", "train"]
    build += ["--shown", "1,0", "--clips", "1"]
    told = ["--researcher", " Ádá L. ", "--contact", "ada@example.org", "--purpose", "<b>lips</b>"]
    assert main([*build, *told, "-o", str(tmp_path / "some")]) == 0
    said = capsys.readouterr().err
    assert "--duration, --withdrawal; an ethics board will want it" in said
    assert "--contact" not in said
    study = read_study(tmp_path / "some")
    assert study.information == Information("Ádá L.", "ada@example.org", "<b>lips</b>")
    with TestClient(create_study_app(tmp_path / "some")) as client:
        about = client.get("/study").json()
    assert about == {"kind": "turing", "questions": 2, **asdict(study.information)}
    assert main([*build, *told, "--duration", "1 min", "--withdrawal", "write", "-o", str(tmp_path / "all")]) == 0
    assert "ethics" not in capsys.readouterr().err
    assert main([*build, "--contact", "\udce4", "-o", str(tmp_path / "wrong")]) == 2
    assert "The contact of a study must be text in UTF-8" in capsys.readouterr().err


def test_a_study_made_before_visitors_were_told_more_is_still_shown(tmp_path: Path):
    old = asdict(planned(tmp_path / "s", "turing"))
    del old["information"]
    (tmp_path / "s" / "study.json").write_text(json.dumps(old))
    assert read_study(tmp_path / "s").information == Information()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "turing", "--split", "train", "--shown", "90,90"], "A visitor sees 180 different clips"),
        (["build", "turing", "--split", "train", "--shown", "six"], "--shown wants 6,4"),
        (["build", "turing", "--split", "train", "--shown=-1,3"], "--shown wants 6,4"),
        (["build", "preference", "--split", "train"], "two models beside each other, not 1"),
        (["build", "turing", "--model", "real=default"], "names other than real"),
        (["build", "turing", "--model", "default"], "NAME=MODEL"),
        (["build", "turing", "--model", "=default"], "NAME=MODEL"),
        (["build", "turing", "--model", "a=default", "--model", "a=x"], "the same name"),
        (["build", "turing", "--split", "train", "--shown", "1,1", "--clips", "1"], "--clips 1 is too few"),
    ],
)
def test_studies_that_cannot_be_are_said(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
):
    assert main(["study", *arguments, "--data", str(prepared), "-o", str(tmp_path / "s")]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_without_a_study_or_without_visitors_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["study", "serve", str(tmp_path)]) == 2
    assert "holds no study" in capsys.readouterr().err
    planned(tmp_path / "s", "turing")
    assert main(["study", "report", str(tmp_path / "s"), "-o", str(tmp_path / "r")]) == 2
    assert "Nobody has seen" in capsys.readouterr().err
    with closing(Answers(tmp_path / "s", read_study(tmp_path / "s"))) as answers:
        token = answers.begin()
        with pytest.raises(DataError, match="must be real or generated"):
            answers.answer(token, 1, "left", 0)
        with pytest.raises(DataError, match="no question 99"):
            answers.answer(token, 99, "real", 0)
        with pytest.raises(DataError, match="no such visitor"):
            answers.answer("' OR 1=1", 1, "real", 0)
    assert report(tmp_path / "s", tmp_path / "r")["accuracy"] is None
