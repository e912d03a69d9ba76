"""PSNR by hand, SSIM against scikit-image's."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from stillspeak.evaluation.quality import psnr, ssim


def test_psnr_is_one_figure_of_all_frames_together():
    real = np.full((2, 8, 8, 3), 100, np.uint8)
    made = real.copy()
    made[0] += 10  # squared error 100 in half of the video
    assert psnr(made, real) == pytest.approx(10 * np.log10(255**2 / 50))
    assert psnr(real, real) == float("inf")


def test_ssim_is_scikit_images():
    rng = np.random.default_rng(0)
    real = rng.integers(0, 255, (3, 40, 30, 3), dtype=np.uint8)
    made = np.clip(real + rng.normal(0, 25, real.shape), 0, 255).astype(np.uint8)
    expected = np.mean(
        [structural_similarity(a, b, channel_axis=2, data_range=255) for a, b in zip(made, real, strict=True)]
    )
    assert ssim(made, real) == pytest.approx(expected, abs=1e-6)
    assert ssim(real, real) == pytest.approx(1.0)
