"""Computes the log-mel spectrum of sound, which the sync scorer hears, and its bands, which our Context Encoder hears.

The mel scale is that of O'Shaughnessy 1987 (HTK's formula).
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
BANDS = 40
HOP = 160  # 10 ms
WINDOW_STEPS = 20  # the sync scorer hears so many steps at once: 0.2 s
_WINDOW = 400  # 25 ms
_FFT = 512
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7600.0
_HIGHEST_SHARE = 0.475  # at low rates the bands end at this share of the rate
_FAINTEST = 1e-6


@cache
def mel_filters(bands: int, fft: int, rate_hz: int) -> NDArray[np.float32]:
    """Returns triangular bands, evenly spaced in mel from 80 to 7,600 Hz (less at low rates): ``(bands, fft // 2 + 1)``."""

    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    highest = min(_HIGHEST_HZ, _HIGHEST_SHARE * rate_hz)
    edges = 700 * (10 ** (np.linspace(mel(_LOWEST_HZ), mel(highest), bands + 2) / 2595) - 1)
    hertz = np.fft.rfftfreq(fft, 1 / rate_hz)
    rising = (hertz[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz[None]) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Computes the log-mel spectrum at 100 steps a second, and subtracts from each band its mean over the clip.

    Args:
        samples: float32 ``(n,)`` at ``RATE_HZ``.

    Returns:
        ``(steps, BANDS)``; step k is centred on sample ``k * HOP``.
    """
    steps = max(1, -(-len(samples) // HOP))
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][:steps]
    power = np.abs(np.fft.rfft(pieces * np.hanning(_WINDOW), _FFT)) ** 2
    level = np.log(power @ mel_filters(BANDS, _FFT, RATE_HZ).T + _FAINTEST)
    return (level - level.mean(axis=0)).astype(np.float32)
