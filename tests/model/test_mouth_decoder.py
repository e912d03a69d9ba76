"""The mouth at three times the resolution lies where the crop's mouth lies."""

import torch

from stillspeak.config import MouthDecoderConfig
from stillspeak.model.generator import warp
from stillspeak.model.mouth_decoder import MouthDecoder, MouthLayers, at_crop, blend_mouth, warp_mouth

ROWS, COLUMNS = slice(74, 122), slice(24, 72)


def large(crops: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.interpolate(crops, scale_factor=3, mode="nearest")


def test_without_motion_the_window_is_the_stills_own():
    stills = torch.rand(2, 3, 384, 288)
    seen = warp_mouth(stills, torch.zeros(4, 2, 128, 96))
    torch.testing.assert_close(seen, stills[..., 222:366, 72:216].repeat_interleave(2, 0), atol=1e-4, rtol=0)


def test_a_motion_moves_the_window_as_it_moves_the_crop():
    crops = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 12), size=(128, 96), mode="bicubic").clamp(0, 1)
    motion = torch.nn.functional.interpolate(4 * torch.randn(1, 2, 8, 6), size=(128, 96), mode="bicubic")
    smooth = torch.nn.functional.interpolate(crops, scale_factor=3, mode="bilinear")
    small = at_crop(warp_mouth(smooth, motion))
    assert (small - warp(crops, motion)[..., ROWS, COLUMNS]).abs().mean() < 0.01


def test_paint_covers_what_the_mask_says():
    stills, motion = torch.rand(1, 3, 384, 288), torch.zeros(1, 2, 128, 96)
    mask, paint = torch.zeros(1, 1, 144, 144), torch.full((1, 3, 144, 144), 0.5)
    mask[..., 72:] = 1.0
    made = blend_mouth(MouthLayers(mask, paint), stills, motion)
    assert (made[..., 72:] == 0.5).all()
    torch.testing.assert_close(made[..., :72], stills[..., 222:366, 72:144], atol=1e-4, rtol=0)


def test_a_new_decoder_starts_near_the_still_and_every_weight_learns():
    torch.manual_seed(0)
    decoder = MouthDecoder(MouthDecoderConfig((8, 6, 4)), 5)
    layers = decoder(torch.randn(2, 5, 64, 48))
    assert layers.mask.shape == (2, 1, 144, 144)
    assert layers.mask.mean() < 0.2
    (layers.mask.square().mean() + layers.paint.square().mean()).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in decoder.parameters())
