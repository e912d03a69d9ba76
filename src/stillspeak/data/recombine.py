"""Moves a portrait by the mouth and the eyes of a real clip, which gives training new speakers. Ours; for training only.

With few speakers a decoder learns only their mouths. Here lips and chin of any aligned portrait go where those of a clip go, and
its skin is bent along (piecewise linear between landmarks). Where the lips part, the clip's own mouth is put in, in the
portrait's light. The same bending closes a smile with teeth, because the area between the lips shrinks to a line.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from stillspeak.data.expression import move_eyes
from stillspeak.data.landmarks import LOWER_INNER, UPPER_INNER, mouth_interior
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, is_grey

Frames = NDArray[np.uint8]
Points = NDArray[np.float32]
_LIPS, _CHIN = np.arange(48, 68), np.arange(4, 13)
_NOSE_BASE, _CHIN_TIP = 33, 8
_UPPER, _LOWER = np.r_[49:54, UPPER_INNER], np.r_[59:54:-1, LOWER_INNER]  # facing pairs of outer and inner lips
_INNER_UPPER, _INNER_LOWER = np.r_[61, 61, 62, 63, 63, UPPER_INNER], np.r_[67, 67, 66, 65, 65, LOWER_INNER]
_LEAST_SCALE, _MOST_SCALE = 0.75, 1.3
_CHEEKS = slice(70, 110), slice(20, 76)  # the rows and columns where a face's light is measured
_LEAST_AREA = 0.02  # twice the area of the smallest triangle, in square pixels
_FRACTION_BITS = 4
_COLOURS_BLUR_PX = 1.0
_TEETH = 0.9  # the share of its colour that an open mouth loses
_LEFT, _MIDDLE, _RIGHT, _TOP, _HALF, _BOTTOM = -1, WIDTH_PX / 2, WIDTH_PX, -1, HEIGHT_PX / 2, HEIGHT_PX
_ROWS = np.arange(HEIGHT_PX, dtype=np.float32)[:, None, None]
_COLUMNS = np.arange(WIDTH_PX, dtype=np.float32)[None, :, None]
_BORDER = np.array(
    [(x, y) for x in (_LEFT, _RIGHT) for y in (_TOP, _HALF, _BOTTOM)] + [(_MIDDLE, _TOP), (_MIDDLE, _BOTTOM)],
    np.float32,
)


def move_points(own: Points, points: Points, rest: Points, smile: float, expressions: NDArray[np.float32]) -> Points:
    """Moves a portrait's landmarks as a clip moves.

    Args:
        own: the portrait's landmarks, ``(68, 2)``.
        points: the clip's landmarks, ``(n, 68, 2)``.
        rest: the clip's landmarks with the mouth at rest, ``(68, 2)``.
        smile: how much of the shape of the portrait's own mouth stays: 0 nothing, 1 everything but its opening.
        expressions: how far eyes are closed and how high brows are, ``(n, 2)`` (``expression.py``).

    Returns:
        The moved landmarks, ``(n, 68, 2)``.
    """
    heights = [shape[_CHIN_TIP, 1] - shape[_NOSE_BASE, 1] for shape in (own, rest)]
    scale = float(np.clip(heights[0] / max(float(heights[1]), 1.0), _LEAST_SCALE, _MOST_SCALE))
    centre, rest_centre = own[_LIPS].mean(axis=0), rest[_LIPS].mean(axis=0)
    shut = _shut(own)
    offset = (shut[_LIPS] - centre) - scale * (rest[_LIPS] - rest_centre)
    moved = move_eyes(own, expressions)
    moved[:, _LIPS] = centre + scale * (points[:, _LIPS] - rest_centre) + smile * offset
    moved[:, _CHIN] += scale * (points[:, _CHIN] - rest[_CHIN])
    return moved.astype(np.float32)


def _shut(own: Points) -> Points:
    """Returns a portrait's landmarks with its lips brought together half-way between them."""
    shut = own.copy()
    half = (own[_INNER_LOWER] - own[_INNER_UPPER]) / 2
    shut[_UPPER] += half
    shut[_LOWER] -= half
    return shut


def recombine(
    portrait: Frames,
    own: Points,
    frames: Frames,
    points: Points,
    rest: Points,
    smile: float,
    expressions: NDArray[np.float32],
) -> tuple[Frames, Points]:
    """Makes a portrait talk as a clip does.

    Args:
        portrait: an aligned crop, ``(128, 96, 3)``.
        own: its landmarks, ``(68, 2)``.
        frames: the clip's crops, ``(n, 128, 96, 3)``.
        points: their landmarks, ``(n, 68, 2)``.
        rest: the clip's landmarks with the mouth at rest.
        smile, expressions: the arguments of ``move_points``.

    Returns:
        Frames ``(n, 128, 96, 3)`` and their landmarks ``(n, 68, 2)``.
    """
    moved = move_points(own, points, rest, smile, expressions)
    open_parts, grey = mouth_interior(moved), is_grey(portrait)
    out = np.empty_like(frames)
    for made, frame, there, here, part in zip(out, frames, moved, points, open_parts, strict=True):
        mesh = _mesh(there)
        skin = _bend(portrait, mesh, own)
        if part.any():
            share = cv2.GaussianBlur(part.astype(np.float32), (3, 3), 0)
            left, top, width, height = cv2.boundingRect((share > 0).view(np.uint8))
            inside = slice(top, top + height), slice(left, left + width)
            mouth = _in_light_of(portrait, frame, _bend(frame, mesh, here, inside), grey)
            skin[inside] += (mouth - skin[inside]) * share[inside][..., None]
        made[:] = skin.round()
    return out, moved


def coloured(portrait: Frames, own: Points, face: Frames, points: Points) -> Frames:
    """Gives a grey portrait the colours of another face, bent to its shape; a portrait with colours stays as it is.

    Without this, a decoder that sees many grey portraits paints pale lips into photos with colours.

    Args:
        portrait: an aligned crop, ``(128, 96, 3)``.
        own: its landmarks, ``(68, 2)``.
        face: the aligned crop of the other face.
        points: the landmarks of that face.

    Returns:
        The portrait in colour, ``(128, 96, 3)``.
    """
    if not is_grey(portrait):
        return portrait
    bent = _bend(face, _mesh(own), points)
    colours = cv2.cvtColor(cv2.GaussianBlur(bent, (0, 0), _COLOURS_BLUR_PX) / 255, cv2.COLOR_RGB2LAB)
    lab = cv2.cvtColor(portrait.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    strength = np.clip(lab[..., 0] / np.maximum(colours[..., 0], 1), 0, 1)  # dark parts get less colour
    teeth = cv2.GaussianBlur(mouth_interior(own[None])[0].astype(np.float32), (3, 3), 0)
    lab[..., 1:] = colours[..., 1:] * (strength * (1 - _TEETH * teeth))[..., None]
    rgb = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.asarray((rgb * 255).round().clip(0, 255), np.uint8)


class _Mesh(NamedTuple):
    """Holds the triangles between landmarks and the picture's border.

    Attributes:
        triangles: numbers of their corners, ``(n, 3)``.
        corners: x, y, 1 of them, ``(n, 3, 3)``.
        of_pixels: which triangle a pixel lies in, ``(128, 96)``.
    """

    triangles: NDArray[np.int32]
    corners: NDArray[np.float32]
    of_pixels: NDArray[np.int32]


def _mesh(points: Points) -> _Mesh:
    """Makes the triangles of a face.

    Each is drawn as its number, the largest last, because the slope of a thin triangle between closed lids is not reliable.
    """
    places = np.concatenate([points, _BORDER])
    triangles = Delaunay(places).simplices
    corners = np.concatenate([places[triangles], np.ones((len(triangles), 3, 1), np.float32)], axis=2)
    areas = np.abs(np.linalg.det(corners))
    order = np.argsort(areas)[np.sort(areas) > _LEAST_AREA]
    numbers = np.zeros((HEIGHT_PX, WIDTH_PX), np.int32)
    for number, corner in enumerate(np.rint(corners[order, :, :2] * 2**_FRACTION_BITS).astype(np.int32)):
        cv2.fillConvexPoly(numbers, corner, number, shift=_FRACTION_BITS)
    return _Mesh(triangles[order], corners[order], numbers)


def _bend(
    image: Frames, to: _Mesh, come_from: Points, part: tuple[slice, slice] = (slice(None), slice(None))
) -> NDArray[np.float32]:
    """Moves the landmarks of an image, or of some rows and columns of it; between them it moves linearly in each triangle."""
    places = np.concatenate([come_from, _BORDER])
    slopes = np.linalg.solve(to.corners, places[to.triangles])  # x, y, 1 -> where a pixel comes from
    across, down, start = np.moveaxis(slopes[to.of_pixels[part]], 2, 0)
    rows, columns = _ROWS[part[0]], _COLUMNS[:, part[1]]
    source = across * columns + down * rows + start
    bent = cv2.remap(image.astype(np.float32), source[..., 0], source[..., 1], cv2.INTER_LINEAR)
    return np.asarray(bent, np.float32)


def _in_light_of(portrait: Frames, frame: Frames, mouth: NDArray[np.float32], grey: bool) -> NDArray[np.float32]:
    """Returns the mouth of a frame in a portrait's light, and without colour if the portrait is ``grey``."""
    light, own_light = (float(image[_CHEEKS].mean()) for image in (portrait, frame))
    gain = float(np.clip(light / max(own_light, 1.0), 0.5, 2.0))
    lit = np.clip(mouth * gain, 0, 255)
    if grey:
        lit = np.repeat(lit.mean(axis=2, keepdims=True), 3, axis=2)
    return np.asarray(lit, np.float32)
