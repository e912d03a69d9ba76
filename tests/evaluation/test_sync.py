"""Timing: embeddings that were shifted are found again; windows lie where their frames are."""

import numpy as np
import pytest

from stillspeak.evaluation.sync import mouth_windows, offset_of, sound_windows
from stillspeak.media.spectrum import BANDS, HOP, RATE_HZ, log_mel


def unit(values: np.ndarray) -> np.ndarray:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("shift", [-15, -3, 0, 1, 9])
def test_late_sound_has_a_positive_offset(shift: int):
    rng = np.random.default_rng(0)
    words = unit(rng.normal(size=(120, 16)))
    looks = words[20:91]
    heard = unit(words[20 - shift : 91 - shift] + rng.normal(0, 0.1, (71, 16)))
    found = offset_of(looks, heard)
    assert found.offset == shift
    assert found.confidence > 0.5
    assert offset_of(looks, unit(rng.normal(size=(71, 16)))).confidence < 0.2


def test_a_window_of_mouth_is_five_frames_in_order():
    frames = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((1, 48, 48), np.float32)
    assert mouth_windows(frames)[2, :, 0, 0].tolist() == [2, 3, 4, 5, 6]
    with pytest.raises(ValueError, match="too few"):
        mouth_windows(frames[:4])


@pytest.mark.parametrize("fps", [25, 30, 29.97])
def test_a_window_of_sound_starts_with_its_frame(fps: float):
    spectrum = np.repeat(np.arange(300, dtype=np.float32)[:, None], BANDS, 1)
    windows = sound_windows(spectrum, 40, fps)
    assert windows.shape == (40, BANDS, 20)
    assert np.abs(windows[:, 0, 0] - np.arange(40) * 100 / fps).max() <= 0.5


def test_a_tone_lights_the_band_it_lies_in_at_its_time():
    t = np.arange(RATE_HZ) / RATE_HZ
    low, high = (np.sin(2 * np.pi * hertz * t) for hertz in (300, 5000))
    spectrum = log_mel(np.concatenate([low, high]).astype(np.float32))
    assert spectrum.shape == (2 * RATE_HZ // HOP, BANDS)
    assert spectrum[50].argmax() < BANDS // 3 < BANDS * 2 // 3 < spectrum[150].argmax()
