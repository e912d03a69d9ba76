"""Equations 1 to 3, against values worked out by hand."""

import math

import pytest
import torch

from stillspeak.config import LossConfig
from stillspeak.model.losses import (
    adversarial_loss,
    discriminator_loss,
    pixel_weights,
    reconstruction_loss,
    region_l1,
)


def test_an_undecided_discriminator_costs_2_log_2():
    assert discriminator_loss(torch.zeros(3), torch.zeros(5)).item() == pytest.approx(2 * math.log(2))
    assert adversarial_loss(torch.zeros(3)).item() == pytest.approx(math.log(2))


def test_the_discriminator_loss_is_equation_1_negated():
    real, fake = torch.tensor([1.5, -0.3]), torch.tensor([0.7, -2.0, 0.1])
    expected = -(torch.log(torch.sigmoid(real)).mean() + torch.log(1 - torch.sigmoid(fake)).mean())
    assert discriminator_loss(real, fake).item() == pytest.approx(expected.item(), rel=1e-5)


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
