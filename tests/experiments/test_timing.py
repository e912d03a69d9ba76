"""The timing paragraph: every row there, the paper's beside them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from stillspeak.cli import main
from stillspeak.experiments import timing
from stillspeak.model.generator import Generator
from stillspeak.runtime.engine import Engine


def test_a_frame_and_75_are_timed_beside_the_papers_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(timing, "_LEAST_SECONDS", 0.01)
    assert main(["bench", "--preset", "tiny"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "tiny, PyTorch", "default, ONNX Runtime", "the paper's own, on a CPU", "the paper's own, on a GTX 1080 Ti"
    ]  # fmt: skip
    assert "| 7.0 | 0.500 | 150 |" in rows[-1]
    assert all(float(cell) > 0 for row in rows[2:4] for cell in row.split("|")[2:6])
    assert main(["bench", "--preset", "nonsense"]) == 2


def test_an_exported_preset_has_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timing, "_LEAST_SECONDS", 0.01)
    rows = timing.measure("tiny", exported=True)
    assert [row.name for row in rows] == ["tiny, PyTorch", "tiny, ONNX Runtime", "default, ONNX Runtime"]


def test_the_photo_is_encoded_outside_a_frame_whatever_runs_it(monkeypatch: pytest.MonkeyPatch):
    photos: list[int] = []
    timed: list[int] = []
    monkeypatch.setattr(Engine, "identify", counted(photos, Engine.identify))
    monkeypatch.setattr(Generator, "identify", counted(photos, Generator.identify))

    def noted(job: Callable[[], object]) -> float:
        before = len(photos)
        job()
        timed.append(len(photos) - before)
        return 0.1

    monkeypatch.setattr(timing, "_best", noted)
    timing.measure("tiny")
    assert timed == [0, 0, 1] * (2 + torch.cuda.is_available())


def counted(calls: list[int], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which notes each call."""

    def wrapped(*given: Any) -> Any:
        calls.append(1)
        return function(*given)

    return wrapped


def test_a_gpu_has_columns_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H9")
    both = {"CPU": timing.Seconds(0.01, 0.75, 0.002), "GPU": timing.Seconds(0.001, 0.15, 0.0003)}
    rows = timing.table([timing.Timing("a", both), timing.Timing("b", {"CPU": timing.Seconds(0.1, 1.5)})]).splitlines()
    assert rows[0].endswith("| H9: the photo once, ms | H9: a frame, ms | H9: 75 frames, s | H9: frames a second |")
    assert rows[2] == "| a | 2.0 | 10.0 | 0.750 | 100 | 0.3 | 1.0 | 0.150 | 500 |"
    assert rows[3] == "| b |  | 100.0 | 1.500 | 50 |  |  |  |  |"
    assert rows[4] == "| the paper's own |  | 1000.0 | 15.000 | 5 |  | 7.0 | 0.500 | 150 |"
