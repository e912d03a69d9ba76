"""The generator is the paper's: its layer table, its size, its exact saving; and the warping stage's geometry."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import ContextConfig
from stillspeak.errors import ModelError
from stillspeak.media.spectrum import BANDS, HOP, RATE_HZ, log_mel
from stillspeak.model.blocks import LEVEL, AudioEncoder, MelBands, UNetBlock
from stillspeak.model.generator import Generator, State, WarpingDecoder, warp
from stillspeak.presets import default, paper, tiny


def shapes(module: nn.Module, kinds: tuple[type[nn.Module], ...], *inputs: Tensor) -> list[tuple[int, ...]]:
    """Output shapes of the layers of some kinds, without the batch, in the order they run."""
    seen: list[tuple[int, ...]] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, o: seen.append(tuple(o.shape[1:])))
        for m in module.modules()
        if isinstance(m, kinds)
    ]
    module(*inputs)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.fixture(scope="module")
def paper_generator() -> Generator:
    torch.manual_seed(0)
    return Generator(paper().generator).eval()


def test_the_audio_encoder_has_figure_10s_layers(paper_generator: Generator):
    got = shapes(paper_generator.context.audio, (nn.Conv1d,), torch.zeros(1, 8000))
    assert got == [(16, 160), (32, 80), (64, 40), (128, 20), (256, 10), (512, 5), (256, 1)]


def test_the_identity_encoder_has_figure_12s_layers(paper_generator: Generator):
    got = shapes(paper_generator.identity, (nn.Conv2d,), torch.zeros(1, 3, 128, 96))
    assert got == [(64, 64, 48), (128, 32, 24), (256, 16, 12), (512, 8, 6), (1024, 4, 3), (50, 1, 1)]


def test_the_frame_decoder_has_figure_12s_layers(paper_generator: Generator):
    identity = paper_generator.identify(torch.zeros(1, 3, 128, 96))
    assert paper_generator.config.latent == 316
    got = shapes(paper_generator.decoder, (nn.ConvTranspose2d,), torch.zeros(2, 316), identity.constants)
    assert got == [(1024, 4, 3), (512, 8, 6), (256, 16, 12), (128, 32, 24), (64, 64, 48)]
    frame = paper_generator.last(torch.zeros(2, 64, 64, 48), identity.still)
    assert frame.shape == (2, 3, 128, 96)


def test_the_papers_generator_has_54_million_parameters(paper_generator: Generator):
    assert sum(p.numel() for p in paper_generator.parameters()) == pytest.approx(54.0e6, rel=0.01)


def test_raw_sound_at_16_khz_is_heard_in_the_same_sizes():
    audio = AudioEncoder(ContextConfig(rate_hz=16_000))
    assert shapes(audio, (nn.Conv1d,), torch.zeros(1, 2560))[0] == (16, 160)


def test_the_default_hears_mel_bands_every_10_ms():
    audio = Generator(default().generator).context.audio
    assert shapes(audio, (MelBands, nn.Conv1d), torch.zeros(1, 2560))[:2] == [(48, 16), (128, 8)]


def test_mel_bands_are_those_of_the_spectrum():
    """Oracle: the log-mel spectrum that the sync scorer hears, by NumPy's transform, each band less its mean."""
    sound = np.random.default_rng(0).normal(0, 0.1, 4800).astype(np.float32)
    expected = log_mel(sound)
    bands = MelBands(BANDS, RATE_HZ, 400, HOP, 200)(torch.from_numpy(sound)[None, None])[0].T.numpy() / LEVEL
    inside = slice(3, -4)  # steps all of whose 25 ms are sound
    np.testing.assert_allclose(
        np.diff(bands[: len(expected)][inside], axis=0), np.diff(expected[inside], axis=0), atol=1e-3
    )


def test_more_layers_than_a_window_has_steps_are_refused():
    config = ContextConfig(rate_hz=16_000, bands=40, channels=(4,) * 6)
    with pytest.raises(ModelError, match="more layers"):
        AudioEncoder(config)


def test_the_constant_half_equals_the_concatenated_convolution():
    torch.manual_seed(0)
    block = UNetBlock(8, 8, 4)
    frames, skip = torch.randn(6, 8, 5, 4), torch.randn(2, 8, 5, 4)
    joined = torch.cat([block.from_frame.weight, block.from_skip.weight], dim=1)
    mixed = functional.conv2d(torch.cat([frames, skip.repeat_interleave(3, 0)], 1), joined, padding=1)
    expected = block.up(torch.relu(block.norm(mixed)))
    torch.testing.assert_close(block(frames, block.constant(skip)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("preset", [tiny, paper])
def test_frames_in_pieces_with_carried_state_equal_frames_at_once(preset):
    torch.manual_seed(0)
    config = preset().generator
    generator = Generator(config).eval()
    still, windows = torch.rand(1, 3, 128, 96), torch.randn(1, 6, config.context.window)
    noise = generator.draw_noise(1, 6)
    with torch.no_grad():
        identity = generator.identify(still)
        whole, _ = generator(identity, windows, noise, generator.begin(1))
        state, pieces = generator.begin(1), []
        for piece in (slice(0, 1), slice(1, 4), slice(4, 6)):
            frames, state = generator(identity, windows[:, piece], noise[:, piece], state)
            pieces.append(frames)
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("preset", [tiny, default, paper])
def test_every_parameter_gets_a_finite_gradient(preset):
    torch.manual_seed(0)
    config = preset().generator
    generator = Generator(config)
    windows = torch.randn(2, 3, config.context.window)
    video, _ = generator(
        generator.identify(torch.rand(2, 3, 128, 96)), windows, generator.draw_noise(2, 3), generator.begin(2)
    )
    (video - torch.rand_like(video)).abs().mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_state_is_passed_and_never_kept():
    generator = Generator(tiny().generator).eval()
    windows, noise = torch.randn(1, 2, 1280), generator.draw_noise(1, 2)
    identity = generator.identify(torch.rand(1, 3, 128, 96))
    first, state = generator(identity, windows, noise, generator.begin(1))
    again, _ = generator(identity, windows, noise, generator.begin(1))
    torch.testing.assert_close(first, again)
    assert isinstance(state, State)
    assert not torch.equal(state.context, generator.begin(1).context)


def test_noise_has_the_papers_variance():
    generator = Generator(tiny().generator)
    noise = generator.draw_noise(100, 100, torch.Generator().manual_seed(0))
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.var().item() == pytest.approx(0.6, rel=0.02)


def test_no_motion_leaves_the_still_as_it_is():
    stills = torch.rand(2, 3, 128, 96)
    torch.testing.assert_close(
        warp(stills, torch.zeros(6, 2, 128, 96)), stills.repeat_interleave(3, 0), atol=1e-5, rtol=0
    )


def test_motion_is_in_pixels_x_then_y_and_each_clip_keeps_its_still():
    stills = torch.rand(2, 3, 128, 96)
    motion = torch.zeros(4, 2, 128, 96)
    motion[:, 0], motion[:, 1] = 3.0, -2.0
    moved = warp(stills, motion)
    for frame, clip in enumerate((0, 0, 1, 1)):
        torch.testing.assert_close(moved[frame, :, 2:, :-3], stills[clip, :, :-2, 3:], atol=1e-4, rtol=0)


def test_a_new_warping_decoder_starts_near_the_photo_repeated():
    torch.manual_seed(0)
    still = torch.rand(1, 3, 128, 96) * 2 - 1
    decoder = WarpingDecoder(8)
    frames = decoder(torch.zeros(2, 8, 64, 48), still)
    assert (frames - still).abs().mean() < 0.1
