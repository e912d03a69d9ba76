"""The rasteriser: known triangles."""

import numpy as np
import pytest

from stillspeak.data.performers.raster import draw


def triangle(*corners: tuple[float, float, float]) -> np.ndarray:
    return np.array(corners, np.float32)


def test_a_right_triangle_covers_the_pixels_under_its_slope():
    points = triangle((0, 0, 0), (4, 0, 0), (0, 4, 0))
    drawn = draw(points, np.array([[0, 1, 2]]), np.ones((3, 1)), 6, 6)
    rows, columns = np.mgrid[:6, :6]
    assert np.array_equal(drawn.covered, rows + columns <= 4)
    assert np.array_equal(drawn.values[..., 0] == 1, drawn.covered)


def test_attributes_are_linear_between_corners():
    points = triangle((0, 0, 0), (8, 0, 0), (0, 8, 0))
    drawn = draw(points, np.array([[0, 1, 2]]), points[:, :2], 9, 9)
    rows, columns = np.mgrid[:9, :9]
    inside = drawn.covered
    assert drawn.values[inside][:, 0] == pytest.approx(columns[inside], abs=1e-5)
    assert drawn.values[inside][:, 1] == pytest.approx(rows[inside], abs=1e-5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_triangle_is_in_front_whichever_is_drawn_first(order: tuple[int, int]):
    points = np.concatenate([triangle((0, 0, 1), (9, 0, 1), (0, 9, 1)), triangle((0, 0, 2), (4, 0, 2), (0, 4, 2))])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])[list(order)]
    drawn = draw(points, triangles, np.repeat([[1.0], [2.0]], 3, axis=0), 9, 9)
    assert drawn.values[1, 1, 0] == 2
    assert drawn.values[1, 6, 0] == 1
    assert drawn.nearness[1, 1] == pytest.approx(2)


def test_triangles_that_cross_are_each_seen_where_they_are_nearer():
    points = np.concatenate([triangle((0, 0, 0), (8, 0, 8), (0, 8, 0)), triangle((0, 0, 4), (8, 0, 4), (0, 8, 4))])
    drawn = draw(points, np.array([[0, 1, 2], [3, 4, 5]]), np.repeat([[1.0], [2.0]], 3, axis=0), 9, 9)
    assert drawn.values[0, 1, 0] == 2
    assert drawn.values[0, 7, 0] == 1


def test_what_lies_outside_or_has_no_area_is_not_drawn():
    points = triangle((-9, -9, 0), (-5, -9, 0), (-9, -5, 0), (1, 1, 0), (2, 2, 0), (3, 3, 0))
    drawn = draw(points, np.array([[0, 1, 2], [3, 4, 5]]), np.ones((6, 1)), 5, 5)
    assert not drawn.covered.any()
