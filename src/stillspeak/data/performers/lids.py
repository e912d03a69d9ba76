"""Closes eyes: moves the upper lids down exactly to the lower ones, although a photo of open eyes hardly shows their skin.

The head's own blink fits its own eyes. Here each column of the lid goes as far as this eye is open there. The lid shows the skin
between brow and fold, stretched; the line of the lashes goes along with the edge.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.sitter import Sitter

_UPPER, _LOWER = ((36, 37, 38, 39), (42, 43, 44, 45)), ((36, 41, 40, 39), (42, 47, 46, 45))
BLINKS = "eyeBlink_R", "eyeBlink_L"  # the eye that is left in the picture is the head's right one
_BROW = (17, 18, 19, 20, 21), (22, 23, 24, 25, 26)
_BROW_HAIR = 0.09  # ours: bare skin begins so far below the brow's landmarks, as a share of the outer-eye distance
_TO_BROW = 0.8  # ours: a shut lid stretches this share of the bare skin between its edge and the brow
_CLEAN = 0.85, 0.5  # ours: the upper 0.85 of a shut lid shows the upper half of that skin, which lies above the fold
_LASHES = 0.018  # ours: a line so high above the edge is not stretched, as a share of the outer-eye distance
_INTO_EYE = 0.004  # ours: lashes still colour so much below the edge, as a share of the outer-eye distance
_PAST = 0.02  # ours: the upper lid comes so far over the lower one, as a share of the outer-eye distance
_AROUND = 0.09  # ours: columns so near go down alike, as a share of the outer-eye distance
_ASIDE = 0.4  # ours: columns that go down less than this share of the most keep more of their own colour
_FORWARD = 0.01  # ours: the upper lid passes so far before the lower one, as a share of the outer-eye distance
_GOES_DOWN = 0.3  # vertices that the head's own blink moves by more than this share of the most are the upper lid's


class Lids(NamedTuple):
    """Holds the lids of a sitter.

    Attributes:
        moves: how each vertex moves when the right or the left eye shuts, float32 ``(2, 21451, 3)``.
        taken: how many pixels higher each vertex takes its colour from when the eye is shut, float32 ``(21451,)``.
    """

    moves: NDArray[np.float32]
    taken: NDArray[np.float32]


def lids(sitter: Sitter) -> Lids:
    """Returns how a sitter's eyes shut."""
    points, marks = sitter.points, sitter.points[sitter.landmarks, :2]
    moves = np.zeros((2, len(points), 3), np.float32)
    taken = np.zeros(len(points), np.float32)
    for eye, name in enumerate(BLINKS):
        upper, lower, brow = (marks[list(numbers[eye])] for numbers in (_UPPER, _LOWER, _BROW))
        x, y = points[:, 0], points[:, 1]
        top, bottom = _curve(upper, x), _curve(lower, x)
        bare = top - np.interp(x, brow[:, 0], brow[:, 1]) - _BROW_HAIR * sitter.unit
        skin = (_TO_BROW * bare).clip(2 * _LASHES * sitter.unit, None)
        edge = top - _LASHES * sitter.unit
        own = sitter.moves[sitter.names.index(name)]
        upper_lid = (y < bottom) & ((y < (top + bottom) / 2) | (own[:, 1] > _GOES_DOWN * own[:, 1].max()))
        down = ((y - edge + skin) / skin).clip(0, 1)
        share = down * upper_lid
        way = _way(x, upper, lower, share, sitter.unit)
        moves[eye, :, 1] = share * way
        moves[eye, :, 2] = share * _FORWARD * sitter.unit
        clean = np.interp(down, (0, _CLEAN[0], 1), (0, _CLEAN[1], 1)) - down
        higher = clean * skin + np.minimum(top + _INTO_EYE * sitter.unit - y, 0)
        taken += np.where(share > 0, higher, 0) * (way / (_ASIDE * way.max())).clip(0, 1)
    return Lids(moves, taken)


def _way(
    x: NDArray[np.float32],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    share: NDArray[np.float32],
    unit: float,
) -> NDArray[np.float32]:
    """Returns how far each column goes down: at the edge as far as the eye is open there, above it as far as around it."""
    grid = np.arange(x.min(), x.max(), 1.0, dtype=np.float32)
    inside = (grid > upper[:, 0].min()) & (grid < upper[:, 0].max())
    gap = np.where(inside, (_curve(lower, grid) - _curve(upper, grid)).clip(0) + _PAST * unit, 0)
    wide = cv2.GaussianBlur(gap[None], (0, 0), _AROUND * unit)[0]
    sharp = cv2.GaussianBlur(gap[None], (0, 0), 0.1 * _AROUND * unit)[0]
    at_edge = share**3
    return (1 - at_edge) * np.interp(x, grid, wide) + at_edge * np.interp(x, grid, sharp)


def _curve(knots: NDArray[np.floating], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the cubic through four points; beyond its ends it is level."""
    inside = x.clip(knots[:, 0].min(), knots[:, 0].max())
    middle, half = knots[:, 0].mean(), np.ptp(knots[:, 0]) / 2
    through = np.polyfit((knots[:, 0] - middle) / half, knots[:, 1], 3)
    return np.polyval(through, (inside - middle) / half).astype(np.float32)
