"""Lays a 3D head over the face of a photo: identity and pose by least squares, then a smooth warp for the remaining error.

The pose is scaled orthographic: picture = scale * (the first two rows of a rotation) * head + shift, with y downwards. Given the
pose, the identity is a linear problem, and the other way round; a few rounds of both are enough.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.head import Head
from stillspeak.errors import FaceError

Points = NDArray[np.float32]
_ROUNDS = 8
_SMOOTHNESS = 0.35  # ours: a landmark's correction reaches this share of the outer-eye distance
_TRUST = 1e-2  # ours: how much the warp smooths over the landmarks; 0 would follow each of them exactly
_IDENTITY = 4e-4  # ours: the cost of one unit of identity, against squared errors in outer-eye distances
_CONTOUR_WEIGHT = 0.3  # ours: the jaw's points slide along its edge
_CONTOUR = slice(0, 17)
_MOST_ERROR = 0.12  # ours: the largest error of a fit, as a share of the outer-eye distance
EYE_CORNERS = 36, 45


class Fit(NamedTuple):
    """Holds a head that was laid over a face.

    Attributes:
        points: each vertex in the picture: x, y and height towards the camera in pixels, float32 ``(26719, 3)``.
        turn: the rotation from head to picture, times pixels a cm, float32 ``(3, 3)``; its rows are x, y (down), nearness.
        identity: how much of each identity direction the face has, float32 ``(identities,)``.
        error: the median distance of its landmarks from the photo's before the warp, in outer-eye distances.
    """

    points: Points
    turn: NDArray[np.float32]
    identity: NDArray[np.float32]
    error: float


def fit(head: Head, landmarks: Points) -> Fit:
    """Lays the head over 68 landmarks of a photo, ``(68, 2)`` in pixels.

    Raises:
        FaceError: if no head fits them.
    """
    shapes = head.identities[:, head.landmarks].astype(np.float64)
    neutral = head.neutral[head.landmarks].astype(np.float64)
    unit = eye_distance(landmarks)
    identity = np.zeros(len(shapes))
    weights = np.ones(len(landmarks))
    weights[_CONTOUR] = _CONTOUR_WEIGHT
    for _ in range(_ROUNDS):
        shape = neutral + np.tensordot(identity, shapes, axes=1)
        turn, shift = pose(shape, landmarks, weights)
        identity = _identity(neutral, shapes, turn, shift, landmarks, weights, unit)
    shape = neutral + np.tensordot(identity, shapes, axes=1)
    turn, shift = pose(shape, landmarks, weights)
    error = np.median(np.linalg.norm(shape @ turn[:2].T + shift - landmarks, axis=1)) / unit
    if not error < _MOST_ERROR:
        raise FaceError(f"the 3D head does not fit the face: its landmarks miss by {error:.2f} of the eyes' distance.")
    vertices = head.neutral + np.tensordot(identity.astype(np.float32), head.identities.astype(np.float32), axes=1)
    points = vertices @ turn.T
    points[:, :2] += shift
    points[:, :2] += _warp(points[head.landmarks, :2], landmarks, points[:, :2], unit)
    return Fit(points.astype(np.float32), turn.astype(np.float32), identity.astype(np.float32), float(error))


def eye_distance(landmarks: NDArray[np.floating]) -> float:
    """Returns the distance of the outer corners of the eyes in landmarks ``(68, 2 or 3)``."""
    return float(np.linalg.norm(landmarks[EYE_CORNERS[1], :2] - landmarks[EYE_CORNERS[0], :2]))


def pose(
    shape: NDArray[np.floating], landmarks: NDArray[np.floating], weights: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Finds the scaled rotation ``(3, 3)`` and the shift ``(2,)`` that take a shape ``(n, 3)`` to points of a picture ``(n, 2)``.

    The rows of the rotation are x, y (down) and nearness; their length is the pixels in a unit of the shape.
    """
    weights = weights / weights.sum()
    middle, place = weights @ shape, weights @ landmarks
    root = np.sqrt(weights)[:, None]
    affine = np.linalg.lstsq(root * (shape - middle), root * (landmarks - place), rcond=None)[0].T
    left, sizes, right = np.linalg.svd(affine, full_matrices=False)
    across = left @ right  # the nearest two rows of a rotation
    scale = sizes.mean()
    turn = scale * np.vstack([across, -np.cross(across[0], across[1])])  # y is down, so nearness is -(x cross y)
    return turn, place - turn[:2] @ middle


def _identity(
    neutral: NDArray[np.float64],
    shapes: NDArray[np.float64],
    turn: NDArray[np.float64],
    shift: NDArray[np.float64],
    landmarks: NDArray[np.floating],
    weights: NDArray[np.float64],
    unit: float,
) -> NDArray[np.float64]:
    """Finds the identity that brings the shape's points nearest to the landmarks; where they say little, it is the mean face."""
    rest = (landmarks - neutral @ turn[:2].T - shift) / unit
    moves = (shapes @ turn[:2].T).reshape(len(shapes), -1).T / unit
    trusted = np.repeat(weights, 2)[:, None] * moves
    normal = moves.T @ trusted + _IDENTITY * np.eye(len(shapes))
    return np.asarray(np.linalg.solve(normal, trusted.T @ rest.ravel()), np.float64)


def _warp(
    found: NDArray[np.floating], wanted: Points, places: NDArray[np.floating], unit: float
) -> NDArray[np.floating]:
    """Returns how far a smooth field that moves the found points to the wanted ones moves other places, ``(n, 2)``."""
    wide = _SMOOTHNESS * unit

    def near(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
        squares = ((a[:, None] - b[None]).astype(np.float64) ** 2).sum(axis=2)
        return np.exp(-squares / (2 * wide**2))

    strengths = np.linalg.solve(near(found, found) + _TRUST * np.eye(len(found)), wanted - found)
    return np.concatenate([near(part, found) @ strengths for part in np.array_split(places, 8)])
