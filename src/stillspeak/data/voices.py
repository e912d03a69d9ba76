"""Gives a clip's sound other voices in the same timing: analyses it with WORLD, and synthesises it with other pitch and formants.

Ours: with few speakers, an audio encoder learns only their voices. WORLD keeps the timing, so the mouth's labels stay true.
Source: Morise, Yokomori, Ozawa 2016, through the package pyworld.
"""

import io
import itertools
import zlib
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stillspeak.media.audio import read_audio
from stillspeak.whole import whole

WORLD_FRAME_SECONDS = 0.005
RATE_HZ = 16_000  # ours: the sample rate of the default model


def copy_path(flac: Path, kind: str, number: int) -> Path:
    """Returns the path of copy ``number`` of a clip's sound by another voice; ``kind`` is voice or reading."""
    return flac.with_suffix(f".{kind}{number}.flac")


def with_copies(flac: Path) -> list[Path]:
    """Returns the paths of a sound and of all its copies by other voices, each kind numbered from 1 without a gap."""
    sounds = [flac]
    for kind in ("reading", "voice"):
        numbered = (copy_path(flac, kind, number) for number in itertools.count(1))
        sounds += itertools.takewhile(Path.exists, numbered)
    return sounds


def make_voices(flac: Path, count: int) -> None:
    """Writes ``count`` revoiced copies beside a clip's sound, at 16 kHz, the same ones every time. Skips those that exist."""
    for number in range(1, count + 1):
        path = copy_path(flac, "voice", number)
        if path.exists():
            continue
        random = np.random.default_rng([zlib.crc32(flac.stem.encode()), number])
        throat = random.uniform(-1, 1)  # a shorter vocal tract mostly goes with a higher voice
        pitch = 1.2 * 2 ** (0.55 * throat + random.uniform(-0.3, 0.3))
        formants = 1.03 * 2 ** (0.18 * throat + random.uniform(-0.08, 0.08))
        sound = read_audio(flac).at(RATE_HZ)
        write_voice(path, revoice(sound.samples, RATE_HZ, pitch, formants))


def write_voice(path: Path, samples: NDArray[np.float32]) -> None:
    """Writes a copy of a clip's sound at 16 kHz, whole or not at all."""
    with whole(path) as part:
        part.write_bytes(flac(samples, RATE_HZ))


def flac(samples: NDArray[np.float32], rate_hz: int) -> bytes:
    """Returns the bytes of a FLAC file of samples ``(n,)``; soundfile itself refuses file names that are no text."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), rate_hz, subtype="PCM_16", format="FLAC")
    return file.getvalue()


def revoice(
    samples: NDArray[np.float32],
    rate_hz: int,
    pitch: float,
    formants: float,
    times: NDArray[np.float64] | None = None,
) -> NDArray[np.float32]:
    """Makes speech sound as from another person, and gives it another timing if ``times`` are given.

    Args:
        samples: float32 ``(n,)``.
        rate_hz: samples a second.
        pitch: the factor on the fundamental frequency.
        formants: the factor on the resonances' frequencies; above 1 is a shorter vocal tract.
        times: for each 5 ms of the result, the second of ``samples`` that it says; None keeps the timing.

    Returns:
        float32 ``(n,)`` with the same words at the same times; with ``times``, 5 ms for each of them.
    """
    import pyworld  # warns about pkg_resources when imported, so only this function imports it

    wave = samples.astype(np.float64)
    period_ms = 1000 * WORLD_FRAME_SECONDS
    rough, centres = pyworld.dio(wave, rate_hz, frame_period=period_ms)
    f0 = pyworld.stonemask(wave, rough, centres, rate_hz)
    envelope = pyworld.cheaptrick(wave, f0, centres, rate_hz)
    breath = pyworld.d4c(wave, f0, centres, rate_hz)
    if times is not None:
        said = (times / WORLD_FRAME_SECONDS).round().astype(int).clip(0, len(f0) - 1)
        f0, envelope, breath = f0[said], envelope[said], np.ascontiguousarray(breath[said])
    warped = _with_formants(envelope, formants)
    voiced = pyworld.synthesize(f0 * pitch, np.ascontiguousarray(warped), breath, rate_hz, period_ms)
    if times is not None:
        return voiced.astype(np.float32)
    out = np.zeros(len(samples), np.float32)
    length = min(len(samples), len(voiced))
    out[:length] = voiced[:length]
    return out


def _with_formants(envelope: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Moves the resonances of a spectral envelope ``(time, bins)`` to ``factor`` times their frequencies."""
    bins = np.arange(envelope.shape[1])
    source = np.minimum(bins / factor, bins[-1])
    low = source.astype(int)
    high, share = np.minimum(low + 1, bins[-1]), source - low
    return np.exp((1 - share) * np.log(envelope[:, low]) + share * np.log(envelope[:, high]))
