"""Tells people apart by their faces: dlib's 128-d face descriptor (ResNet, package face_recognition_models).

Two pictures of one person lie below 0.6 from each other.
"""

from collections.abc import Sequence
from functools import cache

import dlib
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import CANONICAL, HEIGHT_PX, WIDTH_PX, model_file

Frames = NDArray[np.uint8]
Embeddings = NDArray[np.float64]  # (n, 128)
_CHIP_PX = 150  # the side of the picture that the network takes
_PADDING = 0.25  # the padding of dlib's face chips
_SAME = 0.55  # ours, a little below dlib's 0.6: a stranger is worse than one person with two numbers


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


def grouped(crops: Sequence[NDArray[np.uint8]], spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Groups appearances of faces by person; returns the indices of each person's appearances.

    Args:
        crops: an aligned crop ``(128, 96, 3)`` of each appearance; earlier ones found the groups.
        spans: the first frame of each appearance, and the one after its last. One person is not twice in one frame.
    """
    people: list[list[int]] = []
    known = embeddings(np.stack(crops)) if crops else np.zeros((0, 128))
    for index, (begin, end) in enumerate(spans):
        best, nearest = None, _SAME
        for person in people:
            if any(begin < spans[one][1] and spans[one][0] < end for one in person):
                continue
            distance = float(np.linalg.norm(known[person] - known[index], axis=1).min())
            if distance < nearest:
                best, nearest = person, distance
        if best is None:
            people.append([index])
        else:
            best.append(index)
    return people
