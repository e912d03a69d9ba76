"""The recipe of the paper's method: from prepared clips to a model, stopped and continued."""

import importlib.util
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from torch import Tensor

from stillspeak.config import AdversarialStage
from stillspeak.presets import paper
from stillspeak.runtime.engine import Engine
from stillspeak.training.phase import Part
from stillspeak.training.step import AdversarialPhase
from stillspeak.variants import narrower


@pytest.fixture
def recipe() -> ModuleType:
    """The recipe at a 64th of the paper's width."""
    spec = importlib.util.spec_from_file_location("paper_recipe", Path("recipes/paper.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    smallest = narrower(paper(), 64, "paper_quarter").with_stages(AdversarialStage, clips=1, frames=3, steps=4)
    train = replace(smallest.train, device="cpu", threads=1, log_every=1, sample_every=0)
    module.settings = lambda *_: replace(smallest, train=train)  # type: ignore[attr-defined]
    return module


@pytest.mark.filterwarnings("ignore:.*hardly moves a mouth")
def test_a_stopped_recipe_exports_what_it_has_and_goes_on_when_given_again(
    recipe: ModuleType, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, model = tmp_path / "run", tmp_path / "model"
    monkeypatch.setattr(sys, "argv", ["paper.py", str(prepared), str(run), "-o", str(model)])
    step = AdversarialPhase.step

    def interrupted(self: AdversarialPhase, number: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        if number == 1:
            signal.raise_signal(signal.SIGINT)
        return step(self, number, parts)

    with monkeypatch.context() as during:
        during.setattr(AdversarialPhase, "step", interrupted)
        recipe.main()
    first = (model / "generator.safetensors").read_bytes()
    recipe.main()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "l1" in line] == [1, 2, 3, 4]
    assert (model / "generator.safetensors").read_bytes() != first
    assert Engine(model, threads=1).description.rate_hz == 50_000


def test_a_folder_without_clips_is_said_in_one_sentence(
    recipe: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", ["paper.py", str(tmp_path / "none"), str(tmp_path / "r"), "-o", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        recipe.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
