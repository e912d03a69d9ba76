"""Blinks and brows from the noise: how often, in what shape, that pictures learn to follow, that adversaries leave them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stillspeak.config import PictureStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.data.synthetic import draw_corpus
from stillspeak.errors import ModelError
from stillspeak.evaluation.blinks import blinks
from stillspeak.model.generator import Generator
from stillspeak.presets import PRESETS, default, tiny
from stillspeak.training.blinking import let_blink
from stillspeak.training.build import make_phases
from stillspeak.training.loop import Trainer
from stillspeak.training.run import RunFolder
from stillspeak.training.team import Share, Team
from stillspeak.training.tensors import images
from stillspeak.training.warm_start import (
    CODE_SCALE,
    EXPRESSION_SCALE,
    open_decoder,
    open_eyes,
)

FPS, VARIANCE = 25, 0.6


def expressions(rate: float, frames: int = 20_000) -> np.ndarray:
    """What a Noise Generator that was set to so many blinks a second makes of its noise, ``(frames, 2)``."""
    torch.manual_seed(0)
    generator = Generator(default().generator)
    let_blink(generator, rate)
    with torch.no_grad():
        made, _ = generator.noise(torch.randn(1, frames, 10) * VARIANCE**0.5, torch.zeros(1, 1, 10))
    return made[0, :, :2].numpy() / EXPRESSION_SCALE


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_eyes_blink_as_often_as_they_are_told_and_wholly(rate: float):
    closing = expressions(rate)[:, 0]
    begins = np.flatnonzero(np.diff(closing) > 0.1)
    assert len(begins) * FPS / len(closing) == pytest.approx(rate, rel=0.15)
    assert (closing[begins + 1] > 0.9).mean() > 0.97
    assert np.median(closing[begins + 6]) < 0.5  # open again by half after 0.2 s
    assert closing.min() > -0.01
    found = blinks((1 - 0.5 * closing).astype(np.float32), FPS)
    assert 0.1 < found.seconds < 0.3


def test_no_blink_at_the_first_frames_and_none_at_rate_nought():
    assert abs(expressions(0.4)[:3, 0]).max() < 0.01
    assert abs(expressions(0.0, 2000)[:, 0]).max() < 0.01


def test_what_cannot_blink_is_said():
    with pytest.raises(ModelError, match="with memory"):
        let_blink(Generator(PRESETS["static"]().generator), 0.4)
    with pytest.raises(ModelError, match="from 0 to"):
        let_blink(Generator(tiny().generator), 12.0)


def test_brows_drift_slowly():
    brows = expressions(0.4)[:, 1]
    assert brows.std() == pytest.approx(0.19, rel=0.15)
    assert abs(brows.mean()) < 0.05
    assert np.abs(np.diff(brows)).mean() < 0.1 * brows.std()


def test_a_set_generator_is_set_again_by_a_model_to_start_from(prepared: Path, tmp_path: Path):
    def run(name: str, rate: float, init: Path | None) -> Trainer:
        config = replace(tiny(), labels=replace(tiny().labels, blinks_per_s=rate))
        folder = RunFolder(tmp_path / name)
        folder.create(config, prepared)
        return Trainer(folder, init, lambda _: None)

    often = run("often", 2.0, None)
    often.save()
    seldom = run("seldom", 0.1, tmp_path / "often")
    torch.manual_seed(1)
    noise = torch.randn(1, 2000, 10) * VARIANCE**0.5
    shut = []
    for trainer in (often, seldom):
        with torch.no_grad():
            made, _ = trainer.state.generator.noise(noise, torch.zeros(1, 1, 10))
        shut.append(float((made[..., 0] > 0.3 * EXPRESSION_SCALE).float().mean()))
    assert shut[0] > 5 * shut[1]


def test_pictures_learn_to_shut_the_eyes_that_z_n_says_are_shut(tmp_path: Path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    draw_corpus(tmp_path / "drawn", speakers=3, clips=3)
    config = tiny().with_stages(PictureStage, clips=4, frames=4, steps=150)
    clips = Clips(tmp_path / "drawn", "train", config.generator.context)
    drawer = Drawer(clips, replace(config.data, blinks=1.0, face_jitter=0.0), fit_mouth_code(clips.points, 4))
    generator = Generator(config.generator)
    open_decoder(generator, 4)
    open_eyes(generator, 4)
    phase = make_phases(config, generator, drawer, Team())[1]
    for step in range(phase.steps):
        phase.step(step, phase.draw(step))
    stills, frames, _, _, codes, expressions = phase.draw_part(phase.steps, Share())
    assert expressions[..., 0].mean() > 0.5
    context = torch.zeros(4, 4, config.generator.context.size)
    context[..., :4] = CODE_SCALE * codes
    errors = []
    for told in (expressions, torch.zeros_like(expressions)):
        noise = torch.zeros(4, 4, config.generator.noise_size)
        noise[..., :2] = EXPRESSION_SCALE * told
        with torch.no_grad():
            made = generator.decode(generator.identify(images(stills)), context, noise)
        errors.append(float((made - images(frames)).abs()[..., 40:56, 16:82].mean()))
    assert errors[0] < 0.97 * errors[1]


def test_adversaries_leave_the_noise_generator_as_it_was_set(prepared: Path, tmp_path: Path):
    folder = RunFolder(tmp_path / "run")
    folder.create(tiny(), prepared)
    trainer = Trainer(folder, None, lambda _: None)
    before = [parameter.clone() for parameter in trainer.state.generator.noise.parameters()]
    trainer.run()
    for was, now in zip(before, trainer.state.generator.noise.parameters(), strict=True):
        assert torch.equal(was, now)


def test_no_row_of_the_ablation_is_taught_to_blink():
    taught = [name for name, preset in PRESETS.items() if preset().labels.expression]
    assert taught == ["default", "synchronised", "sharp", "tiny"]
