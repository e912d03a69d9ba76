"""Shuts the mouth of a filmed face: puts the lower face of a frame in which it is shut over that of another frame. Ours.

A filmed face already says something. If the model drew on it as it is, the filmed words would show through. So the lower face of
every frame comes from a still of the same shot, aligned by eyes and nose, in the light of the frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, align
from stillspeak.runtime.ramp import ramp

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
# The patch that is replaced, in crop pixels: an ellipse around mouth and chin. Beside it lie cheeks and ears, above it the nose.
_CENTRE, _AXES = (49.0, 101.0), (33.0, 29.0)
_FULL = 0.72  # up to this share of the way to its outline the patch is the still's alone
_BELOW_NOSE = (79.0, 86.0)  # rows: at the first nothing is replaced, at the second all
_LIGHT_PX = (4.0, 9.0, 20.0)  # how far the light at the patch's rim reaches into it: near, further, far
_OTHER_THINGS = 25.0  # of 255: pixels that differ by more show different things
_SPEAKS = (58.0, 76.0)  # rows: above the first the model changes nothing, below the second all that it wants


@dataclass(frozen=True)
class View:
    """Holds the part of a frame around a face.

    Attributes:
        pixels: RGB, uint8 ``(height, width, 3)``.
        to_crop: takes pixels of the part to those of the aligned face, ``(2, 3)``.
    """

    pixels: Image
    to_crop: NDArray[np.float64]


def view_of(picture: Image, to_crop: NDArray[np.float64]) -> tuple[View, tuple[slice, slice]]:
    """Cuts the part of a frame out that holds a face with all that may change in it; returns it with its rows and columns.

    The part is a copy. It is empty if the face lies outside the frame.
    """
    corners = np.array([(x, y) for x in (-6.0, WIDTH_PX + 6.0) for y in (-3.0, HEIGHT_PX + 8.0)])
    points = (corners - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T
    height, width = picture.shape[:2]
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, (width, height))
    place = slice(int(top), int(bottom)), slice(int(left), int(right))
    moved = to_crop @ np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    return View(picture[place].copy(), moved), place


def shut(view: View, stills: Sequence[tuple[View, float]], patch: Float) -> Image:
    """Returns the pixels of a view with the lower face of one still, or of a mixture.

    Args:
        view: the frame's.
        stills: frames of the same person with the mouth shut, and how much of each is taken; the shares sum to 1.
        patch: how much of each pixel of the aligned face is replaced, ``(128, 96)``.
    """
    size = view.pixels.shape[1], view.pixels.shape[0]
    there = np.zeros(view.pixels.shape, np.float32)
    crop = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.float32)
    for still, share in stills:
        to_still = np.linalg.inv(_square(still.to_crop)) @ _square(view.to_crop)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(still.pixels, to_still[:2], size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        there += np.float32(share) * warped
        crop += np.float32(share) * align(still.pixels, still.to_crop)
    fields = np.dstack([_light(align(view.pixels, view.to_crop), crop, patch), patch])
    spread = cv2.warpAffine(fields, view.to_crop, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    made = view.pixels + spread[..., 3:] * (there + spread[..., :3] - view.pixels)
    return np.asarray(np.clip(np.rint(made), 0, 255), np.uint8)


def _square(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])


def _light(frame: Image, still: Float, patch: Float) -> Float:
    """Returns what must be added to the still inside the patch, ``(128, 96, 3)``, so that its rim meets the frame's light.

    The difference of frame and still around the patch is spread into it. Where they differ much, they show different things, such
    as a hand, or the wall beside a head that turned; such pixels say little about the light.
    """
    difference = frame - still
    known = np.where(patch > 0.02, 0, 1) * _face()  # noqa: PLR2004 - hardly replaced
    middle = np.median(difference[known > 0], axis=0)
    apart = np.abs(difference - middle).max(axis=2) / _OTHER_THINGS
    known = (known * np.exp(-(apart**2))).astype(np.float32)
    spread = np.broadcast_to(middle, difference.shape).astype(np.float32)
    for reach in _LIGHT_PX[::-1]:
        weights = cv2.GaussianBlur(known, (0, 0), reach)
        values = cv2.GaussianBlur(difference * known[..., None], (0, 0), reach)
        share = np.clip(8 * weights, 0, 1)[..., None]
        spread += share * (values / np.maximum(weights, 1e-4)[..., None] - spread)
    return np.asarray(cv2.GaussianBlur(spread, (0, 0), 2.0), np.float32)


def _face() -> Float:
    """Returns a mask of the skin around the patch, ``(128, 96)``: cheeks and nose, not what lies beside the face."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    inside = np.hypot((columns - 48.5) / 38, (rows - 80) / 44) < 1
    return (inside & (rows > 58)).astype(np.float32)  # noqa: PLR2004 - below the eyes


def patch_weight() -> Float:
    """Returns how much of each pixel of an aligned face ``shut`` replaces, ``(128, 96)``."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    distance = np.hypot((columns - _CENTRE[0]) / _AXES[0], (rows - _CENTRE[1]) / _AXES[1])
    return (1 - ramp(distance, _FULL, 1.0)) * ramp(rows, *_BELOW_NOSE)


def speaking_weight() -> Float:
    """Returns which pixels of an aligned face the model may change, ``(128, 96)``: not those of eyes and brows."""
    rows = np.repeat(np.arange(HEIGHT_PX, dtype=np.float32)[:, None], WIDTH_PX, axis=1)
    return ramp(rows, *_SPEAKS)
