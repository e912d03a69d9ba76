"""Measures the quality of reconstruction by PSNR and SSIM. Paper, section 4.2; architecture.md, metrics, defines them.

Frames are uint8 ``(time, height, width, 3)``. PSNR is in colour, with one figure for a video. SSIM is in colour, with plain
7 x 7 windows and data range 255; it is the mean over windows, channels and frames (Wang, Bovik, Sheikh, Simoncelli 2004).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
_WINDOW = 7
_K1, _K2, _RANGE = 0.01, 0.03, 255.0


def psnr(made: Frames, real: Frames) -> float:
    """Returns PSNR in decibels, from the squared error over all frames of a video; infinite for equal videos."""
    error = float(np.mean((made.astype(np.float64) - real) ** 2))
    return float("inf") if error == 0 else 10 * float(np.log10(_RANGE**2 / error))


def ssim(made: Frames, real: Frames) -> float:
    """Returns the structural similarity, as a mean over frames."""
    return float(np.mean([_ssim_frame(a, b) for a, b in zip(made, real, strict=True)]))


def _ssim_frame(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.blur(values, (_WINDOW, _WINDOW)), np.float64)

    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = unbiased * (mean(x * x) - mean_x**2), unbiased * (mean(y * y) - mean_y**2)
    covariance = unbiased * (mean(x * y) - mean_x * mean_y)
    c1, c2 = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    edge = _WINDOW // 2
    return float(similarity[edge:-edge, edge:-edge].mean())
