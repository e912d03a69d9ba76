"""The measure of a moving mouth: known shifts and spreads, and a frozen mouth."""

import numpy as np
import pytest

from stillspeak.evaluation.mouth import match

CURVE = np.convolve(np.random.default_rng(0).normal(size=80), np.ones(4) / 4, mode="valid").astype(np.float32)


@pytest.mark.parametrize("shift", [-3, -1, 0, 2, 3])
def test_a_shifted_and_scaled_curve_is_found_again(shift: int):
    found = match(0.5 * np.roll(CURVE, shift), CURVE)
    assert found.shift == shift
    assert found.correlation == pytest.approx(1.0, abs=1e-5)
    assert found.spread == pytest.approx(0.5, rel=1e-4)


def test_a_frozen_mouth_matches_nothing():
    found = match(np.full_like(CURVE, 3.0), CURVE)
    assert found.correlation == 0
    assert found.spread == pytest.approx(0)


def test_another_sentence_correlates_less_than_the_same():
    other = np.convolve(np.random.default_rng(1).normal(size=80), np.ones(4) / 4, mode="valid").astype(np.float32)
    assert match(other, CURVE).correlation < 0.6
