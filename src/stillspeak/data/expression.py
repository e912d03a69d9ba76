"""Describes eyes and brows by two numbers for each frame: how far the eyes are closed, and how high the brows are.

Ours, for the warm start: the decoder learns to draw what the first elements of z_n say, and the Noise Generator learns to say
it. Both numbers are relative to the clip's own open eyes and resting brows. z_n holds their difference from the still, so that
at 0 and 0 eyes and brows stay as the photo has them.
"""

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import eye_aspect_ratio, eyes_lowered
from stillspeak.data.mouth_code import Points

EXPRESSION = 2  # closing (0 open, 1 shut), brows (up is positive)
BROW_PX = 2.0  # ours: one unit of the brows is so many pixels
UPPER_LIDS, LOWER_LIDS, BROWS = np.r_[37, 38, 43, 44], np.r_[41, 40, 47, 46], np.r_[17:27]  # lids: facing pairs
_BRIDGE = np.r_[27:31]
# Ours, from the training clips: landmarks tremble by a tenth of the eye; for the predictor shut eyes are still half open.
_TREMBLE, _SHUT, _MOST = 0.1, 0.5, 1.25
_LIFTED_BY_LIDS_PX = 1.2  # ours: the predictor raises resting brows by so much when the eyes close
_UPPER_SHARE = 0.85  # ours: the upper lid goes this share of the way on which the lids meet
_NEVER_MEET = 0.92  # ours: triangles between lids that touch have no inside


def expression(points: Points) -> NDArray[np.float32]:
    """Computes how far eyes are closed and how high brows are, ``(time, 2)``, from landmarks of a clip ``(time, 68, 2)``."""
    lowered = eyes_lowered(eye_aspect_ratio(points))
    closing = ((lowered - _TREMBLE) / (_SHUT - _TREMBLE)).clip(0, _MOST)
    height = points[:, _BRIDGE, 1].mean(axis=1) - points[:, BROWS, 1].mean(axis=1)
    height -= _LIFTED_BY_LIDS_PX * lowered.clip(0)
    padded = np.pad(height - np.median(height), 2, mode="edge")
    brows = np.convolve(padded, np.full(5, 0.2), mode="valid") / BROW_PX
    return np.stack([closing, brows], axis=1).astype(np.float32)


def move_eyes(own: Points, expressions: NDArray[np.float32]) -> Points:
    """Moves the eyes and brows of a portrait's landmarks ``(68, 2)`` as ``expressions`` ``(n, 2)`` say: ``(n, 68, 2)``."""
    moved = np.repeat(own[None], len(expressions), axis=0)
    way = _NEVER_MEET * expressions[:, 0].clip(0, 1)[:, None, None] * (own[LOWER_LIDS] - own[UPPER_LIDS])
    moved[:, UPPER_LIDS] += _UPPER_SHARE * way
    moved[:, LOWER_LIDS] -= (1 - _UPPER_SHARE) * way
    moved[:, BROWS, 1] -= BROW_PX * expressions[:, 1:]
    return moved
