"""How much of what a stage learnt is kept: the right value, for the parts that learn alone, and the same after a resume."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stillspeak.config import AdversarialStage, Config, MouthDecoderConfig, PictureStage, SoundStage
from stillspeak.errors import RunError
from stillspeak.presets import tiny
from stillspeak.training import loop
from stillspeak.training.checks import checked
from stillspeak.training.loop import Trainer
from stillspeak.training.overrides import overridden
from stillspeak.training.phase import Part
from stillspeak.training.run import BEST, RunFolder
from stillspeak.training.weights import read_generator

SOUND, PICTURE = SoundStage(steps=3, clips=2), PictureStage(steps=3, clips=2, frames=2)


def staged(*stages: SoundStage | PictureStage | AdversarialStage) -> Config:
    return replace(tiny(), stages=stages, train=replace(tiny().train, sample_every=0))


def begun(config: Config, prepared: Path, folder: Path) -> Trainer:
    RunFolder(folder).create(config, prepared)
    trainer = Trainer(RunFolder(folder), say=lambda _: None)
    trainer.save()
    return trainer


def weights_of(trainer: Trainer) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in trainer.state.weights().items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("stage", "learning"),
    [(SOUND, ("context.",)), (PICTURE, ("identity.", "decoder.", "last."))],
    ids=["sound", "picture"],
)
def test_weights_that_learn_lie_between_where_the_stage_began_and_where_it_led(
    stage: SoundStage | PictureStage, learning: tuple[str, ...], prepared: Path, tmp_path: Path
):
    led, kept = (begun(staged(replace(stage, keep=keep)), prepared, tmp_path / str(keep)) for keep in (1.0, 0.25))
    before = weights_of(kept)
    led.run(), kept.run()
    after, between = weights_of(led), weights_of(kept)
    moved = set[str]()
    for name, value in between.items():
        network, _, weight = name.partition(".")
        if weight.startswith(learning) and value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * before[name] + 0.25 * after[name], msg=name)
            moved |= {network} if not torch.equal(before[name], after[name]) else set()
        else:
            assert torch.equal(value, after[name]), name
    assert moved == {"generator", "average"}
    assert [stage["phase"] for stage in kept.state.history] == [stage.kind, f"kept: 25% of {stage.kind}"]
    exported = read_generator(tmp_path / "0.25").weights
    assert all(torch.equal(value, between[f"average.{name}"]) for name, value in exported.items())


def test_the_next_stage_begins_where_the_kept_part_of_the_one_before_lies(prepared: Path, tmp_path: Path):
    undone = begun(staged(replace(PICTURE, keep=0.0), SOUND), prepared, tmp_path / "undone")
    alone = begun(staged(SOUND), prepared, tmp_path / "alone")
    undone.run(), alone.run()
    one, other = (trainer.state.weights() for trainer in (undone, alone))  # type: ignore[attr-defined]
    assert all(torch.equal(one[name], other[name]) for name in one if name.startswith("generator.context."))


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_a_stage_that_was_killed_keeps_the_same_part(
    killed_at: int, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = staged(replace(SOUND, keep=0.5), replace(PICTURE, keep=0.3))
    whole = begun(config, prepared, tmp_path / "whole")
    whole.run()
    monkeypatch.setattr(loop, "_SAVE_EVERY_SECONDS", 0.0)  # after every step
    for phase in (0, 1):
        folder = tmp_path / f"killed{phase}"
        with pytest.raises(MemoryError):
            killed(begun(config, prepared, folder), phase, killed_at).run()
        resumed = Trainer(RunFolder(folder), say=lambda _: None)
        resumed.run()
        one, other = weights_of(whole), weights_of(resumed)
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert [stage["phase"] for stage in resumed.state.history] == [stage["phase"] for stage in whole.state.history]
        tensors, _ = RunFolder(folder).load() or ({}, {})
        assert not [name for name in tensors if name.startswith("before.")]


def killed(trainer: Trainer, phase: int, step: int) -> Trainer:
    """A run that ends without a word before a step of a phase."""
    original = trainer.state.phases[phase].step

    def stepped(number: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        if number == step:
            raise MemoryError
        return original(number, parts)

    trainer.state.phases[phase].step = stepped  # type: ignore[method-assign]
    return trainer


def test_of_the_best_epoch_too_a_part_is_kept(prepared: Path, tmp_path: Path):
    stage = AdversarialStage(steps=4, clips=2, frames=4, patience_epochs=2)
    led, kept = (begun(staged(replace(stage, keep=keep)), prepared, tmp_path / str(keep)) for keep in (1.0, 0.5))
    before = weights_of(kept)
    led.run(), kept.run()
    after, between = (read_generator(folder / BEST).weights for folder in (tmp_path / "1.0", tmp_path / "0.5"))
    for name, value in between.items():
        if value.is_floating_point():
            middle = (before[f"average.{name}"] + after[name]) / 2
            torch.testing.assert_close(value, middle, rtol=2e-3, atol=1e-3, msg=name)
    assert [stage["phase"] for stage in kept.state.history] == ["adversarial", "kept: 50% of adversarial"]


def test_each_adversarial_stage_has_its_own_patience_and_its_own_best_epoch(prepared: Path, tmp_path: Path):
    stage = AdversarialStage(steps=1, clips=2, frames=4, patience_epochs=1)
    trainer = begun(staged(stage, replace(stage, patience_epochs=0)), prepared, tmp_path / "run")
    assert trainer.state.patience is not None  # type: ignore[attr-defined]
    trainer.state.patience.waited = 1  # type: ignore[attr-defined]
    (tmp_path / "run" / BEST).write_bytes(b"of the stage before")
    trainer.run()
    assert [stage["phase"] for stage in trainer.state.history] == ["adversarial2"]
    assert not (tmp_path / "run" / BEST).exists()


def test_every_stage_of_a_kind_is_checked():
    assert [stage.steps for stage in staged(PICTURE, SOUND, replace(PICTURE, steps=5)).stages_of(PictureStage)] == [
        3,
        5,
    ]
    fine = replace(tiny().generator, mouth=MouthDecoderConfig())
    stages = AdversarialStage(steps=1, learns="sound"), AdversarialStage(steps=1, learns="picture")
    assert checked(replace(tiny(), generator=fine, stages=stages[:1]))
    with pytest.raises(RunError, match="mouth decoder learns in a picture stage"):
        checked(replace(tiny(), generator=fine, stages=stages))
    with pytest.raises(RunError, match=r"picture\.keep must be at most 1, not 2"):
        overridden("tiny", ["--picture.keep", "2"])
