"""Describes the mouth's shape by a few numbers: principal components of lips and chin, relative to the clip's closed mouth.

Ours, for the warm start: the Context Encoder learns to predict this code, and the decoder learns to draw it, before the two are
trained together. The generator itself never sees landmarks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import LOWER_INNER, UPPER_INNER, mouth_opening
from stillspeak.media.faces import WIDTH_PX

Points = NDArray[np.float32]  # (time, 68, 2), crop pixels
LIPS_AND_CHIN = np.r_[4:13, 48:68]
_REST_SHARE = 0.25  # ours: the quarter of frames with the least opening shows the mouth at rest
# The same points as a mirror shows them (68-point scheme).
_MIRRORED = np.r_[
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40, 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1
]


def mirrored(points: Points) -> Points:
    """Returns the landmarks of the mirrored picture."""
    swapped = points[:, _MIRRORED].copy()
    swapped[..., 0] = WIDTH_PX - 1 - swapped[..., 0]
    return swapped


def resting(points: Points) -> Points:
    """Returns the landmarks of a clip's closed mouth, ``(68, 2)``: the mean over the frames with the least opening."""
    opening = mouth_opening(points)
    return points[opening <= np.quantile(opening, _REST_SHARE)].mean(axis=0)


def offsets(points: Points) -> NDArray[np.float32]:
    """Subtracts the clip's closed mouth from the positions of lips and chin, and averages over 3 frames: ``(time, 58)``."""
    moving = points[:, LIPS_AND_CHIN].reshape(len(points), -1)
    rest = resting(points)[LIPS_AND_CHIN].reshape(-1)
    padded = np.concatenate([moving[:1], moving, moving[-1:]])
    steady = 0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:]
    return (steady - rest).astype(np.float32)


@dataclass(frozen=True)
class MouthCode:
    """Holds a basis of mouth shapes, and encodes mouths in it.

    Attributes:
        basis: the orthonormal rows, ``(code, 58)``.
        scale: how many pixels one unit of the code is: the standard deviation of the first component.
    """

    basis: NDArray[np.float32]
    scale: float

    def encode(self, points: Points) -> NDArray[np.float32]:
        """Encodes landmarks ``(time, 68, 2)`` as codes ``(time, code)``; 0 is the mouth at rest."""
        return self.of_offsets(offsets(points))

    def of_offsets(self, moved: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encodes offsets ``(time, 58)`` as codes ``(time, code)``."""
        return (moved @ self.basis.T / self.scale).astype(np.float32)

    def to_offsets(self, codes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Decodes codes ``(time, code)`` into offsets ``(time, 58)``."""
        return (codes @ self.basis * self.scale).astype(np.float32)

    @property
    def opening(self) -> NDArray[np.float32]:
        """Returns by how many pixels one unit of each element of the code opens the inner lips, ``(code,)``."""
        row = {point: 2 * index + 1 for index, point in enumerate(LIPS_AND_CHIN)}  # of y among the offsets
        lower, upper = ([row[point] for point in points] for points in (LOWER_INNER, UPPER_INNER))
        return (self.basis[:, lower] - self.basis[:, upper]).mean(axis=1) * self.scale


def fit_mouth_code(clips: list[Points], size: int) -> MouthCode:
    """Computes principal components over clips and their mirror images, without subtracting a mean, so that 0 stays rest."""
    rows = np.concatenate([offsets(p) for points in clips for p in (points, mirrored(points))])
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    order = np.argsort(values)[::-1][:size]
    return MouthCode(np.ascontiguousarray(vectors[:, order].T.astype(np.float32)), float(values[order[0]] ** 0.5))
