"""Draws the mouth at three times the crop's resolution, as a second, small output of the Frame Decoder. Ours.

A 96 x 128 crop keeps a third of the detail between a person's lips. This output covers only a window around the mouth, so it
costs a fraction of a frame. Like ``WarpingDecoder`` it blends: mouth = (1 - mask) * warp(still, motion) + mask * paint, with the
motion of the frame and the still at the larger resolution. Mask and paint are those of the crop, enlarged, plus what this
decoder adds to them. Before its first training step it adds nothing.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import MouthDecoderConfig
from stillspeak.media.mouths import FINE, WINDOW_LEFT_PX, WINDOW_PX, WINDOW_TOP_PX

_LEAST = 1e-3  # the crop's mask, and its paint's distance from its bounds, count as this much, so logits stay finite
_MARGIN_PX = 2  # the motion is taken so far around the window, so that its edge is interpolated like its middle

WINDOW = slice(WINDOW_TOP_PX, WINDOW_TOP_PX + WINDOW_PX), slice(WINDOW_LEFT_PX, WINDOW_LEFT_PX + WINDOW_PX)

Mouth = Float[Tensor, "n 3 144 144"]


class MouthLayers(NamedTuple):
    """Holds what a ``MouthDecoder`` blends over the window: the mask of paint, and the paint."""

    mask: Float[Tensor, "n 1 144 144"]
    paint: Float[Tensor, "n 3 144 144"]


class MouthDecoder(nn.Module):
    """Turns features of the Frame Decoder, and the crop's mask and paint, into mask and paint of the mouth's window.

    It adds to the logits of the crop's mask and paint. With a mask and a paint of its own it would stop learning: paint that is
    worse than the warped still teaches the mask to be 0, and then the paint gets no gradient (docs/diary.md, 2026-11-28).

    Args:
        config: The sizes of the decoder.
        channels: The number of features that the Frame Decoder gives.
    """

    def __init__(self, config: MouthDecoderConfig, channels: int) -> None:
        super().__init__()
        wide, fine = config.channels
        self.layers = nn.Sequential(
            nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(inplace=True),  # 24 x 24
            nn.Conv2d(wide, wide, 3, padding=1), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(wide, fine, 4, stride=2, padding=1), nn.ReLU(inplace=True),  # 48 x 48
            nn.Conv2d(fine, fine, 3, padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.last = nn.Conv2d(fine, 4 * FINE**2, 3, padding=1)  # layers at 144 x 144 take ONNX Runtime thrice as long
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def forward(
        self,
        features: Float[Tensor, "n channels 64 48"],
        mask: Float[Tensor, "n 1 128 96"],
        paint: Float[Tensor, "n 3 128 96"],
    ) -> MouthLayers:
        rows, columns = (slice(first // 2, (first + WINDOW_PX) // 2) for first in (WINDOW_TOP_PX, WINDOW_LEFT_PX))
        added = functional.pixel_shuffle(self.last(self.layers(features[..., rows, columns])).float(), FINE)
        mask, paint = mask[..., *WINDOW].clamp(_LEAST, 1 - _LEAST), paint[..., *WINDOW].clamp(_LEAST - 1, 1 - _LEAST)
        logits = torch.cat([torch.log(mask / (1 - mask)), torch.log((1 + paint) / (1 - paint)) / 2], dim=1)
        enlarged = functional.interpolate(logits, scale_factor=FINE, mode="bilinear")
        mask, paint = (enlarged + added).split((1, 3), dim=1)
        return MouthLayers(torch.sigmoid(mask), torch.tanh(paint))


def blend_mouth(
    layers: MouthLayers, stills: Float[Tensor, "clips 3 384 288"], motion: Float[Tensor, "n 2 128 96"]
) -> Mouth:
    """Blends layers with large stills to mouths, by the frames' motion in pixels of the crop."""
    return (1 - layers.mask) * warp_mouth(stills, motion) + layers.mask * layers.paint


def warp_mouth(stills: Float[Tensor, "clips 3 384 288"], motion: Float[Tensor, "n 2 128 96"]) -> Mouth:
    """Moves the mouth's window of large stills by the motion of frames in pixels of the crop; bilinear."""
    clips, _, height, width = stills.shape
    top, left, size = WINDOW_TOP_PX, WINDOW_LEFT_PX, WINDOW_PX
    rows, columns = (slice(first - _MARGIN_PX, first + size + _MARGIN_PX) for first in (top, left))
    enlarged = functional.interpolate(motion[..., rows, columns], scale_factor=FINE, mode="bilinear")
    inside = slice(FINE * _MARGIN_PX, FINE * (_MARGIN_PX + size))
    shift = FINE * enlarged[..., inside, inside]
    place = torch.arange(FINE * size, dtype=stills.dtype, device=stills.device)
    x = (2 * (FINE * left + place + shift[:, 0]) + 1) / width - 1
    y = (2 * (FINE * top + place[:, None] + shift[:, 1]) + 1) / height - 1
    grid = torch.stack([x, y], dim=-1).reshape(clips, -1, FINE * size, 2)  # a clip's frames make one tall grid
    tall = functional.grid_sample(stills, grid, padding_mode="border", align_corners=False)
    return tall.reshape(clips, 3, -1, FINE * size, FINE * size).transpose(1, 2).flatten(0, 1)


def at_crop(mouths: Mouth) -> Float[Tensor, "n 3 48 48"]:
    """Averages blocks of pixels, which gives a mouth at the resolution of the crop."""
    return functional.avg_pool2d(mouths, FINE)
