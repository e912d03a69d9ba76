"""Quiet speech is raised while it is heard; ordinary speech, noise, hum and silence are not, to the bit."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.loudness import Loudness, LoudnessState
from stillspeak.media.windows import Windows

EXAMPLE = Path(__file__).parents[2] / "examples" / "hello.flac"
RATE_HZ = 16_000
LOUDNESS = Loudness(Windows(RATE_HZ))
LEVELS_DB = (-80, -70, -60, -50, -40, -30)
Samples = np.ndarray


@pytest.fixture(scope="session")
def hello() -> Samples:
    return read_audio(EXAMPLE).at(RATE_HZ).samples


def cut(samples: Samples) -> Samples:
    return LOUDNESS.windows.cut(np.asarray(samples, np.float32))


def raised(samples: Samples) -> Samples:
    return LOUDNESS.raised(LoudnessState(), cut(samples))[1]


def is_left_alone(samples: Samples) -> bool:
    return np.array_equal(raised(samples), cut(samples))


def decibels(windows: Samples) -> Samples:
    return 10 * np.log10(np.square(windows, dtype=np.float64).mean(axis=1) + 1e-12)


def coloured(seconds: float, slope: float, seed: int = 0) -> Samples:
    """Noise whose power is 1 and falls with frequency to the power of twice ``slope``: white 0, pink 0.5, brown 1."""
    count = int(seconds * RATE_HZ)
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / RATE_HZ), 20)
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(seed).normal(size=count)) * hertz**-slope, count)
    return noise / noise.std()


def hum(seconds: float, hertz: float) -> Samples:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in (1, 2, 3, 5))
    return wave / np.std(wave)


def in_bursts(noise: Samples, burst_seconds: float, every_seconds: float) -> Samples:
    """Noise that comes and goes: keys, steps, breath."""
    t = np.arange(len(noise)) / RATE_HZ % every_seconds
    return noise * np.where(t < burst_seconds, np.sin(np.pi * t / burst_seconds), 0.01)


def test_speech_at_an_ordinary_level_is_left_alone_to_the_bit(hello: Samples):
    for gain_db in (20, 0, -10):
        assert is_left_alone(hello * 10 ** (gain_db / 20)), gain_db


def test_the_real_clips_are_left_alone_to_the_bit(corpus: Path):
    clips = sorted(corpus.glob("grid/s1/*.mp4"))[::40] + sorted(corpus.glob("grid/s*/*.mpg"))
    for path in clips + sorted(corpus.glob("speech/*.flac")):
        assert is_left_alone(read_audio(path).at(RATE_HZ).samples), path.name


@pytest.mark.parametrize("fainter_db", [-25, -35, -45])
@pytest.mark.parametrize("noise_db", [None, -30, -20])
def test_quiet_speech_is_raised_to_the_level_of_ordinary_speech(hello: Samples, fainter_db: int, noise_db: int | None):
    speech_power = float(np.square(hello).mean())
    heard = hello if noise_db is None else hello + coloured(6.03, 0.5) * (speech_power * 10 ** (noise_db / 10)) ** 0.5
    quiet = raised(heard * 10 ** (fainter_db / 20))
    spoken = decibels(cut(hello)) > -20
    level = np.median(decibels(quiet)[spoken][10:])
    assert -20 < level < -8, level


def test_the_gain_is_there_a_fifth_of_a_second_after_the_voice_begins(hello: Samples):
    gains = decibels(raised(hello * 0.01)) - decibels(cut(hello * 0.01))
    begins = int(np.argmax(decibels(cut(hello)) > -20))
    assert not gains[:begins].any()
    assert gains[begins + 5 : -10].min() > 20  # the last frames are digital silence


@pytest.mark.parametrize("slope", [0, 0.5, 1])
@pytest.mark.parametrize("level_db", LEVELS_DB)
def test_noise_alone_is_left_alone(slope: float, level_db: int):
    noise = coloured(6, slope) * 10 ** (level_db / 20)
    silence_first = np.concatenate([np.zeros(RATE_HZ), noise])
    louder_later = noise * np.where(np.arange(len(noise)) < 3 * RATE_HZ, 0.03, 1)
    for sound in (noise, silence_first, louder_later):
        assert is_left_alone(sound)


@pytest.mark.parametrize(("burst_seconds", "every_seconds"), [(0.02, 0.15), (0.1, 0.5), (0.25, 2.5), (0.6, 2)])
@pytest.mark.parametrize("level_db", LEVELS_DB)
def test_keys_steps_coughs_and_breath_are_left_alone(burst_seconds: float, every_seconds: float, level_db: int):
    for slope in (0, 0.5, 1):
        bursts = in_bursts(coloured(6, slope), burst_seconds, every_seconds)
        assert is_left_alone(bursts * 10 ** (level_db / 20)), slope


@pytest.mark.parametrize("hertz", [50, 60, 100, 120])
@pytest.mark.parametrize("level_db", LEVELS_DB)
def test_hum_alone_is_left_alone(hertz: float, level_db: int):
    wave = hum(6, hertz) * 10 ** (level_db / 20)
    assert is_left_alone(wave + coloured(6, 0) * 1e-4)
    assert is_left_alone(np.concatenate([np.zeros(RATE_HZ), wave]))


def test_silence_and_dither_are_left_alone():
    random = np.random.default_rng(0)
    dither = np.round(random.uniform(-1, 1, RATE_HZ) + random.uniform(-0.5, 0.5, RATE_HZ)) / 2**15
    assert is_left_alone(np.zeros(RATE_HZ))
    assert is_left_alone(dither)


def test_noise_under_quiet_speech_is_not_raised_to_where_it_would_be_heard_as_speech(hello: Samples):
    noisy = hello * 10 ** (-30 / 20) + coloured(6.03, 0.5) * 10 ** (-45 / 20)
    pauses = decibels(cut(hello)) < -60
    assert decibels(raised(noisy))[pauses].max() < -32


def test_a_loud_voice_after_a_quiet_one_is_not_overdriven(hello: Samples):
    quiet_then_loud = np.concatenate([hello * 0.01, hello])
    louder = decibels(raised(quiet_then_loud)) - decibels(cut(quiet_then_loud))
    loud = decibels(cut(quiet_then_loud)) > -10
    assert not louder[loud].any()


def test_a_quiet_voice_after_a_loud_one_is_raised_within_three_seconds(hello: Samples):
    loud_then_quiet = np.concatenate([hello, hello * 0.01])
    gains = decibels(raised(loud_then_quiet)) - decibels(cut(loud_then_quiet))
    half = len(gains) // 2
    assert not gains[:half].any()
    assert np.median(gains[half + 75 :]) > 25


def test_a_cough_does_not_hide_the_quiet_voice_around_it(hello: Samples):
    coughed = hello * 0.01
    coughed[48_000:52_000] += 0.3 * coloured(0.25, 0.3)
    gains = decibels(raised(coughed)) - decibels(cut(coughed))
    assert gains[76:80].max() < 1
    assert np.median(gains[85:]) > 25


def test_a_constant_offset_of_a_cheap_microphone_hides_no_quiet_voice(hello: Samples):
    gains = decibels(raised(hello * 0.01)) - decibels(cut(hello * 0.01))
    offset = decibels(raised(hello * 0.01 + 0.003)) - decibels(cut(hello * 0.01 + 0.003))
    np.testing.assert_allclose(offset[20:-15], gains[20:-15], atol=1)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), max_size=12))
def test_windows_in_any_portions_are_raised_alike(sizes: list[int]):
    windows = cut(read_audio(EXAMPLE).at(RATE_HZ).samples[:64_000] * 0.01)
    state, made, at = LoudnessState(), [], 0
    for size in [*sizes, len(windows)]:
        state, piece = LOUDNESS.raised(state, windows[at : at + size])
        made.append(piece)
        at += size
    np.testing.assert_array_equal(np.concatenate(made), LOUDNESS.raised(LoudnessState(), windows)[1])


def test_a_later_window_never_changes_an_earlier_one(hello: Samples):
    windows = cut(hello * 0.01)
    for count in (1, 14, 60):
        np.testing.assert_array_equal(
            LOUDNESS.raised(LoudnessState(), windows[:count])[1], LOUDNESS.raised(LoudnessState(), windows)[1][:count]
        )


def test_what_is_remembered_does_not_grow(hello: Samples):
    state = LoudnessState()
    for _ in range(3):
        state, _ = LOUDNESS.raised(state, cut(hello * 0.01))
    assert (len(state.levels), len(state.recent), len(state.spoken)) == (75, 75, 24)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 50_000])
def test_any_rate_of_a_model_will_do(hello: Samples, rate_hz: int):
    samples = Sound(hello * np.float32(0.01), RATE_HZ).at(rate_hz).samples
    windows = Windows(rate_hz).cut(samples)
    gains = decibels(Loudness(Windows(rate_hz)).raised(LoudnessState(), windows)[1]) - decibels(windows)
    assert np.median(gains) > 25
