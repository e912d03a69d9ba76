"""Measures whether a face stays the same person: the average content distance (ACD) of embeddings. Paper, section 4.2.

The embedding is dlib's 128-d face descriptor (ResNet, package face_recognition_models): two pictures of one person lie
below 0.6 from each other. The paper's own scale was never explained, so ``acd`` is the raw distance, and the report
sets it beside the same figure of the real video and of other people.
"""

import numpy as np

from stillspeak.media.people import Embeddings, Frames, embeddings

_EVERY = 10  # ours: one frame in ten; a descriptor takes as long as all pixel metrics of ten frames


def sampled_embeddings(frames: Frames) -> Embeddings:
    """Computes the descriptors of every tenth frame, without the first, which may be the still itself."""
    return embeddings(frames[_EVERY // 2 :: _EVERY] if len(frames) > _EVERY // 2 else frames)


def acd(still: Embeddings, frames: Embeddings) -> float:
    """Returns the mean Euclidean distance of the still's descriptor ``(128,)`` or ``(1, 128)`` from frames' ``(n, 128)``."""
    return float(np.linalg.norm(frames - still.reshape(1, -1), axis=1).mean())
