"""The judges' training: it learns, resumes exactly, exports what it learnt, and says what is wrong."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers import launch
from stillspeak.cli import main
from stillspeak.errors import RunError
from stillspeak.evaluation.sync import SyncScorer
from stillspeak.evaluation.words import GRID_WORDS, LipReader
from stillspeak.judge_config import JudgeConfig
from stillspeak.judges.build import build_judge, make_network
from stillspeak.judges.export import export_judge
from stillspeak.judges.phase import JudgePhase
from stillspeak.judges.sync import SyncScorer as Network
from stillspeak.presets import JUDGES
from stillspeak.training import loop
from stillspeak.training.loop import Trainer
from stillspeak.training.phase import Part
from stillspeak.training.run import RunFolder
from stillspeak.training.team import Share


def small(name: str, steps: int = 4) -> JudgeConfig:
    config = JUDGES[name]()
    channels = (4, 4, 8) if name == "lipreader" else (4, 4, 8, 8)
    sizes = {"hidden": 8} if name == "lipreader" else {"size": 8, "sound_channels": 8}
    train = replace(config.train, steps=steps, clips=2, check_every=steps, log_every=1, threads=1)
    return replace(config, network=replace(config.network, channels=channels, **sizes), train=train)


def quiet(_: str) -> None:
    """Says nothing."""


def trainer_of(folder: Path, say: Callable[[str], None] = quiet) -> Trainer:
    return Trainer(RunFolder(folder), say=say, build=build_judge)


def begun(folder: Path, config: JudgeConfig, prepared: Path, say: Callable[[str], None] = quiet) -> Trainer:
    RunFolder(folder).create(config, prepared)
    return trainer_of(folder, say)


def phase_of(trainer: Trainer) -> JudgePhase:
    (phase,) = trainer.state.phases
    assert isinstance(phase, JudgePhase)
    return phase


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
    stop_after(half, 2)
    with pytest.raises(RunError, match="stillspeak resume"):
        half.run()
    assert half.state.step == 2
    trainer_of(tmp_path / "halves").run()
    one, two = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "halves"))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[key], two[key]) for key in one)


def stop_after(trainer: Trainer, steps: int) -> None:
    """Presses Ctrl-C in the middle of the step after so many."""
    phase = phase_of(trainer)
    original = phase.step

    def stopped(step: int, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        if step == steps - 1:
            signal.raise_signal(signal.SIGINT)
        return original(step, parts)

    phase.step = stopped  # type: ignore[method-assign]


@pytest.mark.parametrize("name", JUDGES)
def test_a_judge_killed_during_its_last_check_makes_it_again(
    name: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = small(name)
    monkeypatch.setattr(loop, "_SAVE_EVERY_SECONDS", 0.0)
    killed = begun(tmp_path / "run", config, prepared)
    monkeypatch.setattr(killed.watch, "figures", killed_now)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    trainer_of(tmp_path / "run").run()
    begun(tmp_path / "whole", config, prepared).run()
    again, whole = (export_judge(tmp_path / run, tmp_path / f"{run}-model") for run in ("run", "whole"))
    accuracy, wanted = (json.loads((model / "model.json").read_text())["accuracy"] for model in (again, whole))
    assert accuracy == wanted
    assert accuracy


def killed_now(*_: object) -> dict[str, float]:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", JUDGES)
def test_parts_of_a_batch_give_the_batch_that_one_part_gives(name: str, prepared: Path, tmp_path: Path):
    phase = phase_of(begun(tmp_path / "run", small(name), prepared))
    whole, parts = phase.draw_part(5, Share()), [phase.draw_part(5, Share(index, 2)) for index in range(2)]
    for together, *apart in zip(whole, *parts, strict=True):
        if together.dtype is torch.float32 or together.shape[1] == apart[0].shape[1]:
            torch.testing.assert_close(torch.cat(apart), together, rtol=0, atol=0)


@pytest.mark.parametrize("name", JUDGES)
def test_a_step_of_parts_moves_the_network_as_one_of_the_whole_batch_does(name: str, prepared: Path, tmp_path: Path):
    moved = []
    for parts in (1, 2):
        config = small(name)
        network = replace(config.network, dropout=0.0) if name == "lipreader" else config.network
        config = replace(config, network=network, train=replace(config.train, accumulate=parts, precision="fp32"))
        phase = phase_of(begun(tmp_path / str(parts), config, prepared))
        still_norms(phase.lesson.network)  # batch norms of parts see parts
        phase.step(0, phase.draw(0))
        moved.append([parameter.detach() for parameter in phase.parameters])
    for one, two in zip(*moved, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-3, atol=2e-6)


def still_norms(network: torch.nn.Module) -> None:
    """Makes batch norms use their running statistics even while the network learns."""
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train = lambda mode=True, module=module: module  # type: ignore[method-assign]
            module.training = False


@pytest.mark.parametrize("name", JUDGES)
def test_two_processes_with_half_a_batch_each_train_the_judge_of_one(name: str, prepared: Path, tmp_path: Path):
    sizes = ["--network.channels", *(("4", "4", "8") if name == "lipreader" else ("4", "4", "8", "8"))]
    sizes += ["--network.hidden", "8", "--network.dropout", "0"] if name == "lipreader" else ["--network.size", "8"]
    steps = ["--train.steps", "3", "--train.clips", "4", "--train.precision", "fp32", "--train.log-every", "1"]
    base = ["train", name, "--data", str(prepared), *sizes, *steps]
    together = launch([*base, "--run", str(tmp_path / "two")], 2)
    assert together.returncode == 0, together.stderr[-2000:]
    assert main([*base, "--run", str(tmp_path / "one")]) == 0
    alone, shared = (
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("one", "two")
    )
    assert len(alone) == len(shared)
    for one, two in zip(alone, shared, strict=True):
        assert two["frames"] == one["frames"]
        assert two.get("loss", 0) == pytest.approx(one.get("loss", 0), rel=2e-3)


@pytest.mark.parametrize("name", JUDGES)
def test_a_judges_step_in_bfloat16_is_nearly_one_in_full_precision(name: str, prepared: Path, tmp_path: Path):
    losses = []
    for precision in ("fp32", "bf16"):
        config = small(name)
        config = replace(config, train=replace(config.train, precision=precision))
        phase = phase_of(begun(tmp_path / precision, config, prepared))
        losses.append(float(phase.step(0, phase.draw(0))["loss"]))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_judge_goes_back_to_its_checkpoint_after_a_value_that_is_no_number(prepared: Path, tmp_path: Path):
    said: list[str] = []
    config = small("sync")
    config = replace(config, train=replace(config.train, back_off=1))
    trainer = begun(tmp_path / "run", config, prepared, said.append)
    trainer.save()
    phase, broken = phase_of(trainer), [True]
    original = phase.step

    def step(step: int, parts: Sequence[Part]) -> dict[str, torch.Tensor]:
        scalars = original(step, parts)
        if step == 1 and broken.pop():
            with torch.no_grad():
                phase.parameters[0].fill_(float("nan"))
            scalars["loss"] = torch.tensor(float("nan"))
            broken.append(False)
        return scalars

    phase.step = step  # type: ignore[method-assign]
    trainer.run()
    assert any("0.5 of the learning rates" in line for line in said)
    assert trainer.state.finite


@pytest.mark.parametrize("name", JUDGES)
def test_every_parameter_of_a_judge_gets_a_finite_gradient(name: str, prepared: Path, tmp_path: Path):
    phase = phase_of(begun(tmp_path / "run", small(name), prepared))
    (part,) = phase.draw(0)
    phase.lesson.loss(phase.lesson.outputs(part), part, 0.25)["loss"].backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in phase.parameters)


def test_a_judge_learns_its_batch(prepared: Path, tmp_path: Path):
    phase = phase_of(begun(tmp_path / "run", small("sync", steps=60), prepared))
    batch = phase.draw(0)
    losses = [float(phase.step(step, batch)["loss"]) for step in range(30)]
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
