"""Teaches the mouth decoder, with mouths at three times the resolution if clips have them, and with crops if not. Ours."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from stillspeak.config import MouthDiscriminatorConfig
from stillspeak.media.mouths import FINE
from stillspeak.model.generator import Layers
from stillspeak.model.losses import reconstruction_loss
from stillspeak.model.mouth_decoder import WINDOW, MouthDecoder, at_crop, blend_mouth
from stillspeak.training.adversary import MouthCritic
from stillspeak.training.tensors import images


class FineView(NamedTuple):
    """Holds the fine part of a batch (``data/fine.py``) as tensors."""

    stills: Tensor
    mouths: Tensor
    known: Tensor


class FineMouth:
    """Trains the mouth decoder against a discriminator of the mouths that it draws.

    Args:
        interior: How much more a pixel counts where mouths are open.
        critic: Of the discriminator, if there is one.
        decoder: The generator's mouth decoder.
        device: The device on which it learns.
    """

    def __init__(
        self, interior: float, critic: MouthDiscriminatorConfig | None, decoder: MouthDecoder, device: torch.device
    ) -> None:
        self._decoder, self._interior = decoder, interior
        self.critic = MouthCritic(critic, device, "fine_mouth", fine=True) if critic else None

    def learn(
        self, features: Tensor, layers: Layers, view: FineView, frames: Tensor, interior: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        """Returns the reconstruction loss of the mouths, the mouths, the discriminator's gradient in them, and scalars.

        Clips with large frames are compared at that resolution. For the others the mouths are made as small as the crops.

        Args:
            features: the features of the Frame Decoder, ``(n, channels, 64, 48)`` with n = clips * time.
            layers: the layers of the crops, ``n`` of each.
            view: the fine part of the batch.
            frames: the real crops, ``(clips, time, 3, 128, 96)``.
            interior: a mask of the open mouths in the real crops, ``(clips, time, 128, 96)``.
        """
        stills, wanted = images(view.stills), images(view.mouths)
        drawn = self._decoder(features, layers.mask, layers.paint)
        made = blend_mouth(drawn, stills, layers.motion).unflatten(0, frames.shape[:2])
        known = view.known[:, None, None, None, None]
        inside = interior[..., *WINDOW].float()
        larger = functional.interpolate(inside, scale_factor=FINE)
        small = at_crop(made.flatten(0, 1)).unflatten(0, frames.shape[:2])
        crop = frames[..., *WINDOW]
        at_large = reconstruction_loss(torch.where(known, wanted, made.detach()), made, self._weights(larger))
        at_small = reconstruction_loss(torch.where(known, small.detach(), crop), small, self._weights(inside))
        slope, judged = torch.zeros_like(made), {}
        if self.critic:
            real = torch.where(known, wanted, made.detach())
            seen = larger * known[..., 0]  # for clips without large frames the mask is 0
            slope, judged = self.critic.judge(real, made, stills[..., *_LARGE_WINDOW], seen)
        figures = {"fine_l1": at_large.detach(), "mouth_mask": _painted(drawn.mask, larger)}
        return at_large + at_small, made, slope, judged | figures

    def _weights(self, interior: Tensor) -> Tensor:
        return 1.0 + self._interior * interior.unsqueeze(-3)


def _painted(mask: Tensor, interior: Tensor) -> Tensor:
    """Returns the mean of the mask where mouths are open; at 0 the decoder paints nothing."""
    inside = interior.flatten(0, 1)
    return (mask.detach()[:, 0] * inside).sum() / inside.sum().clamp(min=1.0)


_LARGE_WINDOW = tuple(slice(FINE * part.start, FINE * part.stop) for part in WINDOW)
