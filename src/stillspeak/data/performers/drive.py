"""Turns a real performance into expressions of another head: its blendshapes, corrected until the lips move as far.

A blendshape network damps lips and brows. So each frame's coefficients are those that move the other head's lips, chin and
brows, in outer-eye distances, as far as the performer's, and that stay near the network's: regularised least squares within
bounds.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.sitter import Sitter
from stillspeak.data.performers.tracking import BLENDSHAPES, Tracked, Tracker
from stillspeak.errors import FaceError

_ENLARGED = 4  # ours: a prepared crop is small for the tracker
_STEADY = np.r_[27:31, 36, 39, 42, 45]  # bridge of the nose and corners of the eyes, which speech does not move
_CHIN, _BROWS, _LIPS = np.r_[6:11], np.r_[17:27], np.r_[48:68]
FOLLOWED = np.r_[_CHIN, _BROWS, _LIPS]
_WEIGHTS = np.r_[np.full(5, 0.3), np.full(10, 0.3), np.full(12, 1.0), np.full(8, 1.5)]
_WEIGHTS[[15, 21, 27, 31]] = 2.0  # the corners of the mouth, which say how wide it is
_NEAR_NETWORK = 2e-5  # ours: the cost of a unit away from the network's, against squared outer-eye distances
_LEAST, _MOST = -0.15, 1.2  # ours: bounds of a coefficient; a photo's rest is seldom the head's, so below 0 too
_GAIN = 1.05  # makes up for bounds and steadying; fitted over eleven clips of eight performers on eleven people
_SWEEPS = 40
_CLOSED = 0.015  # ours: lips are closed if they are so near, as a share of the outer-eye distance
_FEWEST_CLOSED = 4  # if fewer frames are closed, so many with the least opening count as closed
_SHUT_SCORE = 0.6  # ours: eyes are shut at this blink score of the tracker
_UNUSED = ("cheekRaiser", "Pupil", "eyeLook", "eyeSquint", "eyeWide", "eyeBlink", "cheek", "noseSneer", "mouthRoll")
_STEADYING = 0.1, 0.8, 0.1  # ours: the weights of three frames


class Performance(NamedTuple):
    """Holds what a face does in a clip.

    Attributes:
        moved: how far the followed landmarks are from their place at rest, in outer-eye distances, ``(time, 35, 2)``.
        blendshapes: the tracker's scores from 0 to 1, less those at rest, ``(time, 52)``.
        shut: how far left and right eye are closed, 0 to 1, ``(time, 2)``.
        opening, width: the opening and the width of the mouth, in outer-eye distances, ``(time,)``.
    """

    moved: NDArray[np.float32]
    blendshapes: NDArray[np.float32]
    shut: NDArray[np.float32]
    opening: NDArray[np.float32]
    width: NDArray[np.float32]


def watch(frames: NDArray[np.uint8], tracker: Tracker) -> Performance:
    """Tracks a clip's aligned frames ``(time, 128, 96, 3)``, and returns the performance.

    Raises:
        FaceError: if the tracker finds no face in a frame.
    """
    tracked: list[Tracked] = []
    for number, frame in enumerate(frames):
        large = np.asarray(cv2.resize(frame, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_CUBIC), np.uint8)
        found = tracker.track(large, tracked[-1] if tracked else None) or tracker.track(large)
        if found is None:
            raise FaceError(f"the tracker finds no face in frame {number}.")
        tracked.append(found)
    landmarks = steadied(np.stack([one.as_68() for one in tracked]))
    opening, width = measured(landmarks)
    rest = opening <= max(_CLOSED, np.sort(opening)[:_FEWEST_CLOSED][-1])
    moved = landmarks[:, FOLLOWED] - landmarks[rest][:, FOLLOWED].mean(axis=0)
    blendshapes = np.stack([one.blendshapes for one in tracked])
    return Performance(
        _smooth(moved), _smooth(blendshapes - blendshapes[rest].mean(axis=0)), _shut(blendshapes), opening, width
    )


def steadied(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns landmarks ``(time, 68, 2)`` in outer-eye distances, with the head held still."""
    mean = landmarks.mean(axis=0)
    unit = np.linalg.norm(mean[45] - mean[36])
    out = []
    for shape in landmarks:
        a, b = shape[_STEADY] - shape[_STEADY].mean(axis=0), mean[_STEADY] - mean[_STEADY].mean(axis=0)
        left, _, right = np.linalg.svd(a.T @ b)
        turn = left @ np.diag([1, np.sign(np.linalg.det(left @ right))]) @ right
        scale = np.sqrt((b**2).sum() / (a**2).sum())
        out.append((shape - shape[_STEADY].mean(axis=0)) @ turn * scale / unit)
    return np.stack(out).astype(np.float32)


def measured(landmarks: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the opening between the inner lips and the distance of the mouth's corners, ``(time,)`` each, in their unit."""
    gaps = np.linalg.norm(landmarks[:, [61, 62, 63]] - landmarks[:, [67, 66, 65]], axis=2).mean(axis=1)
    return gaps, np.linalg.norm(landmarks[:, 54] - landmarks[:, 48], axis=1)


def _shut(blendshapes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how far both eyes are closed, by the mean of the tracker's two scores, for eyes shut together."""
    scores = blendshapes[:, [BLENDSHAPES.index("eyeBlinkLeft"), BLENDSHAPES.index("eyeBlinkRight")]]
    both = scores.mean(axis=1)
    calm = float(np.median(both))
    closed = ((both - calm - 0.1) / max(_SHUT_SCORE - calm - 0.1, 0.1)).clip(0, 1)
    return np.repeat(closed[:, None], 2, axis=1).astype(np.float32)


def _smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.concatenate([values[:1], values, values[-1:]])
    parts = [weight * padded[k : len(values) + k] for k, weight in enumerate(_STEADYING)]
    return np.sum(parts, axis=0).astype(np.float32)


def network_names(names: tuple[str, ...]) -> list[int]:
    """Returns for each of the head's expressions the number of the tracker's blendshape; -1 if it has none."""
    said = []
    for name in names:
        plain = name.replace("_L", "Left").replace("_R", "Right")
        both = name.removesuffix("_L").removesuffix("_R")
        said.append(next((BLENDSHAPES.index(one) for one in (plain, both) if one in BLENDSHAPES), -1))
    return said


def coefficients(sitter: Sitter, performance: Performance) -> NDArray[np.float32]:
    """Solves for how much of each of the head's expressions each frame has, ``(time, expressions)``, without blinks.

    A solution is exact if the sitter's own landmarks move as far as the performer's.
    """
    said = network_names(sitter.names)
    used = [k for k, name in enumerate(sitter.names) if said[k] >= 0 and not name.startswith(_UNUSED)]
    near = performance.blendshapes[:, [said[k] for k in used]]
    moves = sitter.moves[used][:, sitter.landmarks[FOLLOWED], :2] / sitter.unit
    weights = np.repeat(_WEIGHTS, 2)
    rows = (moves.reshape(len(used), -1) * weights).astype(np.float64)
    wanted = _GAIN * performance.moved.reshape(len(near), -1) * weights
    found = _bounded(rows @ rows.T + _NEAR_NETWORK * np.eye(len(used)), wanted @ rows.T + _NEAR_NETWORK * near, near)
    out = np.zeros((len(near), len(sitter.names)), np.float32)
    out[:, used] = found
    return out


def _bounded(
    normal: NDArray[np.float64], right: NDArray[np.float64], start: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Solves least squares within bounds coordinate by coordinate, one problem for each row of ``right``."""
    found = start.clip(_LEAST, _MOST).astype(np.float64)
    for _ in range(_SWEEPS):
        for k in range(len(normal)):
            rest = right[:, k] - found @ normal[:, k] + found[:, k] * normal[k, k]
            found[:, k] = (rest / normal[k, k]).clip(_LEAST, _MOST)
    return found
