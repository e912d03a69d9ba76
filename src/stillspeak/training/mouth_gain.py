"""Says how far the mouth of an exported model opens: by an input of its step graph, and for good by its weights. Ours.

The first elements of z_c are the mouth code. A gain moves them away from what the model gives for silence, or towards it.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from stillspeak.config import PictureStage, SoundStage
from stillspeak.errors import ModelError
from stillspeak.model.generator import Generator
from stillspeak.runtime.engine import MOST_GAIN
from stillspeak.training.warm_start import PicturePhase, SoundPhase
from stillspeak.training.weights import Trained, remark

_DECODER = "decoder.first.weight"  # its first rows hear the mouth code


def learnt_code(trained: Trained) -> int:
    """Returns how many elements of z_c are the mouth code; 0 if the model never had a warm start, as the paper's has none."""
    config, kinds = trained.config, (SoundPhase.kind, PicturePhase.kind)
    learnt = any(stage["phase"].startswith(kinds) for stage in trained.history if stage["steps"])
    warmed = learnt or config.stages_of(SoundStage) or config.stages_of(PictureStage)
    return len(trained.code.basis) if warmed else 0


@torch.no_grad()
def code_at_rest(generator: Generator, code: int) -> Float[Tensor, " code"]:
    """Returns the mouth code after the generator, in evaluation mode, has heard a second of silence from its beginning."""
    context = generator.config.context
    heard, _ = generator.context(torch.zeros(1, context.fps, context.window), generator.begin(1).context)
    return heard[0, -1, :code].clone()


def opened(
    context: Float[Tensor, "clips time size"], rest: Float[Tensor, " code"], gain: Float[Tensor, "1"]
) -> Float[Tensor, "clips time size"]:
    """Returns z_c with its mouth code moved to ``gain`` times its distance from rest; at gain 1 it is z_c to the bit."""
    code, free = context.split([len(rest), context.shape[-1] - len(rest)], dim=-1)
    return torch.cat([code + (gain - 1) * (code - rest), free], dim=-1)


def widened(trained: Trained, mouth: float) -> Trained:
    """Opens a model's mouth further, or less far, for good: multiplies what the decoder makes of the mouth code.

    The calibration after training does the same with a factor that it measures.

    Args:
        trained: the model, which stays as it is.
        mouth: how far the mouth is to open, 1 being as far as it does; above 0, and at most 2.

    Returns:
        The model with other weights, whose history says so; at 1, the model itself.

    Raises:
        ModelError: if the number is out of its bounds, or the model has no mouth code.
    """
    if not (math.isfinite(mouth) and 0 < mouth <= MOST_GAIN):
        raise ModelError(
            f"The mouth of a model can open from more than 0 to {MOST_GAIN:g} times as far, not {mouth:g}."
        )
    if mouth == 1:
        return trained
    code = learnt_code(trained)
    if not code:
        raise ModelError("This model had no warm start, so that none of its weights says how far the mouth opens.")
    weights = dict(trained.weights)
    weights[_DECODER] = weights[_DECODER].clone()
    weights[_DECODER][:code] *= mouth
    return trained._replace(weights=weights, history=[*trained.history, remark(f"mouth x {mouth:.2f}")])
