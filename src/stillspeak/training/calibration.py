"""After training: the mouth of the model opens as far as real mouths do. Ours.

A reconstruction loss rewards moving a little less than the truth, and landmarks are noisy labels, which shrinks what is
learnt from them. The remedy is one factor on the decoder's first weights of the mouth code, measured on training clips.
"""

import numpy as np
import torch

from stillspeak.data.clips import Clips
from stillspeak.data.mouth_code import MouthCode
from stillspeak.evaluation.mouth import match, opening
from stillspeak.model.generator import Generator
from stillspeak.training.monitor import render

_CLIPS = 16
_LEAST, _MOST = 1.0, 1.5  # a factor beyond this would hide a training that failed


@torch.no_grad()
def calibrate_opening(generator: Generator, clips: Clips, code: MouthCode) -> float:
    """Scales the decoder's weights of the mouth code in place, so that openings spread as widely as real ones.

    Args:
        generator: in evaluation mode, on the CPU.
        clips: training clips; 16 of them, drawn over speakers as evenly as the default preset does, are looked at.
        code: whose elements z_c starts with.

    Returns:
        The factor.
    """
    random = np.random.default_rng(0)
    weights = clips.speaker_weights(0.5)
    chosen = random.choice(len(clips), min(_CLIPS, len(clips)), replace=False, p=weights)
    spreads = []
    for index in chosen:
        real = clips.frames(index)
        made = render(generator, real[0], clips.windows(index))
        spreads.append(match(opening(made), opening(real)).spread)
    factor = float(np.clip(1 / max(float(np.mean(spreads)), 1e-3), _LEAST, _MOST))
    generator.decoder.first.weight[: len(code.basis)] *= factor
    return factor
