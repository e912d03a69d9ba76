"""Lets synthetic voices read a clip's words in the clip's own time, so that one mouth goes with many voices. Ours.

A speech engine reads the words. Dynamic time warping of log-mel spectra lays the reading along the recorded speech, and WORLD
synthesises it again with that timing, so that the mouth's labels stay true. The engines are the free ones of Debian: flite,
festival, espeak-ng; those that are not installed are left out.

Sources: dynamic time warping, Sakoe, Chiba 1978, through the package dtaidistance; WORLD, Morise, Yokomori, Ozawa 2016.
"""

import shutil
import subprocess
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.voices import RATE_HZ, WORLD_FRAME_SECONDS, copy_path, revoice, write_voice
from stillspeak.errors import DataError, MediaError
from stillspeak.media.audio import read_audio
from stillspeak.media.spectrum import HOP, log_mel
from stillspeak.temporary import temporary_folder

_PAUSE_SECONDS = 0.6  # about so much silence precedes and follows a GRID sentence
_RANGE = 9.0  # nepers of power below the loudest band (39 dB): fainter is silence
_STEADY_STEPS = 9  # the path is smoothed over so many steps of 10 ms
_ENGINE_SECONDS = 30


class Reader(NamedTuple):
    """Describes a voice of an engine by the command that turns a text file into a WAV file."""

    name: str
    command: tuple[str, ...]  # {text} and {wav} stand for the files


def _flite(voice: str) -> Reader:
    return Reader(f"flite {voice}", ("flite", "-voice", voice, "-f", "{text}", "-o", "{wav}"))


def _festival(voice: str) -> Reader:
    return Reader(f"festival {voice}", ("text2wave", "-eval", f"(voice_{voice})", "-o", "{wav}", "{text}"))


def _espeak(voice: str) -> Reader:
    return Reader(f"espeak-ng {voice}", ("espeak-ng", "-v", voice, "-s", "150", "-f", "{text}", "-w", "{wav}"))


# Recorded throats are named twice: they are drawn twice as often as the formant synthesis of espeak-ng.
_RECORDED = [_flite(v) for v in ("awb", "rms", "slt", "kal16")] + [
    _festival(v) for v in ("cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone")
]
READERS = [*_RECORDED, *_RECORDED] + [
    _espeak(f"{accent}+{throat}")
    for accent, throats in (("en-gb", ("m1", "m3", "f2", "f4", "Annie")), ("en-us", ("m2", "m7", "f3", "Andy")))
    for throat in throats
]


def installed(readers: list[Reader]) -> list[Reader]:
    """Returns the readers whose engine is installed.

    Raises:
        DataError: if none is.
    """
    found = [reader for reader in readers if shutil.which(reader.command[0])]
    if not found:
        raise DataError("Readings need a speech engine; install one with: apt install flite festival espeak-ng")
    return found


def make_readings(flac: Path, text: str, count: int) -> None:
    """Writes ``count`` readings of a clip's words beside its sound, at 16 kHz, by readers drawn by chance. Skips those there.

    Raises:
        DataError: if no engine is installed.
    """
    if not text:
        return
    for number in range(1, count + 1):
        path = copy_path(flac, "reading", number)
        if path.exists():
            continue
        readers = installed(READERS)
        random = np.random.default_rng([zlib.crc32(flac.stem.encode()), 1000 + number])
        reader = readers[random.integers(len(readers))]
        recorded = read_audio(flac).at(RATE_HZ).samples
        pitch, formants = np.exp(random.uniform(-0.2, 0.2)), np.exp(random.uniform(-0.08, 0.08))
        write_voice(path, in_time(read_aloud(text, reader), recorded, pitch, formants))


def read_aloud(text: str, reader: Reader) -> NDArray[np.float32]:
    """Lets a reader read a text; returns ``(n,)`` at 16 kHz, with a pause before and after.

    Raises:
        DataError: if the engine fails.
    """
    spoken = run_reader(text, reader, ".\n")[1]
    loud = np.flatnonzero(np.abs(spoken) > 0.02 * np.abs(spoken).max())
    spoken = spoken[loud[0] : loud[-1] + 1] if len(loud) else spoken
    return np.pad(spoken, round(_PAUSE_SECONDS * RATE_HZ))


def run_reader(text: str, reader: Reader, end: str = "\n") -> tuple[bytes, NDArray[np.float32]]:
    """Runs a reader on a text followed by ``end``; returns what it prints, and its sound ``(n,)`` at 16 kHz.

    Raises:
        DataError: if the engine fails.
    """
    with temporary_folder() as folder:
        files = {"text": f"{folder}/text.txt", "wav": f"{folder}/speech.wav"}
        Path(files["text"]).write_text(text + end, "utf-8")
        command = [part.format(**files) for part in reader.command]
        try:
            done = subprocess.run(command, check=True, capture_output=True, timeout=_ENGINE_SECONDS)
            return done.stdout, read_audio(files["wav"]).at(RATE_HZ).samples
        except (OSError, subprocess.SubprocessError, MediaError) as error:
            raise DataError(f"{reader.name} could not read “{text}”: {error}") from error


def in_time(
    reading: NDArray[np.float32], recorded: NDArray[np.float32], pitch: float = 1.0, formants: float = 1.0
) -> NDArray[np.float32]:
    """Gives a reading the timing, level and background noise of a recording of the same words.

    Args:
        reading: float32 ``(n,)`` at 16 kHz.
        recorded: float32 ``(m,)`` at 16 kHz.
        pitch: factor on the reading's fundamental frequency.
        formants: factor on the reading's resonances.

    Returns:
        float32 ``(m,)``.
    """
    at = alignment(reading, recorded)
    times = np.arange(int(len(recorded) / RATE_HZ / WORLD_FRAME_SECONDS) + 1) * WORLD_FRAME_SECONDS
    steps = np.interp(times, np.arange(len(at)) * HOP / RATE_HZ, at * HOP / RATE_HZ)
    spoken = revoice(reading, RATE_HZ, pitch, formants, steps)
    level = np.quantile(np.abs(recorded), 0.95) / max(np.quantile(np.abs(spoken), 0.95), 1e-6)
    random = np.random.default_rng(zlib.crc32(recorded.tobytes()))
    background = np.quantile(np.abs(recorded), 0.1) * random.normal(0, 1, len(recorded))
    out = np.zeros(len(recorded), np.float32)
    out[: len(spoken)] = spoken[: len(out)] * level
    return (out + background).astype(np.float32)


def alignment(reading: NDArray[np.float32], recorded: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns for each 10 ms of the recording the step of the reading that says the same, as smooth real numbers."""
    from dtaidistance import dtw_ndim

    path = np.array(dtw_ndim.warping_path(_features(recorded), _features(reading), use_c=True))
    at = np.bincount(path[:, 0], path[:, 1]) / np.bincount(path[:, 0])  # the mean of each step's partners
    smooth = np.convolve(np.pad(at, _STEADY_STEPS // 2, mode="edge"), np.ones(_STEADY_STEPS) / _STEADY_STEPS, "valid")
    return np.asarray(smooth, np.float64)


def _features(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns features that two voices share: smoothed log-mel bands over a floor, level and slope over time."""
    bands = log_mel(samples).astype(np.float64)
    bands = np.maximum(bands, bands.max() - _RANGE)
    bands = np.stack([part.mean(axis=1) for part in np.array_split(bands, 20, axis=1)], axis=1)
    bands = (bands - bands.mean(axis=0)) / (bands.std(axis=0) + 1e-3)
    slope = np.gradient(bands, axis=0)
    return np.ascontiguousarray(np.concatenate([bands, 2 * slope], axis=1))
