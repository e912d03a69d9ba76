"""Moves a sitter's head frame by frame: expressions move the vertices, the head turns, and the crop is held still."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.render import Stage
from stillspeak.data.performers.sitter import CANVAS, Ground
from stillspeak.media.faces import similarity, smooth

_FIVE = np.array([45, 42, 36, 39, 33])  # among the 68 points, in the order of faces.CANONICAL
_PIVOT = np.array([0.0, 0.55, -0.75])  # ours: where the neck turns, in outer-eye distances from the nose's base
_NOSE_BASE = 33
_PARTED = 0.003, 0.012  # ours, of the outer-eye distance: where the mouth's inside begins to show, and over how much
_UPPER_LIDS, _LOWER_LIDS = np.array([37, 38, 43, 44]), np.array([41, 40, 47, 46])
_UPPER_LIPS, _LOWER_LIPS = np.array([61, 62, 63]), np.array([67, 66, 65])
# What the 68-point predictor sees of lids that meet, by which expression.py counts, and of an opening between lips: of performers
# it sees all of it, of real clips four fifths of what the face landmarker sees.
_SEEN_SHUT, _SEEN_OPEN = 0.5, 0.9


class Moved(NamedTuple):
    """Holds the places of a sitter's vertices in one frame.

    Attributes:
        points, ground: the vertices of head and net on the canvas, ``(21451, 3)`` and ``(n, 3)``.
        landmarks: the 68 points in crop pixels, ``(68, 2)``, lids as the landmark predictor sees them.
        apart: how far the lips are parted, 0 to 1: 0 shows nothing of the mouth's inside.
        shut: how far the lids have come down, 0 to 1.
    """

    points: NDArray[np.float32]
    ground: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    apart: float
    shut: float


def move(
    stage: Stage, coefficients: NDArray[np.float32], shut: NDArray[np.float32], turns: NDArray[np.float32]
) -> list[Moved]:
    """Moves a head.

    Args:
        stage: the sitter and the light.
        coefficients: how much of each of the head's expressions each frame has, with blinks, ``(time, expressions)``.
        shut: how far the lids have come down, 0 to 1, ``(time,)``.
        turns: yaw, pitch and roll in degrees, ``(time, 3)``.
    """
    sitter = stage.sitter
    still = sitter.points[sitter.landmarks]
    pivot = (still[_NOSE_BASE] + _PIVOT * sitter.unit).astype(np.float32)
    moved = (coefficients @ sitter.moves.reshape(len(sitter.moves), -1)).reshape(-1, *stage.points.shape)
    raw, fives = [], []
    for k in range(len(coefficients)):
        points = stage.points + moved[k]
        lips = moved[k][sitter.landmarks, 1]
        gap = (lips[_LOWER_LIPS] - lips[_UPPER_LIPS]).clip(0)
        turn = _rotation(turns[k]).astype(np.float32)
        points = (points - pivot) @ turn.T + pivot
        ground = _followed(sitter.ground, points - stage.points, (sitter.ground.points - pivot) @ turn.T + pivot)
        steady = stage.points[sitter.landmarks[_FIVE]]
        fives.append(sitter.five + (((steady - pivot) @ turn.T + pivot) - steady)[:, :2] / CANVAS)
        raw.append((points, ground, float(gap.mean()) / sitter.unit))
    crops = [similarity(five) for five in smooth(np.stack(fives).astype(np.float32))]
    return [
        _held(stage, points, ground, crop, gap, float(lid))
        for (points, ground, gap), crop, lid in zip(raw, crops, shut, strict=True)
    ]


def _followed(ground: Ground, moved: NDArray[np.floating], turned: NDArray[np.floating]) -> NDArray[np.floating]:
    """Moves the net: behind the face it turns with the head, and around the face it follows the face's edge."""
    out = ground.points + ground.bound @ moved[ground.edge] * [1, 1, 0]
    out[ground.inside] = turned[ground.inside]
    return out


def _held(
    stage: Stage,
    points: NDArray[np.floating],
    ground: NDArray[np.floating],
    crop: NDArray[np.float64],
    gap: float,
    shut: float,
) -> Moved:
    """Returns a frame in which the crop keeps its place."""
    turn = crop[:, :2].astype(np.float32)
    shift = (CANVAS * crop[:, 2] + (np.eye(2) - crop[:, :2]) @ np.full(2, CANVAS / 2 - 0.5)).astype(np.float32)
    here, behind = points.astype(np.float32), ground.astype(np.float32)
    for places in (here, behind):
        places[:, :2] = places[:, :2] @ turn.T + shift
    landmarks = ((here[stage.sitter.landmarks, :2] + 0.5) / CANVAS - 0.5).astype(np.float32)
    apart = float(np.clip((gap - _PARTED[0]) / _PARTED[1], 0, 1))
    return Moved(here, behind, landmarks, apart, shut)


def as_predicted(
    landmarks: NDArray[np.float32], still: NDArray[np.float32], shut: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns landmarks as the 68-point predictor, which labels the real clips, would find them: it damps lips and lids.

    Args:
        landmarks: the landmarks of the drawn head, ``(time, 68, 2)``.
        still: the landmarks of the photo, ``(68, 2)``.
        shut: how far the lids have come down, 0 to 1, ``(time,)``.
    """
    out = landmarks.copy()
    open_eyes = still[_LOWER_LIDS] - still[_UPPER_LIDS]
    wanted = (1 - _SEEN_SHUT * shut[:, None, None]) * open_eyes
    out[:, _UPPER_LIDS] = landmarks[:, _LOWER_LIDS] - wanted
    less = (1 - _SEEN_OPEN) / 2 * (landmarks[:, _LOWER_LIPS] - landmarks[:, _UPPER_LIPS])
    out[:, _UPPER_LIPS] += less
    out[:, _LOWER_LIPS] -= less
    return out


def _rotation(degrees: NDArray[np.floating]) -> NDArray[np.float64]:
    """Returns the rotation of yaw, pitch and roll in the canvas's axes: x to the right, y down, nearness."""
    yaw, pitch, roll = np.radians(degrees)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return about_z @ about_x @ about_y
