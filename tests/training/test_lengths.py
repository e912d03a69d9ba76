"""Clips of several lengths in one step: the gradients are those of padded clips whose padding is left out everywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import Config
from stillspeak.model.discriminators import SequenceDiscriminator
from stillspeak.model.generator import Generator
from stillspeak.model.lengths import Lengths
from stillspeak.presets import tiny
from stillspeak.training.adversary import FrameAdversary, Scene, SequenceAdversary, judge
from stillspeak.training.step import draw_frames
from stillspeak.training.team import Draws, Share

COUNTS = [9, 4, 14]
LONGEST = max(COUNTS)
INSIDE = (torch.arange(LONGEST) < torch.tensor(COUNTS)[:, None]).flatten()  # of the frames of padded clips


@pytest.fixture
def config() -> Config:
    torch.manual_seed(0)
    return tiny()


def padded(values: Tensor) -> Tensor:
    """Frames of clips that lie one after another, with rubbish behind the end of each shorter clip: ``(clips * 14, ...)``."""
    whole = torch.rand(len(COUNTS) * LONGEST, *values.shape[1:]) * 3 - 1
    return whole.index_put((INSIDE.nonzero()[:, 0],), values)


@contextmanager
def norms_that_leave_padding_out(network: nn.Module) -> Iterator[None]:
    """Batch norms as written out: the statistics are those of frames of clips alone, where frames of padded clips come in."""

    def normalise(norm: nn.modules.batchnorm._BatchNorm, values: tuple[Tensor], _: Tensor) -> Tensor:
        (image,) = values
        axes = [axis for axis in range(image.dim()) if axis != 1]
        counted = image[INSIDE] if len(image) == len(INSIDE) else image
        mean, variance = counted.mean(axes, keepdim=True), counted.var(axes, unbiased=False, keepdim=True)
        shape = [1, -1] + [1] * (image.dim() - 2)
        return (image - mean) / (variance + norm.eps).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)

    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    hooks = [norm.register_forward_hook(normalise) for norm in norms]
    yield
    for hook in hooks:
        hook.remove()


def gradients(network: nn.Module) -> dict[str, Tensor]:
    """The gradients of a network, which has none afterwards."""
    found = {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}
    network.zero_grad()
    return found


def require_alike(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Requires gradients to differ by no more than 1e-5 of the largest."""
    assert found.keys() == wanted.keys()
    largest = max(float(gradient.abs().max()) for gradient in wanted.values())
    for name, gradient in wanted.items():
        assert float((found[name] - gradient).abs().max()) <= 1e-5 * largest, name


def scene_of(windows: Tensor) -> tuple[Tensor, Scene]:
    """Real frames of clips of three lengths, and the scene of their sound."""
    lengths = Lengths(COUNTS)
    return torch.rand(lengths.frames, 3, 128, 96) * 2 - 1, Scene(torch.rand(3, 3, 128, 96), windows, lengths)


def test_a_generator_learns_from_clips_of_several_lengths_what_it_would_from_padded_ones(config: Config):
    lengths, generator = Lengths(COUNTS), Generator(config.generator)
    stills, noise = torch.rand(3, 3, 128, 96), torch.randn(lengths.frames, config.generator.noise_size)
    windows, slope = torch.randn(lengths.frames, 1280), torch.randn(lengths.frames, 3, 128, 96)
    features = generator.context.audio(windows)
    context, _ = generator.context.memory(lengths.padded(features), generator.begin(3).context)
    codes, _ = generator.noise(lengths.padded(noise), generator.begin(3).noise)
    identity = generator.identify(stills)
    made = draw_frames(generator, identity, lengths.flat(context), lengths.flat(codes), lengths)
    (made * slope).sum().backward()
    found = gradients(generator)
    with norms_that_leave_padding_out(generator):
        state = generator.begin(3)
        shape = (3, LONGEST)
        video, _ = generator(
            generator.identify(stills), padded(windows).unflatten(0, shape), padded(noise).unflatten(0, shape), state
        )
    assert (video.flatten(0, 1)[INSIDE] - made).abs().max() < 1e-5
    (video.flatten(0, 1)[INSIDE] * slope).sum().backward()
    require_alike(found, gradients(generator))


def verdicts_about_padded(
    network: SequenceDiscriminator, verdicts: str, video: Tensor, windows: Tensor
) -> list[Tensor]:
    """The verdicts about each of three padded clips."""
    images = torch.tanh(network.code(network.image(video))).flatten(1)
    codes = torch.cat([images, network.audio(windows)], dim=1).unflatten(0, (3, LONGEST))
    if verdicts == "scales":  # each clip by itself, for its edge is where it ends
        own = [codes[[clip], :count] for clip, count in enumerate(COUNTS)]
        return [network.scales(code, Lengths([code.shape[1]])).flatten() for code in own]
    states, _ = network.memory(codes)
    said = network.classifier(states)[..., 0]
    first = {"last": -1, "every": None}[verdicts]
    return [said[clip, :count][first:] for clip, count in enumerate(COUNTS)]


@pytest.mark.parametrize("verdicts", ["last", "every", "scales"])
def test_a_sequence_discriminator_learns_and_teaches_what_it_would_from_padded_clips(config: Config, verdicts: str):
    sequence = replace(config.sequence, verdicts=verdicts)
    adversary = SequenceAdversary(sequence, config.generator.context, torch.device("cpu"))
    real, scene = scene_of(torch.randn(sum(COUNTS), 1280))
    fake = torch.rand_like(real)
    slope, _ = judge(adversary, real, fake, scene, Draws(Share(), 1))
    found = gradients(adversary.network)
    with norms_that_leave_padding_out(adversary.network):
        seen = fake.clone().requires_grad_()
        says_real, says_fake = (
            verdicts_about_padded(adversary.network, verdicts, padded(video), padded(scene.windows))
            for video in (real, seen)
        )
    fooled = torch.stack([functional.softplus(-says).mean() for says in says_fake]).mean()
    (wanted,) = torch.autograd.grad(fooled, seen, retain_graph=True)
    sides = zip(says_real, says_fake, strict=True)
    losses = [functional.softplus(-one).mean() + functional.softplus(other).mean() for one, other in sides]
    torch.stack(losses).mean().backward(inputs=[*adversary.network.parameters()])
    require_alike(found, gradients(adversary.network))
    require_alike({"fake": slope}, {"fake": wanted})


def test_a_frame_discriminator_draws_frames_of_each_clip_alone_and_learns_from_them_what_it_would_from_padded_ones(
    config: Config,
):
    shown = 6  # more than the shortest clip has
    adversary = FrameAdversary(replace(config.frame, frames=shown), torch.device("cpu"))
    real, scene = scene_of(torch.zeros(sum(COUNTS), 1))
    fake = torch.rand_like(real)
    slope, _ = judge(adversary, real, fake, scene, Draws(Share(), 1))
    found = gradients(adversary.network)
    seen, beside = fake.clone().requires_grad_(), padded(scene.stills[scene.lengths.clip])
    draws, said = Draws(Share(), 1), []
    for video in (real, seen):
        chances = draws.uniform(3, LONGEST)
        drawn = [chances[clip, :count].argsort()[:shown] + LONGEST * clip for clip, count in enumerate(COUNTS)]
        assert [len(frames) for frames in drawn] == [6, 4, 6]
        frames = torch.cat(drawn)
        said.append(adversary.network(padded(video)[frames], beside[frames]).split([6, 4, 6]))
    says_real, says_fake = said
    fooled = torch.stack([functional.softplus(-says).mean() for says in says_fake]).mean()
    (wanted,) = torch.autograd.grad(fooled, seen, retain_graph=True)
    sides = zip(says_real, says_fake, strict=True)
    losses = [functional.softplus(-one).mean() + functional.softplus(other).mean() for one, other in sides]
    torch.stack(losses).mean().backward(inputs=[*adversary.network.parameters()])
    require_alike(found, gradients(adversary.network))
    require_alike({"fake": slope}, {"fake": wanted})


def test_frames_are_taken_from_each_clips_own_end():
    heard, shown = Lengths([5, 3, 7]), Lengths([2, 3, 4])
    numbers = heard.place.float() + 100 * heard.clip
    wanted = [3, 4, 100, 101, 102, 203, 204, 205, 206]
    assert heard.ends(heard.padded(numbers), shown).tolist() == wanted
    assert heard.own_ends(numbers, shown).tolist() == wanted
    assert heard.last(heard.padded(numbers)).tolist() == [4, 102, 206]
    assert heard.flat(heard.padded(numbers)).tolist() == numbers.tolist()
    assert heard.mean(numbers).tolist() == pytest.approx([2, 101, 203])
    alike = Lengths([4, 4])
    assert alike.ends(alike.padded(torch.arange(8)), Lengths([2, 2])).tolist() == [2, 3, 6, 7]
    assert alike.own_ends(torch.arange(8), Lengths([2, 2])).tolist() == [2, 3, 6, 7]
    assert float(heard.shares.sum()) == pytest.approx(1)


def test_the_penalty_of_r1_is_the_squared_gradient_of_real_verdicts(config: Config):
    losses = []
    real, scene = scene_of(torch.randn(sum(COUNTS), 1280))
    for weight in (0.0, 3.0):
        torch.manual_seed(1)
        sequence = replace(config.sequence, r1=weight)
        adversary = SequenceAdversary(sequence, config.generator.context, torch.device("cpu"))
        adversary.network.eval()
        judge(adversary, real, -real, scene, Draws(Share(), 1))
        losses.append(gradients(adversary.network))
    seen = real.clone().requires_grad_()
    says = adversary.network(seen, scene.windows, scene.lengths)
    (slope,) = torch.autograd.grad(says.sum(), seen, create_graph=True)
    (1.5 * slope.square().sum() / 3).backward(inputs=[*adversary.network.parameters()])
    added = gradients(adversary.network)
    without, with_penalty = losses
    for name, gradient in with_penalty.items():
        torch.testing.assert_close(gradient, without[name] + added.get(name, 0), rtol=1e-4, atol=1e-7)


def test_a_real_video_with_another_clips_sound_counts_as_fake_where_it_is_asked_for(config: Config):
    adversary = SequenceAdversary(config.sequence, config.generator.context, torch.device("cpu"))
    adversary.network.forward = lambda video, windows, lengths: lengths.last(lengths.padded(windows[:, 0]))  # type: ignore[method-assign]
    real, scene = scene_of(torch.full((sum(COUNTS), 1), 5.0))
    assert adversary.look_apart(real, scene, Draws(Share(), 1)) == []
    scene = scene._replace(others=torch.full((sum(COUNTS), 1), -2.0))
    (apart,) = adversary.look_apart(real, scene, Draws(Share(), 1))
    assert apart.logits.tolist() == [-2.0] * 3
