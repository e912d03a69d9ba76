"""The discriminator of mouths that sharpens what the picture phase paints."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stillspeak.config import MouthDiscriminatorConfig, PictureStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.model.discriminators import mouth_of
from stillspeak.model.generator import Generator
from stillspeak.presets import default, sharp, tiny
from stillspeak.training.adversary import MouthCritic
from stillspeak.training.build import make_phases
from stillspeak.training.run import config_from_dict, config_to_dict
from stillspeak.training.team import Team

CONFIG = MouthDiscriminatorConfig((8, 8), learning_rate=2e-3)


def scene(clips: int = 2, time: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sharp and blurred mouths, a still, and where they are open."""
    random = torch.Generator().manual_seed(0)
    real = torch.rand(clips, time, 3, 128, 96, generator=random) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(real.flatten(0, 1), 5, 1, 2).reshape(real.shape)
    interior = torch.zeros(clips, time, 128, 96, dtype=torch.uint8)
    interior[:, :, 94:102, 40:60] = 1
    return real, blurred, real[:, 0].clone(), interior


def test_it_learns_to_tell_blurred_mouths_from_sharp_ones():
    torch.manual_seed(0)
    critic, (real, fake, stills, interior) = MouthCritic(CONFIG, torch.device("cpu")), scene()
    for _ in range(60):
        _, scalars = critic.judge(real, fake, stills, interior)
        critic.optimiser.step()
        critic.optimiser.zero_grad()
    assert scalars["mouth_right_on_real"] > 0.9
    assert scalars["mouth_right_on_fake"] > 0.9


def test_the_generator_hears_of_open_mouths_alone_and_the_critic_nothing_of_that():
    torch.manual_seed(0)
    critic, (real, fake, stills, interior) = MouthCritic(CONFIG, torch.device("cpu")), scene()
    fake.requires_grad_()
    slope, scalars = critic.judge(real, fake, stills, interior)
    assert slope[..., 94:102, 40:60].abs().min() > 0
    assert not slope[..., :90, :].any()
    assert not slope[..., 106:, :].any()
    assert fake.grad is None
    own = [parameter.grad for parameter in critic.network.parameters()]
    louder = MouthCritic(replace(CONFIG, weight=9.0), torch.device("cpu"))
    louder.network.load_state_dict(critic.network.state_dict())
    told, _ = louder.judge(real, fake, stills, interior)
    assert (told != slope).any()
    for ours, theirs in zip(own, louder.network.parameters(), strict=True):
        assert torch.equal(ours, theirs.grad)
    downhill = (fake - 1e-3 * slope / slope.abs().max()).detach()
    _, after = critic.judge(real, downhill, stills, interior)
    weighed = [CONFIG.weight * s["fool_mouth"] + CONFIG.matching * s["mouth_matching"] for s in (scalars, after)]
    assert weighed[1] < weighed[0]


def test_a_batch_is_the_mean_of_its_parts():
    torch.manual_seed(0)
    critic, (real, fake, stills, interior) = MouthCritic(CONFIG, torch.device("cpu")), scene(4)
    interior[:2, :, :, :50] = 0
    whole, _ = critic.judge(real, fake, stills, interior)
    halves = [critic.judge(real[h], fake[h], stills[h], interior[h])[0] for h in (slice(2), slice(2, 4))]
    torch.testing.assert_close(whole, torch.cat(halves) / 2)


def test_shut_mouths_are_not_judged():
    critic, (real, fake, stills, interior) = MouthCritic(CONFIG, torch.device("cpu")), scene()
    slope, scalars = critic.judge(real, fake, stills, torch.zeros_like(interior))
    assert not slope.any()
    assert float(scalars["mouth_loss"]) == 0.0


def test_it_looks_at_the_mouth_in_whatever_light():
    frames = torch.rand(4, 3, 128, 96)
    assert mouth_of(frames).shape == (4, 3, 48, 48)
    critic, (real, _, stills, interior) = MouthCritic(CONFIG, torch.device("cpu")), scene()
    inside, mouth, still = mouth_of(interior[:, :1].float()), mouth_of(real[:, 0]), mouth_of(stills)
    says, features = critic.network(mouth, still, inside)
    darker, _ = critic.network(0.5 * mouth - 0.3, 0.5 * still - 0.3, inside)
    assert says.shape == (2, 1, 12, 12)
    assert [tuple(feature.shape[1:]) for feature in features] == [(8, 24, 24), (8, 12, 12)]
    torch.testing.assert_close(says, darker, atol=0.05, rtol=0)


def test_the_picture_phase_trains_it_and_a_preset_may_do_without(prepared: Path):
    config = tiny().with_stages(PictureStage, mouth=CONFIG)
    clips = Clips(prepared, "train", config.generator.context)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    phase = make_phases(config, Generator(config.generator), drawer, Team())[1]
    assert phase.networks["mouth"] is not None
    before = [parameter.clone() for parameter in phase.networks["mouth"].parameters()]
    scalars = phase.step(0, phase.draw(0))
    assert float(scalars["mouth_loss"]) > 0
    assert any((a != b).any() for a, b in zip(before, phase.networks["mouth"].parameters(), strict=True))
    config = config.with_stages(PictureStage, mouth=None)
    plain = make_phases(config, Generator(config.generator), drawer, Team())[1]
    assert not plain.networks
    assert "mouth_loss" not in plain.step(0, plain.draw(0))


@pytest.mark.parametrize("preset", [default, sharp])
def test_a_config_with_or_without_it_is_read_back(preset):
    for config in (preset(), preset().with_stages(PictureStage, mouth=CONFIG)):
        assert config_from_dict(config_to_dict(config)) == config
