"""A model that cannot move a mouth is told from one that can, and gets a word."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from stillspeak.animate import Animator
from stillspeak.data.mouth_code import MouthCode
from stillspeak.errors import StillspeakWarning
from stillspeak.model.generator import Generator
from stillspeak.presets import tiny
from stillspeak.runtime.engine import Engine, find_model
from stillspeak.runtime.motion import moves_mouth
from stillspeak.training.export import export
from stillspeak.training.weights import GENERATOR, Trained, remark, write_generator


@pytest.mark.parametrize("name", ["default", "sharp"])
def test_the_models_that_ship_move_mouths_and_are_not_spoken_of(name: str, astronaut: np.ndarray):
    engine = Engine(find_model(name), threads=1)
    assert moves_mouth(engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error", StillspeakWarning)
        Animator(engine).begin(astronaut)


def new_run(folder: Path, phase: str) -> Path:
    """A generator as it is before its pictures were trained, after a phase."""
    config = tiny()
    torch.manual_seed(0)
    code = MouthCode(np.eye(config.labels.code, 58, dtype=np.float32), 1.0)
    history = [{**remark(phase), "steps": 10}]
    write_generator(folder / GENERATOR, Trained(config, Generator(config.generator).state_dict(), code, history))
    return folder


def test_export_and_animate_say_that_a_run_has_no_pictures_yet(tmp_path: Path, astronaut: np.ndarray):
    with pytest.warns(StillspeakWarning, match="before its picture phase: the model in .* hardly moves a mouth"):
        made = export(new_run(tmp_path, "sound"), tmp_path / "model")
    animator = Animator(Engine(made, threads=1))
    assert not moves_mouth(animator.engine)
    with pytest.warns(StillspeakWarning, match="hardly moves a mouth"):
        animator.begin(astronaut)


def test_a_picture_phase_that_taught_nothing_is_seen_too(tmp_path: Path):
    with pytest.warns(StillspeakWarning, match="too early"):
        export(new_run(tmp_path, "picture"), tmp_path / "model")
