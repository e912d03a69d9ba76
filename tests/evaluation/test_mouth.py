"""The measure of a moving mouth: known shifts and spreads, and a frozen mouth."""

import numpy as np
import pytest

from stillspeak.evaluation.mouth import match, silence_motion, silent_frames

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


def test_silence_is_where_nothing_is_said():
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.001, 3 * 16_000).astype(np.float32)
    samples[16_000:32_000] += rng.normal(0, 0.1, 16_000).astype(np.float32)
    silent = silent_frames(samples, 16_000, 25, 75)
    assert silent[:22].all()
    assert not silent[23:52].any()
    assert silent[53:].all()
    assert silent_frames(np.zeros(16_000, np.float32), 16_000, 25, 25).all()
    assert not silent_frames(rng.normal(0, 0.1, 16_000).astype(np.float32), 16_000, 25, 25).any()


def test_motion_in_silence_is_counted_there_alone():
    opened = np.zeros(75, np.float32)
    opened[20:50:2] = 5
    silent = np.zeros(75, bool)
    silent[:15] = True
    assert silence_motion(opened, silent) == 0
    opened[4] = 3  # 3 pixels up and down again in 14 steps
    assert silence_motion(opened, silent) == pytest.approx(6 / 14)
    assert np.isnan(silence_motion(opened, np.zeros(75, bool)))
