"""Splits the line of closed lips, which a photo shows as one edge, into the edges of the upper and the lower lip.

The lips' inner side is hidden at rest, so a photo shows no colour of it. It takes the colour of the visible lip beside it, at a
small distance from the line, because the photo is dark at the line.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.head import FACE, SOCKET, Head
from stillspeak.data.performers.sitter import CANVAS_SIZE, Sitter

_LIP_MARGIN = 0.022  # ours: how far the lips keep from their line, as a share of the outer-eye distance
_CLOSING = 0.06  # ours, of the outer-eye distance: how far around the line a gap is closed
_INNER_LINE = (60, 61, 62, 63, 64), (60, 67, 66, 65, 64)


class Seams(NamedTuple):
    """Holds the edges of a sitter's lips.

    Attributes:
        upper, lower: how far each vertex belongs to the upper or the lower lip, 0 to 1, float32 ``(21451,)``.
        mouth: 1 near the lips and 0 elsewhere, ``(21451,)``.
        line_x, line_y: the points of the closed lips' line.
        margin: how many pixels the lips keep from their line.
        lips: the vertices of the landmarks of outer and inner lips, ``(20,)``.
        unit: the outer-eye distance in pixels.
    """

    upper: NDArray[np.float32]
    lower: NDArray[np.float32]
    mouth: NDArray[np.float32]
    line_x: NDArray[np.float32]
    line_y: NDArray[np.float32]
    margin: float
    lips: NDArray[np.int32]
    unit: float

    def taken(self, places: NDArray[np.float32], apart: float) -> NDArray[np.float32]:
        """Returns where in the photo each vertex takes its colour from, ``(21451, 2)``, when lips are ``apart`` (0 to 1)."""
        if apart <= 0:
            return places.copy()
        out = places.copy()
        middle = (self.line_x[0] + self.line_x[-1]) / 2
        half = (self.line_x[-1] - self.line_x[0]) / 2
        line = np.interp(places[:, 0], self.line_x, self.line_y)
        margin = self.margin * (1 - (np.abs(places[:, 0] - middle) / half).clip(0, 1) ** 2)
        above, below = np.minimum(places[:, 1], line - margin), np.maximum(places[:, 1], line + margin)
        out[:, 1] += apart * self.mouth * (self.upper * (above - places[:, 1]) + self.lower * (below - places[:, 1]))
        return out

    def window(self, points: NDArray[np.float32]) -> tuple[int, int, int, int]:
        """Returns the first and last row, and the first and last column, around the lips in a frame."""
        here = points[self.lips, :2]
        room = 0.15 * self.unit
        left, top = (here.min(axis=0) - room).astype(int)
        right, bottom = (here.max(axis=0) + room).astype(int)
        height, width = CANVAS_SIZE
        return max(0, top), min(height, bottom), max(0, left), min(width, right)


def closed(head: Head, sitter: Sitter) -> NDArray[np.float32]:
    """Returns a sitter's vertices with the lips brought together where the fit left a gap, ``(21451, 3)``."""
    points, marks = sitter.points.copy(), sitter.points[sitter.landmarks]
    upper, lower = (marks[list(numbers)] for numbers in _INNER_LINE)
    order = np.argsort(upper[:, 0])
    gap = np.interp(points[:, 0], upper[order, 0], (lower - upper)[order, 1])
    line = np.interp(points[:, 0], upper[order, 0], (lower + upper)[order, 1] / 2)
    near = np.exp(-((points[:, 1] - line) ** 2) / (2 * (_CLOSING * sitter.unit) ** 2))
    share = _share_of_jaw(head, np.abs(head.expression("jawOpen")[: len(points), 1]))
    sides = 1 - 2 * ((share - 0.4) / 0.2).clip(0, 1)  # 1 on the upper lip, -1 on the lower
    skin = np.zeros(len(points), bool)
    skin[FACE], skin[SOCKET] = True, True
    points[:, 1] += (0.5 * gap * sides * near * skin).astype(np.float32)
    return points


def seams(head: Head, sitter: Sitter) -> Seams:
    """Finds the edges of a sitter's lips."""
    points, marks = sitter.points, sitter.points[sitter.landmarks, :2]
    jaw = np.abs(head.expression("jawOpen")[: len(points), 1])
    upper_line, lower_line = (marks[list(numbers)] for numbers in _INNER_LINE)
    line = ((upper_line + lower_line) / 2).astype(np.float32)
    order = np.argsort(line[:, 0])
    local = _share_of_jaw(head, jaw)
    lower = ((local - 0.4) / 0.2).clip(0, 1)
    centre, half = line.mean(axis=0), np.ptp(line[:, 0]) / 2
    aside = ((1.0 - np.abs(points[:, 0] - centre[0]) / half) / 0.1).clip(0, 1)
    away = np.abs(points[:, 1] - np.interp(points[:, 0], line[order, 0], line[order, 1])) / sitter.unit
    mouth = aside * ((0.25 - away) / 0.1).clip(0, 1)
    mouth[FACE.stop :] = 0
    return Seams(
        (1 - lower).astype(np.float32), lower.astype(np.float32), mouth.astype(np.float32),
        line[order, 0], line[order, 1], _LIP_MARGIN * sitter.unit, sitter.landmarks[48:68], sitter.unit,
    )  # fmt: skip


def _share_of_jaw(head: Head, jaw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how far each vertex goes with the jaw: 1 like the lower lip, 0 like the upper lip."""
    marks = head.landmarks
    lower = float(jaw[marks[66]])
    upper = float(jaw[marks[62]])
    return ((jaw - upper) / (lower - upper)).clip(0, 1)
