"""Variation that keeps what must be kept: one draw for all frames of a person; timing of a voice."""

import numpy as np
import pytest

from helpers import tone
from stillspeak.data.augment import change_speed, change_throat, draw_look, jitter_voice
from stillspeak.data.voices import revoice


@pytest.fixture
def crop(astronaut: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(astronaut[40:168, 170:266])


def test_all_frames_of_a_person_are_changed_alike(crop: np.ndarray):
    made = draw_look(1.0, np.random.default_rng(1)).of(np.stack([crop, crop, crop]))
    np.testing.assert_array_equal(made[0], made[2])
    assert np.abs(made[0].astype(int) - crop).mean() > 2


def test_strength_zero_changes_nothing(crop: np.ndarray):
    points = np.full((1, 68, 2), 50.0, np.float32)
    look = draw_look(0.0, np.random.default_rng(1))
    made, moved = look.of(crop[None]), look.moved(points)
    assert np.abs(made[0].astype(int) - crop).max() <= 1
    np.testing.assert_allclose(moved, points, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_move_with_the_pixels(seed: int):
    where = np.array([[30, 90], [60, 40], [48, 64]], np.float32)
    for x, y in where:
        dot = np.zeros((1, 128, 96, 3), np.uint8)
        dot[0, int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 250
        look = draw_look(1.0, np.random.default_rng(seed))
        made, moved = look.of(dot), look.moved(np.array([[[x, y]]], np.float32))
        light = made[0].astype(float).sum(2)
        light = (light > (light.min() + light.max()) / 2).astype(float)
        rows, columns = np.indices(light.shape)
        centre = (light * columns).sum() / light.sum(), (light * rows).sum() / light.sum()
        assert np.abs(moved[0, 0] - centre).max() < 1.5


def envelope(samples: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(samples[: len(samples) // 640 * 640].reshape(-1, 640) ** 2, axis=1))


@pytest.mark.parametrize("seed", range(5))
def test_a_varied_voice_keeps_its_timing(seed: int):
    sound = tone(2.0)
    made = jitter_voice(sound.samples, 16_000, 1.0, np.random.default_rng(seed))
    assert made.shape == sound.samples.shape
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 1
    assert np.corrcoef(envelope(made), envelope(sound.samples))[0, 1] > 0.6


def test_faster_sound_is_shorter():
    assert len(change_speed(np.zeros(16_000, np.float32), 1.25)) == pytest.approx(12_800, abs=2)


def test_a_revoiced_tone_has_the_pitch_asked_for():
    t = np.arange(16_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 20)).astype(np.float32) * 0.2
    made = revoice(voice, 16_000, 1.5, 1.0)
    assert made.shape == voice.shape
    spectrum = np.abs(np.fft.rfft(made[4000:12_000] * np.hanning(8000)))
    assert np.argmax(spectrum[: int(300 * 8000 / 16_000)]) * 2 == pytest.approx(180, abs=8)


def test_silence_stays_silence_in_another_voice():
    assert np.abs(revoice(np.zeros(16_000, np.float32), 16_000, 1.5, 1.1)).max() < 1e-3


def test_another_throat_moves_all_frequencies_and_keeps_the_time():
    rate_hz, seconds = 16_000, 1.0
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    loud = ((times > 0.3) & (times < 0.7)).astype(np.float32)
    spoken = (loud * np.sin(2 * np.pi * 1000 * times)).astype(np.float32)
    np.testing.assert_allclose(change_throat(spoken, rate_hz, 1.0), spoken, atol=1e-5)
    for factor in (0.85, 1.2):
        changed = change_throat(spoken, rate_hz, factor)
        assert changed.shape == spoken.shape
        spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
        assert spectrum.argmax() == pytest.approx(1000 * factor, abs=10)  # 1 Hz a bin
        blocks = np.abs(changed).reshape(50, -1).mean(axis=1)
        assert blocks[17:33].min() > 5 * max(blocks[:13].max(), blocks[37:].max())


@pytest.mark.parametrize("length", [1, 100, 513, 4000])
def test_sound_of_any_length_keeps_it_in_another_throat(length: int):
    samples = np.random.default_rng(0).normal(0, 0.1, length).astype(np.float32)
    assert change_throat(samples, 8_000, 1.1).shape == (length,)
    np.testing.assert_allclose(change_throat(samples, 8_000, 1.0), samples, atol=1e-6)
