"""Checks whether something covers the mouth of an aligned face: a mask, a hand, a scarf, a microphone, a bar.

It uses a linear classifier on histograms of oriented gradients (Dalal, Triggs 2005), and on the colours of the lower face
compared to those of the bridge of the nose. ``benchmarks/covers.py`` fits it and says how often it is right.
"""

from functools import cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
_LOWER = slice(64, 120), slice(16, 80)  # the rows and columns of the lower face, which the classifier sees
_BRIDGE = slice(52, 64), slice(40, 58)  # the bridge of the nose, whose skin hardly anything covers
_CELLS = 8, 7  # the cells of colour, across and down
_COLOUR = 0.3 / 50  # the weight of a colour's difference, in steps of 8-bit CIELAB, compared to gradients


def is_covered(still: Image) -> bool:
    """Returns whether the mouth of an aligned face, ``(128, 96, 3)``, seems to be covered; it seldom says so of a bare face."""
    return mouth_score(still) < 0


def mouth_score(still: Image) -> float:
    """Returns how much the lower half of an aligned face looks like a face: about 1 if it is bare, -1 if it is covered."""
    weights = _weights()
    return float(features(still) @ weights[:-1] + weights[-1])


def features(still: Image) -> NDArray[np.float32]:
    """Returns the features of an aligned face that the classifier weighs, ``(1848,)``."""
    grey = np.ascontiguousarray(cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)[_LOWER])
    gradients = cv2.HOGDescriptor((64, 56), (16, 16), (8, 8), (8, 8), 9).compute(grey)
    colours = cv2.cvtColor(still, cv2.COLOR_RGB2LAB).astype(np.float32)
    cells = cv2.resize(colours[_LOWER], _CELLS, interpolation=cv2.INTER_AREA)
    beside = (cells - colours[_BRIDGE].mean(axis=(0, 1))) * _COLOUR
    return np.concatenate([np.ravel(np.asarray(gradients)), beside.ravel(), np.abs(beside).ravel()]).astype(np.float32)


@cache
def _weights() -> NDArray[np.float32]:
    """Returns the classifier's weights, ``(1849,)``; the last one is the threshold."""
    with (files("stillspeak") / "weights" / "covers" / "weights.npy").open("rb") as file:
        return np.load(file, allow_pickle=False).astype(np.float32)
