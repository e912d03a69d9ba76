"""Other voices saying the same at the same time: WORLD analysis and synthesis with shifted pitch and formants.

Ours: with few speakers, a sound encoder learns one throat. WORLD keeps the timing, so the mouth's labels stay true.
Source: Morise, Yokomori, Ozawa 2016, through the package pyworld.
"""

import zlib
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stillspeak.media.audio import read_audio

_FRAME_MS = 5.0
_RATE_HZ = 16_000  # ours: what the default model hears


def voice_path(flac: Path, number: int) -> Path:
    """Where the revoiced copy ``number`` of a clip's sound lies."""
    return flac.with_suffix(f".voice{number}.flac")


def make_voices(flac: Path, count: int) -> None:
    """Writes ``count`` revoiced copies beside a clip's sound, at 16 kHz; the same ones every time. Skips those there."""
    for number in range(1, count + 1):
        path = voice_path(flac, number)
        if path.exists():
            continue
        random = np.random.default_rng([zlib.crc32(flac.stem.encode()), number])
        throat = random.uniform(-1, 1)  # a shorter throat mostly goes with a higher voice
        pitch = 1.2 * 2 ** (0.55 * throat + random.uniform(-0.3, 0.3))
        formants = 1.03 * 2 ** (0.18 * throat + random.uniform(-0.08, 0.08))
        sound = read_audio(flac).at(_RATE_HZ)
        part = path.with_name(f".{path.stem}.part.flac")
        samples = revoice(sound.samples, _RATE_HZ, pitch, formants)
        soundfile.write(part, np.clip(samples, -1, 1), _RATE_HZ, subtype="PCM_16")
        part.replace(path)


def revoice(samples: NDArray[np.float32], rate_hz: int, pitch: float, formants: float) -> NDArray[np.float32]:
    """The same speech from another throat.

    Args:
        samples: float32 ``(n,)``.
        rate_hz: samples a second.
        pitch: factor on the fundamental frequency.
        formants: factor on the resonances' frequencies; above 1 is a shorter vocal tract.

    Returns:
        float32 ``(n,)``, time for time the same words.
    """
    import pyworld  # warns about pkg_resources when imported: only where it is used

    wave = samples.astype(np.float64)
    rough, times = pyworld.dio(wave, rate_hz, frame_period=_FRAME_MS)
    f0 = pyworld.stonemask(wave, rough, times, rate_hz)
    envelope = pyworld.cheaptrick(wave, f0, times, rate_hz)
    breath = pyworld.d4c(wave, f0, times, rate_hz)
    bins = np.arange(envelope.shape[1])
    source = np.minimum(bins / formants, bins[-1])
    low = source.astype(int)
    high, share = np.minimum(low + 1, bins[-1]), source - low
    warped = np.exp((1 - share) * np.log(envelope[:, low]) + share * np.log(envelope[:, high]))
    voiced = pyworld.synthesize(f0 * pitch, np.ascontiguousarray(warped), breath, rate_hz, _FRAME_MS)
    out = np.zeros(len(samples), np.float32)
    length = min(len(samples), len(voiced))
    out[:length] = voiced[:length]
    return out
