"""The judges' training: it learns, resumes exactly, exports what it learnt, and says what is wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stillspeak.cli import main
from stillspeak.config import JudgeConfig
from stillspeak.errors import RunError
from stillspeak.evaluation.sync import SyncScorer
from stillspeak.evaluation.words import GRID_WORDS, LipReader
from stillspeak.judges.lessons import make_network
from stillspeak.judges.sync import SyncScorer as Network
from stillspeak.judges.train import JudgeTrainer, export_judge
from stillspeak.presets import JUDGES
from stillspeak.training.run import RunFolder


def small(name: str, steps: int = 4) -> JudgeConfig:
    config = JUDGES[name]()
    channels = (4, 4, 8) if name == "lipreader" else (4, 4, 8, 8)
    sizes = {"hidden": 8} if name == "lipreader" else {"size": 8, "sound_channels": 8}
    train = replace(config.train, steps=steps, clips=2, check_every=steps, log_every=1, threads=1)
    return replace(config, network=replace(config.network, channels=channels, **sizes), train=train)


def begun(
    folder: Path, config: JudgeConfig, prepared: Path, say: Callable[[str], None] = lambda _: None
) -> JudgeTrainer:
    RunFolder(folder).create(config, prepared)
    return JudgeTrainer(RunFolder(folder), say)


@pytest.mark.parametrize("name", JUDGES)
def test_a_judge_trains_from_the_command_line_and_its_graphs_carry_its_accuracy(
    name: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, out = tmp_path / "run", tmp_path / "model"
    short = ["--train.steps", "2", "--train.clips", "2", "--train.check-every", "2", "--train.threads", "1"]
    assert main(["train", name, "--data", str(prepared), "--run", str(run), *short]) == 0
    assert main(["resume", str(run)]) == 0  # nothing is left to do
    assert main(["export", str(run), "-o", str(out)]) == 0
    description = json.loads((out / "model.json").read_text())
    assert "validation" in description["accuracy"]
    card = (out / "CARD.md").read_text()
    assert "GRID" in card
    assert "s1 (3), s3 (1)" in card
    assert "s20" not in card
    frames = np.random.default_rng(0).integers(0, 255, (12, 128, 96, 3), np.uint8)
    if name == "lipreader":
        assert LipReader(out).log_probabilities(frames).shape == (12, 1 + len(GRID_WORDS))
    else:
        assert SyncScorer(out).model.accuracy["validation"]["clips"] == 2


@pytest.mark.parametrize("name", JUDGES)
def test_a_resumed_judge_equals_an_uninterrupted_one(name: str, prepared: Path, tmp_path: Path):
    whole = begun(tmp_path / "whole", small(name), prepared)
    whole.run()
    half = begun(tmp_path / "halves", small(name), prepared)
    for _ in range(2):
        half._learn(half._draw(half.progress.step))
        half.progress.step += 1
    half.save()
    JudgeTrainer(RunFolder(tmp_path / "halves"), lambda _: None).run()
    one, two = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "halves"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)
    figures = whole.progress.figures
    whole.progress.figures, whole.progress.checked = {}, 0
    whole.save()  # as if it had been killed during its last check
    again = JudgeTrainer(RunFolder(tmp_path / "whole"), lambda _: None)
    again.run()
    assert again.progress.figures == figures


@pytest.mark.parametrize("name", JUDGES)
def test_every_parameter_of_a_judge_gets_a_finite_gradient(name: str, prepared: Path, tmp_path: Path):
    trainer = begun(tmp_path / "run", small(name), prepared)
    trainer.judge.loss(trainer._draw(0), 0.25)["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in trainer.network.parameters())


def test_a_judge_learns_its_batch(prepared: Path, tmp_path: Path):
    trainer = begun(tmp_path / "run", small("sync", steps=60), prepared)
    batch = trainer._draw(0)
    losses = []
    for _ in range(30):
        losses.append(trainer._learn(batch)["loss"])
        trainer.progress.step += 1
    assert losses[-1] < 0.8 * losses[0]


def test_neighbours_count_neither_as_right_nor_as_wrong():
    network = make_network(small("sync").network)
    assert isinstance(network, Network)
    basis = torch.eye(6)[None]
    shifted = basis.clone()
    shifted[:, 1] = basis[:, 0]  # a neighbour that looks the same
    assert network.loss(basis, basis) < 0.01
    assert network.loss(shifted[:, :2], shifted[:, :2]) < 0.01


def test_a_judge_that_was_not_trained_cannot_be_exported(prepared: Path, tmp_path: Path):
    begun(tmp_path / "run", small("sync"), prepared).save()
    with pytest.raises(RunError, match="not been trained"):
        export_judge(tmp_path / "run", tmp_path / "out")


def test_what_cannot_be_is_said_in_one_sentence(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    begin = ["train", "sync", "--data", str(prepared), "--run", str(tmp_path / "run")]
    assert main([*begin, "--init", "default"]) == 2
    assert main([*begin, "--network.channels", "x"]) == 2
    assert main(["train", "lipreader", "--data", str(tmp_path), "--run", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 3
    assert "starts new" in said[0]
    assert not (tmp_path / "run" / "config.toml").exists()


def test_a_damaged_run_is_said_in_one_sentence(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "run"
    begun(run, small("sync", steps=1), prepared).run()
    good = (run / "config.toml").read_text()
    for bad in (
        good.replace("size = 8", "size = 16"),
        good.replace("log_every = 1", "log_every = 0"),
        "name = 3",
        "\xff",
    ):
        (run / "config.toml").write_text(bad, encoding="latin-1")
        assert main(["export", str(run), "-o", str(tmp_path / "out")]) == 2
        assert main(["resume", str(run)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 8
    assert all(line.startswith("stillspeak: ") for line in said)


def test_a_judge_with_a_name_of_its_own_is_still_a_judge(prepared: Path, tmp_path: Path):
    config = replace(small("sync", steps=1), name="mine")
    begun(tmp_path / "run", config, prepared).run()
    assert main(["export", str(tmp_path / "run"), "-o", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "model.json").read_text())["name"] == "mine"


@pytest.mark.parametrize(
    "setting", [("--train.log-every", "0"), ("--network.channels", *"44444"), ("--train.clips", "0")]
)
def test_numbers_that_cannot_be_trained_with_are_refused(setting: tuple[str, ...], prepared: Path, tmp_path: Path):
    assert main(["train", "sync", "--data", str(prepared), "--run", str(tmp_path / "run"), *setting]) == 2
    assert not (tmp_path / "run").exists()
