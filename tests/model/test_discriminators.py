"""The two discriminators judge what the paper says they judge."""

import pytest
import torch

from stillspeak.model.discriminators import FrameDiscriminator, SequenceDiscriminator
from stillspeak.presets import default, paper, tiny


@pytest.mark.parametrize("preset", [tiny, default, paper])
def test_one_logit_a_frame_and_one_a_video(preset):
    config = preset()
    assert config.frame is not None
    assert config.sequence is not None
    frames = torch.rand(3, 3, 128, 96)
    assert FrameDiscriminator(config.frame)(frames, frames).shape == (3,)
    windows = torch.randn(2, 4, config.generator.context.window)
    sequence = SequenceDiscriminator(config.sequence, config.generator.context)
    assert sequence(torch.rand(2, 4, 3, 128, 96), windows).shape == (2,)


def test_the_frame_discriminator_is_a_6_layer_cnn_over_still_and_frame():
    network = FrameDiscriminator(paper().frame)
    assert len(network.layers) + 1 == 6
    assert network.layers[0].convolution.in_channels == 6


def test_the_sequence_discriminator_hears_the_sound():
    torch.manual_seed(0)
    network = SequenceDiscriminator(tiny().sequence, tiny().generator.context).eval()
    video = torch.rand(1, 4, 3, 128, 96)
    assert network(video, torch.randn(1, 4, 1280)) != network(video, torch.randn(1, 4, 1280))


def test_every_parameter_of_both_gets_a_finite_gradient():
    config = tiny()
    frame = FrameDiscriminator(config.frame)
    sequence = SequenceDiscriminator(config.sequence, config.generator.context)
    video, windows = torch.rand(2, 4, 3, 128, 96), torch.randn(2, 4, 1280)
    (frame(video[:, 0], video[:, 1]).sum() + sequence(video, windows).sum()).backward()
    for network in (frame, sequence):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
