"""Landmarks of mouths: opening, mirror, code."""

import numpy as np
import pytest

from stillspeak.data.landmarks import mouth_interior, mouth_opening
from stillspeak.data.mouth_code import fit_mouth_code, mirrored, offsets


@pytest.fixture
def talking() -> np.ndarray:
    """A face whose lower lip and chin go down by 0 to 10 pixels, and back."""
    face = np.random.default_rng(0).uniform(20, 90, (68, 2)).astype(np.float32)
    face[[61, 62, 63], 1], face[[67, 66, 65]] = 80.0, face[[61, 62, 63]]
    face[[67, 66, 65], 1] = 80.0
    points = np.repeat(face[None], 40, 0)
    points[:, [*range(4, 13), *range(55, 60), 65, 66, 67], 1] += 10 * np.sin(np.linspace(0, np.pi, 40))[:, None] ** 2
    return points


def test_opening_is_the_distance_of_the_inner_lips_in_pixels(talking: np.ndarray):
    expected = 10 * np.sin(np.linspace(0, np.pi, 40)) ** 2
    np.testing.assert_allclose(mouth_opening(talking), expected, atol=1e-4)


def test_a_mirror_twice_is_no_mirror_and_keeps_the_opening(talking: np.ndarray):
    np.testing.assert_allclose(mirrored(mirrored(talking)), talking, atol=1e-4)
    np.testing.assert_allclose(mouth_opening(mirrored(talking)), mouth_opening(talking), atol=1e-4)


def test_where_the_head_is_does_not_matter(talking: np.ndarray):
    np.testing.assert_allclose(offsets(talking + np.float32(7)), offsets(talking), atol=1e-4)


def test_the_code_of_a_mouth_at_rest_is_zero_and_one_motion_needs_one_number(talking: np.ndarray):
    code = fit_mouth_code([talking], 3)
    values = code.encode(talking)
    assert np.abs(values[mouth_opening(talking) < 0.1]).max() < 0.1
    assert np.abs(np.corrcoef(values[:, 0], mouth_opening(talking))[0, 1]) > 0.98
    assert np.abs(values[:, 1:]).max() < 0.05 * np.abs(values[:, 0]).max()


def test_the_interior_is_what_the_inner_lips_enclose():
    points = np.zeros((2, 68, 2), np.float32)
    points[:, 60:68] = [[30, 90], [36, 85], [42, 85], [48, 85], [54, 90], [48, 95], [42, 95], [36, 95]]
    points[1, 60:68, 1] = 90  # shut: a line
    masks = mouth_interior(points)
    assert masks.shape == (2, 128, 96)
    assert masks[0, 90, 42] == 1
    assert masks[0, 80, 42] == masks[0, 90, 60] == 0
    assert 180 < masks[0].sum() < 240
    assert masks[1].sum() <= 25
