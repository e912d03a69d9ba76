"""Blinks: as many as were made, as long as they were, and none in noise or slow changes."""

import numpy as np
import pytest

from stillspeak.data.landmarks import eye_aspect_ratio
from stillspeak.evaluation.blinks import blinks


def curve(*at: int, frames: int = 150) -> np.ndarray:
    """Eyes that close for 5 frames (at half depth) around some frames."""
    ratio = np.full(frames, 0.3) + np.random.default_rng(0).normal(0, 0.006, frames)
    for middle in at:
        ratio[middle - 4 : middle + 5] -= 0.2 * np.array([0.1, 0.35, 0.65, 1, 1, 1, 0.65, 0.35, 0.1])
    return ratio.astype(np.float32)


@pytest.mark.parametrize("at", [(), (20,), (20, 60), (20, 32, 100)])
def test_blinks_are_counted_and_timed(at: tuple[int, ...]):
    found = blinks(curve(*at), 25)
    assert found.rate == pytest.approx(len(at) / 6)
    assert found.seconds == pytest.approx(5 / 25, abs=0.03) if at else np.isnan(found.seconds)


def test_looking_down_for_two_seconds_is_no_blink():
    ratio = curve()
    ratio[50:100] -= 0.15
    assert blinks(ratio, 25).rate == 0


def test_the_ratio_is_height_over_width():
    points = np.zeros((1, 68, 2), np.float32)
    for first in (36, 42):
        points[0, first : first + 6] = [(0, 0), (4, -2), (8, -2), (12, 0), (8, 2), (4, 2)]
    assert eye_aspect_ratio(points)[0] == pytest.approx(4 / 12)
