"""Draws a sitter's frame: the photo on the moved head, the net behind it, and the mouth between the lips.

At rest every vertex lies where it took its colour from, so the picture is the photo.
"""

from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.head import Head
from stillspeak.data.performers.lids import BLINKS, Lids, lids
from stillspeak.data.performers.mouth import Inside, Light, Look, inside, light_of, normals, placed
from stillspeak.data.performers.raster import Drawn, draw
from stillspeak.data.performers.seams import Seams, closed, seams
from stillspeak.data.performers.sitter import CANVAS_SIZE, MARGIN_PX, SMOOTH, Sitter

_BEHIND = 1e6  # the net loses so much nearness, so that the face is always in front of it
_INNER_LIP = 0.10  # ours, of the outer-eye distance: light fades so fast on what turns inwards
_INNER_SHADE = 0.85  # ours: the lips' inner side loses this share of its light
_DEEP = np.array([0.24, 0.10, 0.09], np.float32)  # ours: the share of the gums' colour that stays without light
_WARM = np.array([0.75, 1.05, 1.15], np.float32)  # ours: light that comes from red walls fades less
_SHADOW = 0.05  # ours, of the outer-eye distance: width of the lips' shadow in the mouth


class Stage(NamedTuple):
    """Holds the person who is drawn, and the light.

    Attributes:
        sitter: the person.
        points: the person's vertices at rest, with this mouth, float32 ``(21451, 3)``.
        seams, lids: where the skin comes from when lips part and eyes shut.
        lit: how much light reaches each vertex of the skin when the lips are apart, float32 ``(21451,)``.
        facing: where each vertex faces at rest, float32 ``(21451, 3)``.
        inside, look, light: the inside, the look and the light of the mouth.
    """

    sitter: Sitter
    points: NDArray[np.float32]
    seams: Seams
    lids: Lids
    lit: NDArray[np.float32]
    facing: NDArray[np.float32]
    inside: Inside
    look: Look
    light: Light


def stage_of(head: Head, sitter: Sitter, look: Look) -> Stage:
    """Gives a sitter a mouth of this look."""
    light = light_of(sitter)
    sitter = replace(sitter, points=closed(head, sitter), moves=sitter.moves.copy())
    eyes = lids(sitter)
    for name, move in zip(BLINKS, eyes.moves, strict=True):
        sitter.moves[sitter.names.index(name)] = move
    mouth = inside(head, look)
    points, edges = placed(sitter, mouth, look), seams(head, sitter)
    lit = 1 - edges.mouth * (1 - np.exp(-sitter.hidden / (_INNER_LIP * sitter.unit)))
    return Stage(sitter, points, edges, eyes, lit, normals(points, mouth.triangles), mouth, look, light)


def frame(
    stage: Stage, points: NDArray[np.float32], ground: NDArray[np.float32], apart: float, shut: float
) -> NDArray[np.uint8]:
    """Draws one frame.

    Args:
        stage: the person and the light.
        points: the vertices of the head in this frame, ``(21451, 3)``, on the canvas.
        ground: the vertices of the net in this frame, ``(n, 3)``.
        apart: how far the lips are parted, 0 to 1, and so how much of the mouth's inside is shown.
        shut: how far the lids have come, 0 to 1.

    Returns:
        The frame, uint8 ``(384, 288, 3)``.
    """
    sitter, (height, width) = stage.sitter, CANVAS_SIZE
    taken = stage.seams.taken(stage.points[:, :2], apart)
    taken[:, 1] += shut * stage.lids.taken
    lit = 1 - apart * (1 - stage.lit)
    behind = draw(ground - [0, 0, _BEHIND], sitter.ground.triangles, sitter.ground.points[:, :2], height, width)
    skin = draw(points, sitter.skin, np.column_stack([taken, lit]), height, width)
    places = np.where(skin.covered[..., None], skin.values[..., :2], behind.values)
    picture = _from_texture(sitter, places)
    if apart > 0:
        _put_mouth(stage, points, skin, picture, apart)
    small = cv2.resize(picture, (width // SMOOTH, height // SMOOTH), interpolation=cv2.INTER_AREA)
    return np.asarray(small.round().clip(0, 255), np.uint8)


def _from_texture(sitter: Sitter, places: NDArray[np.float32]) -> NDArray[np.float32]:
    places = places + np.float32(MARGIN_PX)
    seen = cv2.remap(sitter.texture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return seen.astype(np.float32)


def _put_mouth(
    stage: Stage, points: NDArray[np.float32], skin: Drawn, picture: NDArray[np.float32], apart: float
) -> None:
    """Draws the mouth's inside between the lips into the picture."""
    top, bottom, left, right = stage.seams.window(points)
    part = slice(top, bottom), slice(left, right)
    moved = points - np.array([left, top, 0], np.float32)
    inside, size = stage.inside, (bottom - top, right - left)
    attributes = np.column_stack([inside.colours, stage.facing, inside.depth, inside.wet])
    mouth = draw(moved, inside.triangles, attributes, *size)
    hole = (mouth.nearness > skin.nearness[part]) | ~skin.covered[part]
    hole &= _between_lips(stage, moved, size)
    fill = hole[..., None].astype(np.float32)
    deep = np.array(stage.look.gum, np.float32) * _DEEP * stage.light.white
    colours = np.where(mouth.covered[..., None], np.maximum(_lit(stage, mouth), deep), deep)
    skin_here = 1 - fill[..., 0]
    wide = _SHADOW * stage.sitter.unit
    around = cv2.GaussianBlur(skin_here, (0, 0), wide)
    above = cv2.GaussianBlur(np.roll(skin_here, int(0.6 * wide), axis=0), (0, 0), 0.6 * wide)
    shadow = 1 - stage.look.shade * (0.5 * around + 0.5 * above).clip(0, 1)
    colours = colours * shadow[..., None].astype(np.float32)
    colours = _softened(stage.sitter, colours, fill)
    fill = cv2.GaussianBlur(fill, (0, 0), max(0.8, 0.6 / stage.sitter.pixels))[..., None] * apart
    lit = np.where(skin.covered[part], skin.values[part][..., 2], 1)[..., None]
    shaded = picture[part] * (1 - _INNER_SHADE * (1 - lit))
    picture[part] = shaded + (colours - shaded) * fill


def _between_lips(stage: Stage, points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns which pixels the outer lips enclose, ``(height, width)``."""
    mask = np.zeros(size, np.uint8)
    hull = cv2.convexHull(points[stage.seams.lips, :2].round().astype(np.int32))
    cv2.fillConvexPoly(mask, np.asarray(hull), 1)
    return mask > 0


def _softened(sitter: Sitter, colours: NDArray[np.float32], fill: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blurs colours as much as the photo is blurred, which may have fewer pixels than the canvas."""
    blur = max(0.7, 0.5 * SMOOTH / sitter.pixels)
    weight = cv2.GaussianBlur(fill, (0, 0), blur)[..., None]
    soft = cv2.GaussianBlur((colours * fill).astype(np.float32), (0, 0), blur)
    return np.asarray(soft / np.maximum(weight, 1e-3), np.float32)


def _lit(stage: Stage, mouth: Drawn) -> NDArray[np.float32]:
    """Returns the colours of a mouth's inside in the photo's light."""
    colours, facing = mouth.values[..., :3], mouth.values[..., 3:6]
    depth, wet = mouth.values[..., 6:7], mouth.values[..., 7:8]
    facing = facing / np.maximum(np.linalg.norm(facing, axis=2, keepdims=True), 1e-6)
    light = stage.light
    straight = (facing @ light.towards)[..., None].clip(0)
    front = facing[..., 2:3].clip(0)
    strength = (1 - light.directed) * (0.35 + 0.65 * front) + light.directed * (0.35 * front + 0.65 * straight + 0.15)
    half = light.towards + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    shine = wet * ((facing @ half)[..., None].clip(0)) ** 40
    return np.asarray((colours * strength + shine) * depth**_WARM * light.white, np.float32)
