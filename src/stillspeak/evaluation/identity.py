"""Measures whether a face stays the same person: the average content distance (ACD) of embeddings. Paper, section 4.2.

The embedding is dlib's 128-d face descriptor (ResNet, package face_recognition_models): two pictures of one person lie
below 0.6 from each other. The paper's own scale was never explained, so ``acd`` is the raw distance, and the report
sets it beside the same figure of the real video and of other people.
"""

from functools import cache

import dlib
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import CANONICAL, HEIGHT_PX, WIDTH_PX, model_file

Frames = NDArray[np.uint8]
Embeddings = NDArray[np.float64]  # (n, 128)
_CHIP_PX = 150  # the side of the picture that the network takes
_PADDING = 0.25  # the padding of dlib's face chips
_EVERY = 10  # ours: one frame in ten; a descriptor takes as long as all pixel metrics of ten frames


@cache
def _network() -> "dlib.face_recognition_model_v1":
    return dlib.face_recognition_model_v1(model_file("dlib_face_recognition_resnet_model_v1.dat"))


@cache
def _places() -> "dlib.full_object_detection":
    """Returns the place of the five points, which is the same in every aligned crop."""
    points = dlib.points()
    for x, y in CANONICAL:
        points.append(dlib.point(round(float(x)), round(float(y))))
    return dlib.full_object_detection(dlib.rectangle(0, 0, WIDTH_PX, HEIGHT_PX), points)


def embeddings(frames: Frames) -> Embeddings:
    """Computes the face descriptors of aligned crops, ``(n, 128, 96, 3)`` -> ``(n, 128)``."""
    chips = [
        dlib.get_face_chip(np.ascontiguousarray(frame), _places(), size=_CHIP_PX, padding=_PADDING) for frame in frames
    ]
    return np.array([np.array(found) for found in _network().compute_face_descriptor(chips)])


def sampled_embeddings(frames: Frames) -> Embeddings:
    """Computes the descriptors of every tenth frame, without the first, which may be the still itself."""
    return embeddings(frames[_EVERY // 2 :: _EVERY] if len(frames) > _EVERY // 2 else frames)


def acd(still: Embeddings, frames: Embeddings) -> float:
    """Returns the mean Euclidean distance of the still's descriptor ``(128,)`` or ``(1, 128)`` from frames' ``(n, 128)``."""
    return float(np.linalg.norm(frames - still.reshape(1, -1), axis=1).mean())
