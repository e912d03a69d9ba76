"""The ablation: every row trained and judged once, tables with the paper's figures, nothing done twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stillspeak import presets
from stillspeak.cli import main
from stillspeak.config import Config
from stillspeak.errors import RunError
from stillspeak.experiments.ablation import ROWS, ablate


def small(name: str) -> Config:
    """A row of the ablation at the size of ``tiny``."""
    config = replace(presets.tiny(), name=name)
    if name in ("l1", "static"):
        config = replace(config, sequence=None)
    if name == "l1":
        config = replace(config, frame=None)
    if name == "static":
        generator = replace(config.generator, recurrent=False)
        config = replace(config, generator=generator, labels=replace(config.labels, expression=False))
    return config


@pytest.fixture
def small_presets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("l1", "l1_frame", "default", "static"):
        monkeypatch.setitem(presets.PRESETS, name, lambda name=name: small(name))


@pytest.mark.usefixtures("small_presets")
def test_all_rows_are_trained_and_judged_and_a_second_run_uses_what_is_there(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["ablate", "--data", str(prepared), "-o", str(tmp_path / "a"), "--split", "validation", "--clips", "1"]
    assert main([*command, "--workers", "1", "--train.steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "| L1 + Adv img + Adv seq |" in said
    assert "[27.98]" in said
    results = json.loads((tmp_path / "a" / "results.json").read_text())
    assert list(results["rows"]) == list(ROWS)
    assert results["rows"]["ground_truth"]["acd_ratio"]["mean"] == pytest.approx(1.0)
    assert results["rows"]["full"]["psnr"]["mean"] != results["rows"]["l1"]["psnr"]["mean"]
    latex = (tmp_path / "a" / "table2.tex").read_text()
    assert latex.count(r"\\") == 5
    assert r"\pm" in latex
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.onnx")}
    assert len(before) == 8
    assert main([*command, "--workers", "1", "--train.steps", "2"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.onnx")} == before
    capsys.readouterr()
    assert main([*command, "--workers", "1", "--train.steps", "3"]) == 2
    assert "other settings" in capsys.readouterr().err


@pytest.mark.usefixtures("small_presets")
def test_a_run_in_hours_ends_in_time_and_models_can_be_taken(prepared: Path, tiny_model: Path, tmp_path: Path):
    taken = dict.fromkeys(("l1_frame", "full", "static_baseline"), str(tiny_model))
    budget = ["--train.steps", "1000000", "--train.hours", "0.0001"]
    results = ablate(prepared, tmp_path, overrides=budget, taken=taken, split="validation", clips=1, workers=1)
    assert results["rows"]["full"]["psnr"] == results["rows"]["static_baseline"]["psnr"]
    assert not (tmp_path / "runs" / "full").exists()
    assert (tmp_path / "models" / "l1" / "step.onnx").exists()


def test_rows_that_are_none_are_said(prepared: Path, tmp_path: Path):
    with pytest.raises(RunError, match="no row nonsense"):
        ablate(prepared, tmp_path, taken={"nonsense": "default"})
    assert main(["ablate", "--data", str(prepared), "-o", str(tmp_path), "--take", "full"]) == 2
    assert main(["ablate", "--data", str(prepared), "-o", str(tmp_path), "--nonsense.field", "1"]) == 2
