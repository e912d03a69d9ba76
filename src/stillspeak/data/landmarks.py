"""Finds the 68 landmarks of aligned faces, which are labels for the warm start and measure mouths.

``animate`` needs them only if a second photo shows the teeth (runtime/smile.py).

dlib's 68-point predictor from the package face_recognition_models; its training set (iBUG 300-W) is for research, see the
README on licences. Points are numbered as in that set: 48-67 are the lips, 60-67 the inner lip.
"""

from functools import cache

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, model_file

# dlib's detector puts its box here around a canonical crop: the mean of its boxes over training clips (ours).
CROP_BOX = (8.5, 28.0, 96.5, 116.0)
_ENLARGED = 3  # ours: the predictor reads 288 x 384 pixels, and gives its points in whole pixels there
_NUDGES_PX = ((-2, 0), (2, 0), (0, 2), (0, -2))  # ours: the mean over four boxes halves the predictor's jitter
UPPER_INNER, LOWER_INNER = (61, 62, 63), (67, 66, 65)
OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)  # their outlines
CORNERS = 48, 54  # the corners of the mouth
_EYES = (36, 42)  # the first of each eye's six points
_OPEN_QUANTILE = 0.75  # ours: three quarters of a clip's frames are at most this open


@cache
def _predictor() -> "dlib.shape_predictor":
    return dlib.shape_predictor(model_file("shape_predictor_68_face_landmarks.dat"))


def points68(image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.float32]:
    """Finds the 68 landmarks, ``(68, 2)``, of the face in ``box`` (left, top, right, bottom) of a picture."""
    shape = _predictor()(image, dlib.rectangle(*(round(edge) for edge in box)))
    return np.array([[part.x, part.y] for part in shape.parts()], np.float32)


def crop_landmarks(frames: NDArray[np.uint8], looks: int = len(_NUDGES_PX)) -> NDArray[np.float32]:
    """Finds the landmarks of aligned crops, ``(time, 128, 96, 3)`` -> ``(time, 68, 2)`` in crop pixels, without detection.

    ``looks`` says how many boxes the mean is taken over; two take half the time of four, and jitter more.
    """
    size = (WIDTH_PX * _ENLARGED, HEIGHT_PX * _ENLARGED)
    left, top, right, bottom = CROP_BOX
    points = np.zeros((len(frames), 68, 2), np.float32)
    for frame, found in zip(frames, points, strict=True):
        large = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        for x, y in _NUDGES_PX[:looks]:
            box = (left + x) * _ENLARGED, (top + y) * _ENLARGED, (right + x) * _ENLARGED, (bottom + y) * _ENLARGED
            found += points68(large, box) / looks
    return ((points + 0.5) / _ENLARGED - 0.5).astype(np.float32)


def mouth_interior(landmarks: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns a mask of the open mouth: 1 inside the inner lips and on their line, ``(n, 68, 2)`` -> ``(n, 128, 96)``."""
    masks = np.zeros((len(landmarks), HEIGHT_PX, WIDTH_PX), np.uint8)
    for mask, points in zip(masks, landmarks[:, INNER_LIPS].round().astype(np.int32), strict=True):
        cv2.fillPoly(mask, [points], 1)
    return masks


def mouth_opening(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the opening in crop pixels, ``(time, 68, 2)`` -> ``(time,)``: the mean distance of the inner lips' three pairs."""
    gap = landmarks[:, LOWER_INNER] - landmarks[:, UPPER_INNER]
    return np.linalg.norm(gap, axis=2).mean(axis=1).astype(np.float32)


def mouth_width(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the distance of the mouth's outer corners in crop pixels, ``(time, 68, 2)`` -> ``(time,)``."""
    left, right = CORNERS
    return np.linalg.norm(landmarks[:, right] - landmarks[:, left], axis=1).astype(np.float32)


def eye_aspect_ratio(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns height over width of the eyes, the mean of both: ``(time, 68, 2)`` -> ``(time,)``. Soukupova and Cech 2016."""
    ratios = []
    for first in _EYES:
        outer, up1, up2, inner, low2, low1 = (landmarks[:, first + k] for k in range(6))
        heights = np.linalg.norm(up1 - low1, axis=1) + np.linalg.norm(up2 - low2, axis=1)
        ratios.append(heights / np.maximum(2 * np.linalg.norm(outer - inner, axis=1), 1e-6))
    return np.mean(ratios, axis=0).astype(np.float32)


def eyes_lowered(ratio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the share by which eyes are closed, from their aspect ratio ``(time,)``, against the clip's own open eyes."""
    return 1 - ratio / max(float(np.quantile(ratio, _OPEN_QUANTILE)), 1e-6)
