"""The user study: visitors of known skill are found out, no answer is lost, everyone sees what they should."""

import csv
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import httpx
import pytest
from scipy.stats import beta

from stillspeak.cli import main
from stillspeak.errors import DataError
from stillspeak.experiments.answers import Answers
from stillspeak.experiments.study import Film, Study, build_study, read_study
from stillspeak.experiments.study_report import report
from stillspeak.media.inspection import inspect
from stillspeak.media.video import read_video


def planned(folder: Path, kind: str, clips: int = 24) -> Study:
    """A study whose videos are a few bytes each."""
    methods = ["ours"] if kind == "turing" else ["ours", "static"]
    made = [*(["real"] if kind == "turing" else []), *methods]
    films = [Film(f"{clip:03}{method}.mp4", f"s1/{clip}", method) for clip in range(clips) for method in made]
    checks = ("real", "generated") if kind == "turing" else ("this", "other")
    films += [Film(f"check_{check}.mp4", "", "check", check) for check in checks]
    study = Study(kind, methods, films, (6, 4) if kind == "turing" else (10, 0))
    (folder / "videos").mkdir(parents=True)
    for film in films:
        (folder / "videos" / film.name).write_bytes(film.name.encode())
    (folder / "study.json").write_text(json.dumps(asdict(study)))
    return study


@contextmanager
def served(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "stillspeak.cli", "study", "serve", str(folder), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server, server.stdout.readline().split()[-1]
        server.terminate()


def insist(client: httpx.Client, method: str, path: str, **content: object) -> dict:
    """As the page does: until the server is there."""
    for _ in range(100):
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
            name = client.get(f"{at}/left.mp4").text if question["number"] == 1 else ""
            for _ in range(50):
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


def test_twenty_visitors_at_once_and_a_server_that_is_killed_lose_nothing(tmp_path: Path):
    study = planned(tmp_path / "s", "turing")
    with served(tmp_path / "s") as (server, address), ThreadPoolExecutor(20) as pool:
        running = [pool.submit(visit, address, study, k, 0.8, 5 if k == 7 else 11) for k in range(20)]
        time.sleep(1.5)
        server.send_signal(signal.SIGKILL)
        server.wait()
        with served(tmp_path / "s", int(address.rsplit(":", 1)[1])):
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
    assert sum(found["histogram"]) == 17


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["build", "turing", "--split", "train", "--shown", "90,90"], "A visitor sees 180 different clips"),
        (["build", "turing", "--split", "train", "--shown", "six"], "--shown wants one or two numbers"),
        (["build", "turing", "--split", "train", "--shown=-1,3"], "at least one video"),
        (["build", "preference", "--split", "train"], "two models beside each other, not 1"),
        (["build", "turing", "--model", "real=default"], "names other than real"),
        (["build", "turing", "--model", "default"], "NAME=MODEL"),
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
