"""Computes the losses: Eq. 1 (adversarial), Eq. 2 (reconstruction on the lower half), Eq. 3 (their sum). Paper, section 3.3."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stillspeak.config import LossConfig
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX

# Ours: these rows and columns are around the mouth in the canonical crop (the lips of the training clips with a margin).
MOUTH_ROWS, MOUTH_COLUMNS = slice(78, 118), slice(26, 72)
_EYE_ROWS, _EYE_COLUMNS = slice(28, 56), slice(12, 86)  # with the brows


def discriminator_loss(real: Float[Tensor, " n"], fake: Float[Tensor, " m"]) -> Float[Tensor, ""]:
    """Returns Eq. 1 as a discriminator sees it, negated: -log D(real) - log(1 - D(fake)), from logits."""
    return functional.softplus(-real).mean() + functional.softplus(fake).mean()


def adversarial_loss(fake: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """Returns what the generator minimises: -log D(fake), the form of Eq. 1 whose gradient does not vanish when D wins."""
    return functional.softplus(-fake).mean()


def pixel_weights(config: LossConfig) -> Float[Tensor, "height width"]:
    """Returns each pixel's weight in the reconstruction: 1 in the lower half (Eq. 2), ``upper`` above; more at mouth and eyes."""
    weights = torch.full((HEIGHT_PX, WIDTH_PX), config.upper)
    weights[HEIGHT_PX // 2 :] = 1.0
    weights[MOUTH_ROWS, MOUTH_COLUMNS] += config.mouth
    weights[_EYE_ROWS, _EYE_COLUMNS] += config.eyes
    return weights


def reconstruction_loss(
    real: Float[Tensor, "*n 3 height width"],
    fake: Float[Tensor, "*n 3 height width"],
    weights: Float[Tensor, "height width"] | Float[Tensor, "*n 1 height width"],
) -> Float[Tensor, ""]:
    """Returns Eq. 2 as a weighted mean of abs(F - G) over pixels, colours and frames (architecture.md, discriminators).

    ``weights`` are the same for all frames, or each frame's own. Every clip counts alike, so that the loss of a batch is the
    mean of the losses of its parts.
    """
    error = ((real - fake).abs() * weights).flatten(1).mean(dim=1)
    whole = weights.mean() if weights.dim() < real.dim() else weights.flatten(1).mean(dim=1)
    return (error / whole).mean()


def region_l1(real: Float[Tensor, "*n 3 height width"], fake: Float[Tensor, "*n 3 height width"]) -> Float[Tensor, ""]:
    """Returns the mean abs(F - G) of the mouth region, which is a diagnostic and no loss."""
    real, fake = (video[..., MOUTH_ROWS, MOUTH_COLUMNS] for video in (real, fake))
    return (real - fake).abs().mean()
