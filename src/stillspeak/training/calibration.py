"""Widens motion after training: the mouth of the model opens, and its eyes shut, as far as real ones do. Ours.

A reconstruction loss rewards moving a little less than the truth, and landmarks are noisy labels, which shrinks what is
learnt from them. The remedy is one factor on the decoder's first weights of the mouth code, and one on those of the eyes'
closing, measured on training clips.
"""

from typing import NamedTuple

import numpy as np
import torch

from stillspeak.data.clips import Clips
from stillspeak.data.expression import expression
from stillspeak.data.landmarks import crop_landmarks, eye_aspect_ratio, mouth_opening
from stillspeak.data.mouth_code import MouthCode
from stillspeak.evaluation.mouth import match
from stillspeak.model.generator import Generator
from stillspeak.training.monitor import Shapes, render

_CLIPS = 16
_LEAST, _MOST = 1.0, 1.5  # a factor beyond this would hide a training that failed
_BLINKS = 0.5  # ours: closing that a clip must reach to say something about eyes


class Factors(NamedTuple):
    """Says what the decoder's weights of the mouth code, and of the eyes' closing, were multiplied with."""

    mouth: float
    eyes: float


@torch.no_grad()
def calibrate(generator: Generator, clips: Clips, code: MouthCode, *, expressions: bool) -> Factors:
    """Scales weights of the decoder in place, so that openings of mouth and eyes spread as widely as real ones.

    Args:
        generator: in evaluation mode, on the CPU.
        clips: training clips; 16 of them, drawn over speakers as evenly as the default preset does, are looked at.
        code: whose elements z_c starts with.
        expressions: whether z_n starts with an expression; if not, the eyes' factor is 1.

    Returns:
        The factors.
    """
    random = np.random.default_rng(0)
    weights = clips.speaker_weights(0.5)
    mouths, eyes = [], []
    for index in random.choice(len(clips), min(_CLIPS, len(clips)), replace=False, p=weights):
        real, windows = clips.frames(index), clips.windows(index)
        points = crop_landmarks(real)
        made = crop_landmarks(render(generator, real[0], windows))
        mouths.append(match(mouth_opening(made), mouth_opening(points)).spread)
        told = expression(clips.points[index])
        if expressions and told[:, 0].max() > _BLINKS:
            shapes = Shapes(code.encode(clips.points[index]), told - told[0])
            made = crop_landmarks(render(generator, real[0], windows, shapes))
            eyes.append(match(eye_aspect_ratio(made), eye_aspect_ratio(points)).spread)
    factors = Factors(_factor(mouths), _factor(eyes) if eyes else 1.0)
    first = generator.decoder.first.weight
    first[: len(code.basis)] *= factors.mouth
    first[generator.config.context.size] *= factors.eyes
    return factors


def _factor(spreads: list[float]) -> float:
    return float(np.clip(1 / max(float(np.mean(spreads)), 1e-3), _LEAST, _MOST))
