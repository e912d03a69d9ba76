"""Which steps multiply in bfloat16, and that they learn what full precision learns."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stillspeak.config import MouthDiscriminatorConfig, PictureStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.model.generator import Generator
from stillspeak.presets import tiny
from stillspeak.training.build import make_phases
from stillspeak.training.phase import chosen_bfloat16
from stillspeak.training.team import Team


@pytest.mark.parametrize(
    ("precision", "device", "capabilities", "chosen"),
    [
        ("auto", "cpu", {"amx_bf16": True}, True),
        ("auto", "cpu", {"amx_bf16": False, "avx512_bf16": True}, False),
        ("auto", "cpu", {}, False),
        ("auto", "cuda", {}, True),
        ("bf16", "cpu", {}, True),
        ("fp32", "cpu", {"amx_bf16": True}, False),
        ("fp32", "cuda", {}, False),
    ],
)
def test_bfloat16_is_chosen_where_there_are_units_for_it(
    precision, device: str, capabilities: dict[str, bool], chosen: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert chosen_bfloat16(precision, torch.device(device)) is chosen


def test_a_pytorch_that_cannot_tell_stays_in_full_precision(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not chosen_bfloat16("auto", torch.device("cpu"))


@pytest.mark.parametrize("decoder", ["warping", "painting"])
@pytest.mark.parametrize("place", range(3))
def test_a_step_in_bfloat16_is_nearly_one_in_full_precision(place: int, decoder, prepared: Path):
    """Scalars of the step, which come before the update, and how far the update moves the weights."""
    config = tiny().with_stages(PictureStage, mouth=MouthDiscriminatorConfig((8, 8)))
    config = replace(config, generator=replace(config.generator, decoder=decoder))
    clips = Clips(prepared, "train", config.generator.context)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    scalars, changes = [], []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        generator = Generator(config.generator)
        before = [parameter.detach().clone() for parameter in generator.parameters()]
        told = replace(config, train=replace(config.train, precision=precision))
        phase = make_phases(told, generator, drawer, Team())[place]
        scalars.append(phase.step(0, phase.draw(0)))
        pairs = zip(generator.parameters(), before, strict=True)
        changes.append(torch.cat([(after.detach() - old).flatten() for after, old in pairs]))
        assert all(parameter.dtype == torch.float32 for parameter in generator.parameters())
    for name, whole in scalars[0].items():
        if "right" not in name:  # a logit near nought may change its side
            assert float(scalars[1][name]) == pytest.approx(float(whole), rel=0.1, abs=1e-3), name
    assert float(torch.cosine_similarity(*changes, dim=0)) > 0.8  # of Adam's first step: signs of gradients


@pytest.mark.parametrize("decoder", ["warping", "painting"])
def test_frames_made_in_bfloat16_are_of_full_precision(decoder):
    """Motion and colours are of full precision from the last convolution on."""
    torch.manual_seed(0)
    generator = Generator(replace(tiny().generator, decoder=decoder))
    with torch.autocast("cpu", torch.bfloat16):
        features = torch.randn(2, generator.config.identity.channels[0], 64, 48, dtype=torch.bfloat16)
        frames = generator.last(features, torch.rand(1, 3, 128, 96))
    assert frames.dtype == torch.float32
