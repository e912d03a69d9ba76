"""The two discriminators judge what the paper says they judge."""

from dataclasses import replace

import pytest
import torch

from stillspeak.model.discriminators import FrameDiscriminator, SequenceDiscriminator
from stillspeak.model.lengths import Lengths
from stillspeak.presets import default, paper, tiny


@pytest.mark.parametrize("preset", [tiny, default, paper])
def test_one_logit_a_frame_and_one_a_video(preset):
    config = preset()
    assert config.frame is not None
    assert config.sequence is not None
    frames = torch.rand(3, 3, 128, 96)
    assert FrameDiscriminator(config.frame)(frames, frames).shape == (3,)
    windows = torch.randn(8, config.generator.context.window)
    sequence = SequenceDiscriminator(config.sequence, config.generator.context)
    assert sequence(torch.rand(8, 3, 128, 96), windows, Lengths([5, 3])).shape == (2,)


def test_the_frame_discriminator_is_a_6_layer_cnn_over_still_and_frame():
    network = FrameDiscriminator(paper().frame)
    assert len(network.layers) + 1 == 6
    assert network.layers[0].convolution.in_channels == 6


def test_the_sequence_discriminator_hears_the_sound():
    torch.manual_seed(0)
    network = SequenceDiscriminator(tiny().sequence, tiny().generator.context).eval()
    video = torch.rand(4, 3, 128, 96)
    assert network(video, torch.randn(4, 1280), Lengths([4])) != network(video, torch.randn(4, 1280), Lengths([4]))


def test_every_parameter_of_both_gets_a_finite_gradient():
    config = tiny()
    frame = FrameDiscriminator(config.frame)
    sequence = SequenceDiscriminator(config.sequence, config.generator.context)
    video, windows = torch.rand(8, 3, 128, 96), torch.randn(8, 1280)
    (frame(video[:4], video[4:]).sum() + sequence(video, windows, Lengths([3, 5])).sum()).backward()
    for network in (frame, sequence):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize(("verdicts", "count"), [("last", 2), ("every", 12), ("scales", 36)])
def test_verdicts_are_given_once_a_clip_at_every_frame_or_at_every_scale(verdicts, count):
    torch.manual_seed(0)
    config = replace(tiny().sequence, verdicts=verdicts)
    network = SequenceDiscriminator(config, tiny().generator.context)
    logits = network(torch.rand(12, 3, 128, 96), torch.randn(12, 1280), Lengths([5, 7]))
    assert logits.shape == (count,)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("verdicts", ["last", "every", "scales"])
def test_a_verdict_about_a_clip_does_not_depend_on_the_length_of_the_clip_beside_it(verdicts):
    torch.manual_seed(0)
    network = SequenceDiscriminator(replace(tiny().sequence, verdicts=verdicts), tiny().generator.context).eval()
    video, windows = torch.rand(20, 3, 128, 96), torch.randn(20, 1280)
    together = network(video, windows, Lengths([6, 14]))
    alone = [
        network(video[part], windows[part], Lengths([count])) for part, count in ((slice(6), 6), (slice(6, 20), 14))
    ]
    torch.testing.assert_close(together, torch.cat(alone))


def gradient_of_the_frames(verdicts: str, frames: int) -> torch.Tensor:
    """How strongly the mean verdict about a video hangs on each of its frames."""
    torch.manual_seed(0)
    network = SequenceDiscriminator(replace(tiny().sequence, verdicts=verdicts), tiny().generator.context).eval()
    video = torch.rand(frames, 3, 128, 96).requires_grad_()
    network(video, torch.randn(frames, 1280), Lengths([frames])).mean().backward()
    assert video.grad is not None
    return video.grad.flatten(1).norm(dim=1)


def test_the_first_frames_count_where_verdicts_are_given_all_along():
    assert gradient_of_the_frames("last", 40)[0] < 1e-4 * gradient_of_the_frames("last", 40)[-1]
    for verdicts in ("every", "scales"):
        slopes = gradient_of_the_frames(verdicts, 40)
        assert slopes[0] > 0.1 * slopes[20]
        assert slopes[0] > 0.1 * slopes[-1]
