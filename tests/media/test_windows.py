"""Windows of sound: the paper's framing, exact for any rate, live equal to offline."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillspeak.media.windows import Windows

RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 50_000])
FPS = st.sampled_from([Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(50), Fraction(60)])


def test_the_papers_framing_gives_75_windows_of_8000_from_three_seconds():
    windows = Windows(50_000)
    assert windows.length == 8000
    assert windows.half_padding == 3000
    assert windows.cut(np.ones(150_000, np.float32)).shape == (75, 8000)


def test_window_t_covers_the_samples_that_appendix_a1_says():
    windows = Windows(50_000)
    samples = np.arange(1, 150_001, dtype=np.float32)
    padded = np.concatenate([np.zeros(3000, np.float32), samples, np.zeros(3000, np.float32)])
    expected = np.stack([padded[2000 * t : 2000 * t + 8000] for t in range(75)])
    np.testing.assert_array_equal(windows.cut(samples), expected)


@given(RATES, FPS, st.integers(0, 100_000))
def test_starts_never_drift(rate_hz: int, fps: Fraction, frame: int):
    windows = Windows(rate_hz, fps)
    assert windows.start(frame) == round(frame * rate_hz / fps) - windows.half_padding
    assert abs(windows.start(frame) + windows.half_padding - frame * rate_hz / fps) <= Fraction(1, 2)


@settings(deadline=None, max_examples=60)
@given(RATES, FPS, st.integers(0, 40_000), st.lists(st.integers(0, 9_000), max_size=12))
def test_any_chunking_gives_the_same_windows(rate_hz: int, fps: Fraction, total: int, cuts: list[int]):
    windows = Windows(rate_hz, fps)
    samples = np.random.default_rng(total).normal(size=total).astype(np.float32)
    state, out, at = windows.begin(), [], 0
    for size in [*cuts, total]:
        state, piece = windows.push(state, samples[at : at + size])
        out.append(piece)
        at += len(samples[at : at + size])
    state, piece = windows.flush(state)
    made = np.concatenate([*out, piece])
    np.testing.assert_array_equal(made, windows.cut(samples))
    assert len(made) == windows.count(total)


def test_the_state_is_a_value_that_can_be_gone_on_from_twice():
    windows = Windows(16_000)
    samples = np.random.default_rng(0).normal(size=16_000).astype(np.float32)
    state, _ = windows.push(windows.begin(), samples[:5000])
    first = windows.push(state, samples[5000:])[1]
    again = windows.push(state, samples[5000:])[1]
    np.testing.assert_array_equal(first, again)


def test_a_window_is_due_60_ms_after_its_frame_begins_to_end():
    windows = Windows(16_000)
    due = windows.start(0) + windows.length  # samples needed for frame 0: its own 40 ms and 60 ms of look-ahead
    assert due == 1600
    assert len(windows.push(windows.begin(), np.zeros(due - 1, np.float32))[1]) == 0
    assert len(windows.push(windows.begin(), np.zeros(due, np.float32))[1]) == 1


def test_a_rate_of_zero_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Windows(0)
