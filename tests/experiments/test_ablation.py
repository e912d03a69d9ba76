"""The ablation: rows that are variants of a base, each trained and judged once, tables with the paper's figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from stillspeak.cli import main
from stillspeak.errors import RunError, StoppedError
from stillspeak.experiments import ablation
from stillspeak.experiments.ablation import ablate, rows_of
from stillspeak.experiments.tables import ROWS

SMALL = ["--picture.steps", "1", "--sound.steps", "1", "--adversarial.steps", "2", "--adversarial.frames", "3"]


def test_all_rows_are_trained_and_judged_and_a_second_run_uses_what_is_there(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["ablate", "--base", "tiny", "--data", str(prepared), "-o", str(tmp_path / "a"), "--split", "validation"]
    command += ["--clips", "1", "--workers", "1", *SMALL]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "| L1 + Adv img + Adv seq |" in said
    assert "[27.98]" in said
    assert "| L1 | L1 on the whole face (`loss.upper` 1), and no discriminator | 1 | 0." in said
    assert "adversarial 2 (" in said
    results = json.loads((tmp_path / "a" / "results.json").read_text())
    assert list(results["rows"]) == list(ROWS)
    assert results["rows"]["ground_truth"]["acd_ratio"]["mean"] == pytest.approx(1.0)
    assert results["rows"]["full"]["psnr"]["mean"] != results["rows"]["l1"]["psnr"]["mean"]
    latex = (tmp_path / "a" / "table2.tex").read_text()
    assert latex.count(r"\\") == 6
    assert r"\pm" in latex
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.onnx")}
    assert len(before) == 8
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.onnx")} == before
    capsys.readouterr()
    assert main([*command, "--adversarial.steps", "3"]) == 2
    assert "other settings" in capsys.readouterr().err


def test_repeats_give_the_mean_over_trainings_and_their_spread(prepared: Path, tmp_path: Path):
    taken = dict.fromkeys(("l1_frame", "full", "static_baseline"), str(_trained(prepared, tmp_path)))
    how = {"base": "tiny", "overrides": SMALL, "taken": taken, "split": "validation", "clips": 1, "workers": 1}
    results = ablate(prepared, tmp_path / "a", repeats=2, **how)
    means = []
    for seed in (0, 1):
        judged = json.loads((tmp_path / "a" / "evaluations" / f"l1-seed{seed}" / "results.json").read_text())
        means.append(judged["rows"]["model"]["psnr"]["mean"])
    assert means[0] != means[1]
    cell = results["rows"]["l1"]["psnr"]
    assert cell["mean"] == pytest.approx(np.mean(means))
    assert cell["repeats_sd"] == pytest.approx(np.std(means, ddof=1))
    assert results["about"]["training seeds"] == [0, 1]
    assert len(results["models"]["l1"]) == 2
    assert "repeats_sd" not in results["rows"]["full"]["psnr"]
    assert "| L1 | L1 on the whole face" in (text := (tmp_path / "a" / "results.md").read_text())
    assert f"s.d. {cell['repeats_sd']:.3f}" in text


def _trained(prepared: Path, tmp_path: Path) -> Path:
    """A run of ``tiny`` that ended in time."""
    run = tmp_path / "taken"
    budget = ["--train.hours", "0.0001", "--adversarial.steps", "1000000", "--sound.steps", "1", "--picture.steps", "1"]
    assert main(["train", "tiny", "--data", str(prepared), "--run", str(run), *budget]) == 0
    return run


def test_an_ablation_that_is_stopped_keeps_the_rows_that_are_done(
    prepared: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    command = ["ablate", "--base", "tiny", "--data", str(prepared), "-o", str(tmp_path / "a"), "--split", "validation"]
    command += ["--clips", "1", "--workers", "1", "--take", f"l1={tiny_model}"]

    def stopped(*_: object) -> None:
        raise StoppedError("Stopped and saved; go on with: stillspeak resume")

    monkeypatch.setattr(ablation, "train", stopped)
    assert main(command) == 2
    assert capsys.readouterr().err.count("the same command goes on") == 1
    results = json.loads((tmp_path / "a" / "results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "still", "l1"]
    assert "taken from" in (tmp_path / "a" / "results.md").read_text()


@pytest.mark.parametrize("base", ["paper", "paper_half", "default"])
def test_a_base_keeps_its_own_kind_in_every_row(base: str):
    rows = rows_of(base, ["--loss.mouth", "3.5"])
    kinds = {config.generator.decoder for config in rows.values()}
    assert kinds == {"warping" if base == "default" else "painting"}
    assert {config.loss.mouth for config in rows.values()} == {3.5}
    assert [config.loss.upper for config in rows.values()][1:] == [rows["full"].loss.upper] * 3
    assert [config.sequence is not None for config in rows.values()] == [False, False, True, False]


@pytest.mark.parametrize(
    ("base", "overrides", "said"),
    [
        ("l1", [], "needs a Frame Discriminator"),
        ("static", [], "needs a Frame Discriminator"),
        ("tiny", ["--sequence", "None"], "needs a Frame Discriminator"),
        ("tiny", ["--adversarial.steps", "0"], "needs an adversarial stage"),
        ("lipreader", [], "no preset lipreader"),
        ("nonsense", [], "no preset nonsense"),
    ],
)
def test_a_base_without_what_the_rows_leave_out_is_said(base: str, overrides: list[str], said: str):
    with pytest.raises(RunError, match=said):
        rows_of(base, overrides)


def test_rows_that_are_none_are_said(prepared: Path, tmp_path: Path):
    with pytest.raises(RunError, match="no row nonsense"):
        ablate(prepared, tmp_path, taken={"nonsense": "default"})
    assert main(["ablate", "--data", str(prepared), "-o", str(tmp_path), "--take", "full"]) == 2
    assert main(["ablate", "--data", str(prepared), "-o", str(tmp_path), "--nonsense.field", "1"]) == 2
    assert main(["ablate", "--data", str(prepared), "-o", str(tmp_path), "--repeats", "0"]) == 2
