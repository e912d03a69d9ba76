"""Turns triangles into pixels, the nearest in front, with a z-buffer in Numba. It knows nothing of faces, photos or light."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

_FAR = -1e30


class Drawn(NamedTuple):
    """Holds a drawn picture.

    Attributes:
        values: the triangles' attributes between their corners, float32 ``(height, width, attributes)``; 0 without a triangle.
        nearness: the nearness of each pixel, float32 ``(height, width)``; very negative without a triangle.
    """

    values: NDArray[np.float32]
    nearness: NDArray[np.float32]

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Returns which pixels a triangle covers, ``(height, width)``."""
        return self.nearness > _FAR


def draw(
    points: NDArray[np.float32],
    triangles: NDArray[np.int32],
    attributes: NDArray[np.float32],
    height_px: int,
    width_px: int,
) -> Drawn:
    """Draws triangles.

    Args:
        points: x and y in pixels (the middle of the first pixel is 0, 0), and how near each is; ``(n, 3)``.
        triangles: three points each, ``(m, 3)``.
        attributes: the values at each point, such as a colour, ``(n, attributes)``.
        height_px, width_px: the size of the picture.
    """
    values = np.zeros((height_px, width_px, attributes.shape[1]), np.float32)
    nearness = np.full((height_px, width_px), _FAR, np.float32)
    _fill(
        np.ascontiguousarray(points, np.float32),
        np.ascontiguousarray(triangles, np.int32),
        np.ascontiguousarray(attributes, np.float32),
        values,
        nearness,
    )
    return Drawn(values, nearness)


@njit(cache=True, fastmath=True)
def _fill(points, triangles, attributes, values, nearness):
    height, width = nearness.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, bx, by, cx, cy = points[a, 0], points[a, 1], points[b, 0], points[b, 1], points[c, 0], points[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0:
            continue
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(np.floor(max(ax, bx, cx))))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(np.floor(max(ay, by, cy))))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
                wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
                wc = 1.0 - wa - wb
                if wa < 0.0 or wb < 0.0 or wc < 0.0:
                    continue
                near = wa * points[a, 2] + wb * points[b, 2] + wc * points[c, 2]
                if near > nearness[y, x]:
                    nearness[y, x] = near
                    for k in range(attributes.shape[1]):
                        values[y, x, k] = wa * attributes[a, k] + wb * attributes[b, k] + wc * attributes[c, k]
