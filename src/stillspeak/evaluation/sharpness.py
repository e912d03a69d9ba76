"""Measures sharpness without a reference, by CPBD and FDBM. Paper, section 4.2; architecture.md, metrics, defines them.

CPBD: Narvekar and Karam 2011, "A no-reference image blur metric based on the cumulative probability of blur detection";
edge widths after Marziliano et al. 2002. FDBM: De and Masilamani 2013. Both on grey pictures (luma, BT.601).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
Grey = NDArray[np.float64]  # (time, height, width)

_BLOCK_PX = 64
_EDGE_BLOCK_SHARE = 0.002  # a block counts when more of its pixels than this are edges
_CONTRAST = 50.0
_JUST_NOTICEABLE_PX = (5.0, 3.0)  # edge widths at low and at high contrast
_BETA = 3.6
_NOTICEABLE = 0.63  # chance of seeing blur at the just noticeable width


def grey(frames: Frames) -> Grey:
    """Returns the luma of uint8 RGB ``(time, height, width, 3)`` as float64 ``(time, height, width)``, 0-255."""
    return np.stack([cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in frames]).astype(float)


def cpbd(frames: Frames) -> float:
    """Returns the cumulative probability of blur detection, 0-1: the mean over frames of the share of edges seen as sharp."""
    return float(np.mean([_cpbd_frame(frame) for frame in grey(frames)]))


def fdbm(frames: Frames) -> float:
    """Returns the frequency domain blurriness measure: the mean over frames of the share of strong frequencies."""
    spectrum = np.abs(np.fft.fft2(grey(frames)))
    strongest = spectrum.max(axis=(1, 2), keepdims=True)
    return float((spectrum > strongest / 1000).mean())


def _cpbd_frame(image: Grey) -> float:
    """Computes CPBD over whole 64 x 64 blocks, as published; a picture without edges has 0."""
    widths = edge_widths(image)
    edges = _canny(image)
    probabilities = []
    for top in range(0, image.shape[0] - _BLOCK_PX + 1, _BLOCK_PX):
        for left in range(0, image.shape[1] - _BLOCK_PX + 1, _BLOCK_PX):
            block = slice(top, top + _BLOCK_PX), slice(left, left + _BLOCK_PX)
            if edges[block].mean() <= _EDGE_BLOCK_SHARE:
                continue
            noticeable = _JUST_NOTICEABLE_PX[int(np.ptp(image[block]) > _CONTRAST)]
            found = widths[block][widths[block] > 0]
            probabilities.append(1 - np.exp(-((found / noticeable) ** _BETA)))
    if not probabilities or not sum(map(len, probabilities)):
        return 0.0
    return float((np.concatenate(probabilities).round(2) <= _NOTICEABLE).mean())


def edge_widths(image: Grey) -> Grey:
    """Returns the width in pixels of every vertical edge, and 0 elsewhere; ``(height, width)`` in and out.

    An edge's width is the distance between the two extrema along its row that enclose it (Marziliano et al. 2002).
    """
    down, across = np.gradient(image)
    angle = np.rad2deg(np.arctan2(down, across))
    level = (np.abs(angle) <= 22.5) | (np.abs(angle) >= 157.5)  # noqa: PLR2004 - rounds to 0 or 180 in steps of 45
    rising = np.where(across < 0, -1.0, 1.0)
    left = _monotone_run(image, rising)
    right = _monotone_run(image[:, ::-1], -rising[:, ::-1])[:, ::-1]
    inner = np.zeros(image.shape, bool)
    inner[1:-1, 1:-1] = True
    return np.where(_vertical_edges(image) & level & inner, left + right, 0.0)


def _vertical_edges(image: Grey) -> NDArray[np.bool_]:
    """Finds Sobel edges, thinned to local maxima along the row or the column.

    It compares the squared gradient with twice the root of its mean, as the published measure does. A stricter threshold, which
    would keep only strong edges, moves the figure of a GRID crop from 0.28 to 0.15.
    """
    across = cv2.Sobel(image, cv2.CV_64F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
    strength = across**2
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    padded = np.pad(strength, 1)
    along_row = (strength > padded[1:-1, :-2]) & (strength > padded[1:-1, 2:])
    along_column = (strength > padded[:-2, 1:-1]) & (strength > padded[2:, 1:-1])
    return along_row | along_column


def _monotone_run(image: Grey, rising: Grey) -> Grey:
    """Counts the pixels to the left of each pixel up to the end of its edge: down where ``rising`` is 1, up where it is -1.

    The first neighbour always belongs to the edge.
    """
    runs = {}
    for sign in (1.0, -1.0):
        falls = sign * np.diff(image, axis=1) > 0  # falls[:, x]: pixel x is lower than its right neighbour
        run = np.zeros(image.shape)
        for x in range(1, image.shape[1]):
            run[:, x] = np.where(falls[:, x - 1], run[:, x - 1] + 1, 0)
        runs[sign] = np.pad(run[:, :-1], ((0, 0), (1, 0))) + 1  # counted from the neighbour
    return np.where(rising > 0, runs[1.0], runs[-1.0])


def _canny(image: Grey) -> NDArray[np.bool_]:
    """Finds edges by Canny's detector, with thresholds from the picture: 70 % of the gradients are below the upper one."""
    smooth = cv2.GaussianBlur(image, (0, 0), 2**0.5)
    across, down = (cv2.Sobel(smooth, cv2.CV_64F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    high = max(float(np.quantile(np.abs(across) + np.abs(down), 0.7)), 1.0)
    pixels = np.asarray(smooth.round(), np.uint8)
    return np.asarray(cv2.Canny(pixels, 0.4 * high, high), bool)
