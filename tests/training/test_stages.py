"""Stages of a preset: their names on the command line, configs from before there were stages, several of a kind."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors import safe_open

from stillspeak.config import MouthDecoderConfig, MouthDiscriminatorConfig, PictureStage, SoundStage
from stillspeak.errors import RunError
from stillspeak.presets import PRESETS, default, paper, tiny
from stillspeak.runtime.engine import find_model
from stillspeak.training.former import modernised, require_resumable
from stillspeak.training.loop import Trainer
from stillspeak.training.overrides import overridden
from stillspeak.training.run import RunFolder, config_from_dict, config_to_dict
from stillspeak.training.runs import flat, numbered
from stillspeak.training.weights import read_generator


def test_a_stage_is_named_after_its_kind_and_the_second_of_a_kind_has_a_number():
    assert numbered(["sound", "picture", "picture", "adversarial"]) == [
        "sound",
        "picture",
        "picture2",
        "adversarial",
    ]
    config = replace(default(), stages=(SoundStage(steps=3), PictureStage(steps=4), PictureStage(steps=5)))
    settings = flat(config_to_dict(config))
    assert (settings["sound.steps"], settings["picture.steps"], settings["picture2.steps"]) == (3, 4, 5)


@pytest.mark.parametrize(
    ("name", "value", "stage", "field"),
    [
        ("--sound.steps", "5", 0, "steps"),
        ("--picture.learning-rate", "0.5", 1, "learning_rate"),
        ("--adversarial.learns", "sound", 2, "learns"),
        ("--train.steps", "5", 2, "steps"),
        ("--train.adversaries_from", "5", 2, "adversaries_from"),
        ("--warm.sound-clips", "5", 0, "clips"),
        ("--warm.picture-frames", "5", 1, "frames"),
    ],
)
def test_settings_of_stages_go_by_their_names_and_by_those_they_had(name: str, value: str, stage: int, field: str):
    for arguments in ([name, value], [f"{name}={value}"]):
        given = getattr(overridden("default", arguments).stages[stage], field)
        assert str(given) == value


def test_what_was_kept_is_said_by_what_learns():
    assert overridden("tiny", ["--train.keep-picture", "True"]).stages[2].learns == "sound"
    assert overridden("default", ["--warm.expression", "False"]).labels.expression is False


def test_a_stage_that_a_preset_lacks_cannot_be_set():
    with pytest.raises(RunError, match="The preset paper has no sound stage"):
        overridden("paper", ["--sound.steps", "5"])
    with pytest.raises(RunError, match="The preset default has no picture2 stage"):
        overridden("default", ["--picture2.steps", "5"])


def test_the_help_names_stages_by_their_kinds(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        overridden("default", ["--help"])
    shown = capsys.readouterr().out
    assert "--adversarial.steps" in shown
    assert "stages." not in shown


@pytest.mark.parametrize("name", ["default", "sharp"])
def test_the_config_of_shipped_weights_is_read(name: str):
    with safe_open(find_model(name) / "generator.safetensors", "pt") as file:
        table = json.loads(file.metadata()["config"])
    config = config_from_dict(table)
    assert config_from_dict(config_to_dict(config)) == config
    assert config.labels.expression


def test_a_config_from_before_there_were_stages_says_the_same():
    table = config_to_dict(default())
    table.pop("stages"), table.pop("labels")
    table["warm"] = {
        "code": 12, "expression": True, "blinks_per_s": 0.4, "sound_steps": 3000, "sound_clips": 24,
        "sound_learning_rate": 1e-3, "picture_steps": 4000, "picture_clips": 12, "picture_frames": 6,
        "picture_learning_rate": 1e-3, "motion": 0.05,
    }  # fmt: skip
    table["train"] |= {
        "steps": 6000, "clips": 6, "frames": 16, "learning_rate": 2e-4, "decay": 0.81, "decay_after_epochs": 10,
        "patience_epochs": 0, "adversaries_from": 100, "keep_context": True, "keep_picture": False, "taught": 0.5,
        "calibrate": True,
    }  # fmt: skip
    assert config_from_dict(table) == default()
    table["warm"] |= {"sound_steps": 0, "picture_steps": 0}
    assert [stage.kind for stage in config_from_dict(table).stages] == ["adversarial"]
    assert modernised(config_to_dict(paper())) == config_to_dict(paper())


def of_old() -> dict[str, Any]:
    """The config of ``default`` with every number that was a setting once."""
    table = config_to_dict(default())
    context, generator = table["generator"]["context"], table["generator"]
    context |= {"fps": 25, "window_seconds": 0.16, "kernel_seconds": 0.025, "stride_seconds": 0.01, "layers": 2}
    context["recurrent"] = generator.pop("recurrent")
    generator |= {
        "noise": {"size": 10, "variance": 0.6, "recurrent": True},
        "decoder": {"kind": "warping", "furthest_px": 12.0},
    }
    table["sequence"] |= {"hidden": 128, "layers": 2}
    table["train"] |= {"ema": 0.999, "save_every_seconds": 60.0}
    table["stages"][1]["motion"] = 0.05
    table["stages"][2] |= {"decay": 0.9, "decay_after_epochs": 20}
    return table


def changed(name: str, value: Any) -> dict[str, Any]:
    """The same with one number changed; ``stages.1.motion`` is one of the second stage."""
    table = of_old()
    *path, field = name.split(".")
    section: Any = table
    for part in path:
        section = section[int(part)] if isinstance(section, list) else section[part]
    section[field] = value
    return table


def test_a_config_with_numbers_that_are_fixed_now_says_the_same():
    assert config_from_dict(of_old()) == default()
    require_resumable(of_old())
    table = of_old()
    table["generator"]["context"]["recurrent"] = table["generator"]["noise"]["recurrent"] = False
    assert config_from_dict(table).generator.recurrent is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("generator.context.fps", 30),
        ("generator.context.window_seconds", 0.2),
        ("generator.context.stride_seconds", 0.005),
        ("generator.noise.size", 20),
        ("generator.noise.recurrent", False),
        ("generator.decoder.furthest_px", 8.0),
        ("sequence.hidden", 64),
    ],
)
def test_a_network_with_another_number_than_the_fixed_one_is_refused_by_its_name(name: str, value: Any):
    with pytest.raises(RunError, match=f"{name} is {value} here"):
        config_from_dict(changed(name, value))


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ("train.ema", "train.ema", 0.9),
        ("stages.1.motion", "picture.motion", 0.1),
        ("stages.2.decay", "adversarial.decay", 0.5),
    ],
)
def test_weights_of_a_training_with_another_number_are_read_but_its_run_is_not_resumed(
    place: str, name: str, value: Any, tmp_path: Path
):
    table = changed(place, value)
    assert config_from_dict(table) == default()
    (tmp_path / "config.toml").write_text(tomli_w.dumps({"prepared": "data", **table}))
    with pytest.raises(RunError, match=f"{name} is {value} here; this version"):
        RunFolder(tmp_path).config()


def test_a_run_of_default_has_at_most_70_settings(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        overridden("default", ["--help"])
    settings = re.findall(r"(?m)^ *--([a-z0-9-]+(?:\.[a-z0-9-]+)+|name) ", capsys.readouterr().out)
    assert 50 < len(settings) <= 70
    assert not [name for name in settings if name.endswith(".kind")]


@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_is_written_and_read_back(name: str):
    config = PRESETS[name]()
    assert config_from_dict(config_to_dict(config)) == config


def test_a_second_stage_of_a_kind_teaches_what_the_first_kept(prepared: Path, tmp_path: Path):
    critic = MouthDiscriminatorConfig((4, 8))
    stage = PictureStage(steps=2, clips=2, frames=2, fine_mouth=critic)
    config = replace(
        tiny(),
        generator=replace(tiny().generator, mouth=MouthDecoderConfig((6, 6))),
        stages=(replace(stage, learns="mouth"), stage),
        train=replace(tiny().train, sample_every=0),
    )
    decoders = []
    for count in (1, 2):
        run = tmp_path / str(count)
        RunFolder(run).create(replace(config, stages=config.stages[:count]), prepared)
        trainer = Trainer(RunFolder(run), say=lambda _: None)
        before = trainer.state.generator.decoder.first.weight.detach().clone()
        trainer.run()
        decoders.append((before, trainer.state.generator.decoder.first.weight))
    assert torch.equal(*decoders[0])
    assert not torch.equal(*decoders[1])
    assert [stage["phase"] for stage in read_generator(run).history] == ["picture", "picture2"]
    tensors, _ = RunFolder(run).load() or ({}, {})
    assert {name.split(".")[1] for name in tensors if name.startswith("network.")} == {"fine_mouth", "fine_mouth2"}
