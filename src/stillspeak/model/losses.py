"""Computes the losses: Eq. 1 (adversarial), Eq. 2 (reconstruction on the lower half), Eq. 3 (their sum). Paper, section 3.3."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stillspeak.config import LossConfig
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.model.lengths import Lengths

# Ours: these rows and columns are around the mouth in the canonical crop (the lips of the training clips with a margin).
MOUTH_ROWS, MOUTH_COLUMNS = slice(78, 118), slice(26, 72)
_EYE_ROWS, _EYE_COLUMNS = slice(28, 56), slice(12, 86)  # with the brows


class Verdicts(NamedTuple):
    """Holds a discriminator's logits ``(n,)`` and how much each of them counts, ``(n,)``: together 1, every clip alike."""

    logits: Tensor
    weights: Tensor

    @classmethod
    def alike(cls, logits: Tensor) -> "Verdicts":
        """Returns logits of which all count the same."""
        return cls(logits, torch.full_like(logits, 1 / max(1, len(logits)), dtype=torch.float32))

    def mean(self, values: Tensor) -> Tensor:
        """Returns the mean of a value of each logit."""
        return (values * self.weights).sum()

    def beside(self, others: list["Verdicts"]) -> "Verdicts":
        """Returns these and other verdicts together; each of them counts as much as it has logits that count."""
        every = [self, *others]
        weights = torch.cat([verdicts.weights for verdicts in every])
        return Verdicts(torch.cat([verdicts.logits for verdicts in every]), weights / weights.sum())


def discriminator_loss(real: Verdicts, fake: Verdicts) -> Float[Tensor, ""]:
    """Returns Eq. 1 as a discriminator sees it, negated: -log D(real) - log(1 - D(fake)), from logits."""
    return real.mean(functional.softplus(-real.logits)) + fake.mean(functional.softplus(fake.logits))


def adversarial_loss(fake: Verdicts) -> Float[Tensor, ""]:
    """Returns what the generator minimises: -log D(fake), the form of Eq. 1 whose gradient does not vanish when D wins."""
    return fake.mean(functional.softplus(-fake.logits))


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
    lengths: Lengths | None = None,
) -> Float[Tensor, ""]:
    """Returns Eq. 2 as a weighted mean of abs(F - G) over pixels, colours and frames (architecture.md, discriminators).

    ``weights`` are the same for all frames, or each frame's own. Every clip counts alike, so that the loss of a batch is the
    mean of the losses of its parts. ``lengths`` say which of the first dimension are one clip; otherwise each is a clip.
    """
    error = ((real - fake).abs() * weights).flatten(1).mean(dim=1)
    whole = weights.mean().expand(len(real)) if weights.dim() < real.dim() else weights.flatten(1).mean(dim=1)
    if lengths is not None:
        error, whole = lengths.mean(error), lengths.mean(whole)
    return (error / whole).mean()


def region_l1(real: Float[Tensor, "*n 3 height width"], fake: Float[Tensor, "*n 3 height width"]) -> Float[Tensor, ""]:
    """Returns the mean abs(F - G) of the mouth region, which is a diagnostic and no loss."""
    real, fake = (video[..., MOUTH_ROWS, MOUTH_COLUMNS] for video in (real, fake))
    return (real - fake).abs().mean()
