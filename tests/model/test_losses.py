"""Equations 1 to 3, against values worked out by hand."""

import math

import pytest
import torch

from stillspeak.config import LossConfig
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import (
    Verdicts,
    adversarial_loss,
    discriminator_loss,
    pixel_weights,
    reconstruction_loss,
    region_l1,
)


def test_an_undecided_discriminator_costs_2_log_2():
    three, five = (Verdicts.alike(torch.zeros(count)) for count in (3, 5))
    assert discriminator_loss(three, five).item() == pytest.approx(2 * math.log(2))
    assert adversarial_loss(three).item() == pytest.approx(math.log(2))


def test_the_discriminator_loss_is_equation_1_negated():
    real, fake = torch.tensor([1.5, -0.3]), torch.tensor([0.7, -2.0, 0.1])
    expected = -(torch.log(torch.sigmoid(real)).mean() + torch.log(1 - torch.sigmoid(fake)).mean())
    loss = discriminator_loss(Verdicts.alike(real), Verdicts.alike(fake))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_every_clip_counts_alike_however_long_it_is():
    real, fake = torch.zeros(4, 3, 128, 96), torch.zeros(4, 3, 128, 96)
    fake[0] = 0.5  # the first clip has one frame, the second three
    weights = pixel_weights(LossConfig())
    assert reconstruction_loss(real, fake, weights, Lengths([1, 3])).item() == pytest.approx(0.25)
    fooled = adversarial_loss(Verdicts(torch.tensor([0.0, 50.0, 50.0, 50.0]), Lengths([1, 3]).shares))
    assert fooled.item() == pytest.approx(math.log(2) / 2)


def test_wrong_pairs_count_as_much_as_they_have_verdicts():
    made, apart = Verdicts.alike(torch.zeros(4)), Verdicts.alike(torch.ones(4))
    half = Verdicts(apart.logits[:2], apart.weights[:2])
    assert made.beside([apart]).mean(made.beside([apart]).logits).item() == pytest.approx(1 / 2)
    assert made.beside([half]).mean(made.beside([half]).logits).item() == pytest.approx(1 / 3)


def test_the_papers_reconstruction_sees_the_lower_half_alone():
    weights = pixel_weights(LossConfig())
    real = torch.zeros(2, 3, 128, 96)
    upper, lower = real.clone(), real.clone()
    upper[:, :, :64] = 1.0
    lower[:, :, 64:] = 0.25
    assert reconstruction_loss(real, upper, weights).item() == 0
    assert reconstruction_loss(real, lower, weights).item() == pytest.approx(0.25)


def test_the_mouths_extra_weight_is_where_the_mouth_is():
    weights = pixel_weights(LossConfig(upper=0.2, mouth=4.0))
    assert weights[0, 0].item() == pytest.approx(0.2)
    assert weights[127, 0].item() == 1.0
    assert weights[93, 50].item() == 5.0  # where the lips of the training clips are on average


def test_the_mouths_l1_ignores_everything_else():
    real, fake = torch.zeros(1, 3, 128, 96), torch.zeros(1, 3, 128, 96)
    fake[..., :70, :] = 1
    assert region_l1(real, fake).item() == 0
