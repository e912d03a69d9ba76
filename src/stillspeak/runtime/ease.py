"""How a talk begins: with the photo as it is, from which the face sets out without a jump. Ours.

What the model does to the still, its motion and its mask of paint, is done a little at first and then wholly: a mouth that
smiles in the photo closes, and does not vanish between two frames.
"""

import numpy as np
from numpy.typing import NDArray

from stillspeak.runtime.compose import warp
from stillspeak.runtime.engine import Layers

Float = NDArray[np.float32]


def eased(layers: Layers, still: Float, first: int, frames: int) -> Layers:
    """Layers that begin as the still.

    Args:
        layers: of frames ``first`` and later.
        still: in [-1, 1], ``(1, 3, 128, 96)``.
        first: number of the first of them in the talk.
        frames: of a talk until everything is done wholly; frame 0 is the still itself.
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
