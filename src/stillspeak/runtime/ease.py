"""Lets a talk begin with the photo as it is, so that the face starts to move without a jump. Ours.

The first frames use only a part of the model's motion and of its mask of paint. So a mouth that smiles in the photo closes,
and does not vanish between two frames.
"""

import numpy as np
from numpy.typing import NDArray

from stillspeak.runtime.compose import warp
from stillspeak.runtime.engine import Layers

Float = NDArray[np.float32]


def eased(layers: Layers, still: Float, first: int, frames: int) -> Layers:
    """Weakens the layers at the beginning of a talk, so that frame 0 is the still itself.

    Args:
        layers: the layers of frames ``first`` and later.
        still: the still in [-1, 1], ``(1, 3, 128, 96)``.
        first: the number of the first of these frames in the talk.
        frames: the number of the frame from which on the layers are unchanged.
    """
    early = min(len(layers.frames), max(0, frames - first))
    if not early:
        return layers
    drawn, motion, mask = layers.frames.copy(), layers.motion.copy(), layers.mask.copy()
    photo = (still[0].transpose(1, 2, 0) + 1) * np.float32(127.5)
    shares = (0.5 - 0.5 * np.cos(np.pi * np.arange(first, first + early) / frames)).astype(np.float32)
    for index, share in enumerate(shares):
        kept = 1 - mask[index][..., None]
        paint = drawn[index] - kept * warp(photo, motion[index])
        motion[index] *= share
        mask[index] *= share
        kept = 1 - mask[index][..., None]
        made = kept * warp(photo, motion[index]) + share * paint
        drawn[index] = np.clip(np.rint(made), 0, 255).astype(np.uint8)
    mouth_mask = None if layers.mouth_mask is None else layers.mouth_mask.copy()
    if mouth_mask is not None:
        mouth_mask[:early] *= shares[:, None, None]
    return Layers(drawn, motion, mask, layers.mouth_paint, mouth_mask)
