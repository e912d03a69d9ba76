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


def test_a_new_decoder_draws_what_the_crop_has():
    decoder = MouthDecoder(MouthDecoderConfig((8, 6)), 5)
    mask = torch.nn.functional.interpolate(torch.rand(2, 1, 16, 12), size=(128, 96), mode="bilinear")
    paint = torch.nn.functional.interpolate(2 * torch.rand(2, 3, 16, 12) - 1, size=(128, 96), mode="bilinear")
    layers = decoder(torch.randn(2, 5, 64, 48), mask, paint)
    assert layers.mask.shape == (2, 1, 144, 144)
    small = torch.nn.functional.avg_pool2d(layers.mask, 3)
    assert (small - mask[..., ROWS, COLUMNS]).abs().mean() < 0.01
    assert (at_crop(layers.paint) - paint[..., ROWS, COLUMNS]).abs().mean() < 0.02


def test_every_weight_learns_even_where_the_crop_paints_nothing():
    torch.manual_seed(0)
    decoder = MouthDecoder(MouthDecoderConfig((8, 6)), 5)
    optimiser = torch.optim.Adam(decoder.parameters(), 1e-2)
    features, mask, paint = torch.randn(2, 5, 64, 48), torch.zeros(2, 1, 128, 96), torch.ones(2, 3, 128, 96)
    before = [parameter.clone() for parameter in decoder.parameters()]
    for _ in range(60):
        layers = decoder(features, mask, paint)
        loss = (layers.mask - 0.9).abs().mean() + (layers.paint + 0.5).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert all((old != new).any() for old, new in zip(before, decoder.parameters(), strict=True))
    assert layers.mask.mean() > 0.7
    assert layers.paint.mean() < -0.2
