"""Readings: synthetic voices in a clip's own time."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from stillspeak.cli import main
from stillspeak.data import readings
from stillspeak.data.readings import Reader, in_time, make_readings, read_aloud
from stillspeak.errors import DataError
from stillspeak.media.spectrum import log_mel

RATE_HZ = 16_000
VOWELS = {"a": (800, 1200), "i": (300, 2300), "u": (320, 800)}


def voice(said: list[tuple[str, float]], pitch_hz: float, throat: float) -> np.ndarray:
    """Vowels of some seconds each between two pauses: pulses through two resonances."""
    pieces = [np.zeros(RATE_HZ // 4)]
    for vowel, seconds in said:
        wave = np.zeros(int(seconds * RATE_HZ))
        wave[:: int(RATE_HZ / pitch_hz)] = 1.0
        for hertz in VOWELS[vowel]:
            angle = 2 * np.pi * hertz * throat / RATE_HZ
            wave = lfilter([1.0], [1.0, -2 * 0.97 * np.cos(angle), 0.97**2], wave)
        pieces.append(wave / np.abs(wave).max() * 0.3)
    return np.concatenate([*pieces, np.zeros(RATE_HZ // 4)]).astype(np.float32)


RECORDED = voice([("a", 0.5), ("i", 0.15), ("u", 0.3)], 110, 1.0)
READING = voice([("a", 0.2), ("i", 0.4), ("u", 0.2)], 190, 1.1)


def test_a_reading_takes_the_recorded_timing_and_keeps_its_own_voice():
    said = in_time(READING, RECORDED)
    assert said.shape == RECORDED.shape

    def likeness(sound: np.ndarray) -> float:
        steps = min(len(sound), len(RECORDED)) // 160
        return float(np.corrcoef(log_mel(sound)[:steps].ravel(), log_mel(RECORDED)[:steps].ravel())[0, 1])

    assert likeness(said) > likeness(READING) + 0.2
    middle = said[int(0.4 * RATE_HZ) : int(0.65 * RATE_HZ)]  # within the long vowel
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), RATE_HZ))
    assert 170 < spectrum[80:260].argmax() + 80 < 210


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A speech engine that knows one sentence, as the only one installed."""
    spoken = tmp_path / "spoken.wav"
    soundfile.write(spoken, READING, RATE_HZ)
    monkeypatch.setattr(readings, "READERS", [Reader("parrot", ("cp", str(spoken), "{wav}"))])
    return spoken


@pytest.mark.usefixtures("engine")
def test_readings_lie_beside_a_clip_and_are_the_same_every_time(tmp_path: Path):
    flac = tmp_path / "clip.flac"
    soundfile.write(flac, RECORDED, RATE_HZ)
    make_readings(flac, "", 2)
    assert not list(tmp_path.glob("*.reading*"))
    make_readings(flac, "bin red", 2)
    first = [path.read_bytes() for path in sorted(tmp_path.glob("clip.reading*.flac"))]
    assert len(set(first)) == 2
    for path in tmp_path.glob("clip.reading*.flac"):
        path.unlink()
    make_readings(flac, "bin red", 2)
    assert [path.read_bytes() for path in sorted(tmp_path.glob("clip.reading*.flac"))] == first


def test_an_engine_that_fails_is_named():
    with pytest.raises(DataError, match=r"mute could not read .bin red"):
        read_aloud("bin red", Reader("mute", ("false",)))


def test_without_a_speech_engine_readings_are_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["prepare", "grid", str(tmp_path), str(tmp_path / "out"), "--readings", "1"]) == 2
    assert "apt install" in capsys.readouterr().err
    assert main(["prepare", "grid", str(tmp_path), str(tmp_path / "out"), "--readings", "-1"]) == 2
