"""CPBD and FDBM: known edges, known frequencies, and less of both in a blurred picture."""

import cv2
import numpy as np
import pytest

from stillspeak.evaluation.sharpness import cpbd, edge_widths, fdbm


def bars(width: int) -> np.ndarray:
    """A picture of one vertical edge, ``width`` pixels from dark to light in half a cosine."""
    along = np.clip((np.arange(96) - 30) / width, 0, 1)
    row = 120 - 100 * np.cos(np.pi * along)
    return np.repeat(row[None], 128, 0)


def video(image: np.ndarray) -> np.ndarray:
    return np.repeat(image.round().astype(np.uint8)[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize("width", [2, 4, 6, 9])
def test_the_width_of_a_ramp_is_measured(width: int):
    found = edge_widths(bars(width))[20:-20]
    assert found.max() == pytest.approx(width, abs=1)  # an edge is at least a pixel to each side
    assert (found > 0).any(axis=1).all()


def test_a_sharp_edge_is_sharp_and_a_wide_one_is_not():
    assert cpbd(video(bars(2))) == 1.0
    assert cpbd(video(bars(9))) == 0.0
    assert cpbd(video(np.full((128, 96), 90.0))) == 0.0


def test_fdbm_counts_strong_frequencies():
    x = np.arange(96)
    wave = np.repeat((128 + 100 * np.cos(2 * np.pi * 8 * x / 96))[None], 128, 0)
    assert fdbm(video(wave)) == pytest.approx(3 / (96 * 128), abs=12 / (96 * 128))  # the mean and one frequency, twice


def test_blur_lowers_both(astronaut: np.ndarray):
    face = cv2.resize(astronaut[40:240, 140:290], (96, 128), interpolation=cv2.INTER_AREA)
    soft = np.asarray(cv2.GaussianBlur(face, (0, 0), 1.2))
    assert cpbd(soft[None]) < 0.6 * cpbd(face[None])
    assert fdbm(soft[None]) < 0.8 * fdbm(face[None])


@pytest.mark.corpus
def test_real_grid_crops_lie_where_the_papers_do(corpus, prepared_real):
    """The paper's ground truth has CPBD 0.281 and FDBM 0.121 over its ten test speakers."""
    crops = [
        prepared_real(next((corpus / "grid" / speaker).iterdir()))[::15] for speaker in ("s3", "s10", "s22", "s32")
    ]
    assert np.mean([cpbd(c) for c in crops]) == pytest.approx(0.281, abs=0.06)
    assert np.mean([fdbm(c) for c in crops]) == pytest.approx(0.121, abs=0.015)
