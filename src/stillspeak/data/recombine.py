"""New talking identities: a portrait moved by the mouth of a real clip. Ours; for training only.

With few speakers a decoder learns their mouths. Here lips and chin of any aligned portrait go where those of a clip go, its
skin is bent along (piecewise linear between landmarks), and where the lips part the clip's own mouth is put in, in the
portrait's light. A smile with teeth is closed by the same bending: what lies between the lips shrinks to a line.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from stillspeak.data.landmarks import LOWER_INNER, UPPER_INNER, mouth_interior
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]
_LIPS, _CHIN = np.arange(48, 68), np.arange(4, 13)
_NOSE_BASE, _CHIN_TIP = 33, 8
_UPPER, _LOWER = np.r_[49:54, UPPER_INNER], np.r_[59:54:-1, LOWER_INNER]  # facing pairs of outer and inner lips
_INNER_UPPER, _INNER_LOWER = np.r_[61, 61, 62, 63, 63, UPPER_INNER], np.r_[67, 67, 66, 65, 65, LOWER_INNER]
_LEAST_SCALE, _MOST_SCALE = 0.75, 1.3
_CHEEKS = slice(70, 110), slice(20, 76)  # where a face's light is measured, rows and columns
_GREY_SPREAD = 3.0  # between the channels, of 255: a photo without colour
_LEFT, _MIDDLE, _RIGHT, _TOP, _HALF, _BOTTOM = -1, WIDTH_PX / 2, WIDTH_PX, -1, HEIGHT_PX / 2, HEIGHT_PX
_BORDER = np.array(
    [(x, y) for x in (_LEFT, _RIGHT) for y in (_TOP, _HALF, _BOTTOM)] + [(_MIDDLE, _TOP), (_MIDDLE, _BOTTOM)],
    np.float32,
)


def move_points(own: Points, points: Points, rest: Points, smile: float) -> Points:
    """Where a portrait's landmarks go.

    Args:
        own: the portrait's landmarks, ``(68, 2)``.
        points: the clip's, ``(n, 68, 2)``.
        rest: the clip's with the mouth at rest, ``(68, 2)``.
        smile: how much of the portrait's own mouth's shape stays: 0 none, 1 all of it but its opening.

    Returns:
        ``(n, 68, 2)``.
    """
    heights = [shape[_CHIN_TIP, 1] - shape[_NOSE_BASE, 1] for shape in (own, rest)]
    scale = float(np.clip(heights[0] / max(float(heights[1]), 1.0), _LEAST_SCALE, _MOST_SCALE))
    centre, rest_centre = own[_LIPS].mean(axis=0), rest[_LIPS].mean(axis=0)
    shut = _shut(own)
    offset = (shut[_LIPS] - centre) - scale * (rest[_LIPS] - rest_centre)
    moved = np.repeat(own[None], len(points), axis=0)
    moved[:, _LIPS] = centre + scale * (points[:, _LIPS] - rest_centre) + smile * offset
    moved[:, _CHIN] += scale * (points[:, _CHIN] - rest[_CHIN])
    return moved.astype(np.float32)


def _shut(own: Points) -> Points:
    """A portrait's landmarks with the lips brought together half-way between them."""
    shut = own.copy()
    half = (own[_INNER_LOWER] - own[_INNER_UPPER]) / 2
    shut[_UPPER] += half
    shut[_LOWER] -= half
    return shut


def recombine(
    portrait: Frames, own: Points, frames: Frames, points: Points, rest: Points, smile: float
) -> tuple[Frames, Points]:
    """A portrait that talks as a clip does.

    Args:
        portrait: an aligned crop, ``(128, 96, 3)``.
        own: its landmarks, ``(68, 2)``.
        frames: the clip's crops, ``(n, 128, 96, 3)``.
        points: their landmarks, ``(n, 68, 2)``.
        rest: the clip's landmarks with the mouth at rest.
        smile: as for ``move_points``.

    Returns:
        Frames ``(n, 128, 96, 3)`` and their landmarks ``(n, 68, 2)``.
    """
    moved = move_points(own, points, rest, smile)
    open_parts = mouth_interior(moved)
    out = np.empty_like(frames)
    for made, frame, there, here, part in zip(out, frames, moved, points, open_parts, strict=True):
        skin = _bend(portrait, np.concatenate([there, _BORDER]), np.concatenate([own, _BORDER]))
        taken = _bend(frame, np.concatenate([there, _BORDER]), np.concatenate([here, _BORDER]))
        mouth = _in_light_of(portrait, frame, taken)
        share = cv2.GaussianBlur(part.astype(np.float32), (3, 3), 0)[..., None]
        made[:] = (skin * (1 - share) + mouth * share).round()
    return out, moved


def _bend(image: Frames, to: Points, come_from: Points) -> NDArray[np.float32]:
    """The image with its points moved, linear in the triangles between; beyond all points black."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    source = LinearNDInterpolator(to, come_from, fill_value=-2.0)(x, y).astype(np.float32)
    bent = cv2.remap(image.astype(np.float32), source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    return np.asarray(bent, np.float32)


def _in_light_of(portrait: Frames, frame: Frames, mouth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mouth of a frame in a portrait's light, and without colour in a grey one."""
    light, own_light = (float(image[_CHEEKS].mean()) for image in (portrait, frame))
    gain = float(np.clip(light / max(own_light, 1.0), 0.5, 2.0))
    lit = np.clip(mouth * gain, 0, 255)
    if np.ptp(portrait.astype(np.float32), axis=2).mean() < _GREY_SPREAD:
        lit = np.repeat(lit.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(lit, np.float32)
