"""Adds an input to the exported step graph that says how far the mouth opens. Ours.

The first elements of z_c are the mouth code. A gain moves them away from what the model gives for silence, or towards it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from stillspeak.config import PictureStage, SoundStage
from stillspeak.model.generator import Generator
from stillspeak.training.warm_start import PicturePhase, SoundPhase
from stillspeak.training.weights import Trained


def learnt_code(trained: Trained) -> int:
    """Returns how many elements of z_c are the mouth code; 0 if the model never had a warm start, as the paper's has none."""
    config, kinds = trained.config, (SoundPhase.kind, PicturePhase.kind)
    learnt = any(stage["phase"].startswith(kinds) for stage in trained.history if stage["steps"])
    warmed = learnt or config.stage(SoundStage) or config.stage(PictureStage)
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
