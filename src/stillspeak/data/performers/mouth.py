"""Gives teeth, gums, tongue and the socket behind them their colours and their light."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.head import GUMS_AND_TONGUE, SOCKET, TEETH, Head
from stillspeak.data.performers.sitter import MARGIN_PX, Sitter

_FRONT_CM, _BACK_CM = 10.6, 5.0  # where the row of teeth begins and ends, from front to back
_FROM_CAMERA = np.array([0, -0.2, 0.9])  # ours: added to the light's direction, which skin overstates
_DIRECTED = 0.1, 0.4
_TURNED_HERE = 0.4  # ours: the least cosine to the camera of skin that says where light comes from
_OVER_EYES, _OVER_SKIN = 1.5, (1.15, 2.6)  # ours: brightness of white in front of the mouth against eyes and skin
_INCISORS = slice(18067, 18219)  # both upper middle ones
_BEHIND_LIPS_CM = 0.25  # ours: teeth lie at least so far behind the line of the closed lips


class Look(NamedTuple):
    """Describes how somebody's mouth looks. Colours are RGB from 0 to 1 in white light.

    Attributes:
        tooth, gum, tongue: the colours.
        yellow: how much darker and yellower teeth are at the gums, 0 to 1.
        wide, long: factors on the teeth's width and length.
        shown: how far the upper teeth reach below the closed lips' line, in cm.
        gum_line: how far gums reach down (upper) and up (lower), in cm.
        tongue_up: how much higher the tongue lies, in cm.
        gloss: strength of the light's reflection on teeth and tongue.
        shade: how dark the mouth is under the lips, 0 to 1.
    """

    tooth: tuple[float, float, float] = (0.86, 0.82, 0.74)
    gum: tuple[float, float, float] = (0.62, 0.33, 0.32)
    tongue: tuple[float, float, float] = (0.66, 0.36, 0.35)
    yellow: float = 0.3
    wide: float = 1.0
    long: float = 1.0
    shown: float = 0.12
    gum_line: float = 0.0
    tongue_up: float = 0.0
    gloss: float = 0.25
    shade: float = 0.3


class Inside(NamedTuple):
    """Holds the inside of a mouth, ready to be drawn.

    Attributes:
        triangles: the triangles of teeth, gums, tongue and socket, ``(n, 3)``.
        colours: the colours of all vertices, before light, float32 ``(21451, 3)``.
        depth: how much light reaches each vertex at most, float32 ``(21451,)``.
        wet: how much each vertex reflects, float32 ``(21451,)``.
        shift: how far each vertex is moved from its place in the plain head, in cm, float32 ``(21451, 3)``.
    """

    triangles: NDArray[np.int32]
    colours: NDArray[np.float32]
    depth: NDArray[np.float32]
    wet: NDArray[np.float32]
    shift: NDArray[np.float32]


def inside(head: Head, look: Look) -> Inside:
    """Makes the inside of a mouth with this look."""
    neutral = head.neutral[: TEETH.stop]
    lower = np.abs(head.expression("jawOpen")[: TEETH.stop, 1]) > 1.0
    colours = np.zeros_like(neutral)
    colours[SOCKET] = np.array(look.gum) * [0.55, 0.4, 0.4]
    tongue = _tongue(neutral, lower)
    colours[GUMS_AND_TONGUE] = look.gum
    colours[GUMS_AND_TONGUE] += tongue[GUMS_AND_TONGUE, None] * (np.array(look.tongue) - look.gum)
    colours[TEETH] = look.tooth
    root = _rootward(neutral, lower)
    colours[TEETH] *= 1 - look.yellow * root[TEETH, None] * np.array([0.12, 0.2, 0.42])
    depth = ((neutral[:, 2] - _BACK_CM) / (_FRONT_CM - _BACK_CM)).clip(0, 1) ** 2 * 0.93 + 0.07
    wet = np.zeros(len(neutral), np.float32)
    wet[TEETH], wet[GUMS_AND_TONGUE] = look.gloss, 0.6 * look.gloss
    shift = np.zeros_like(neutral)
    middle = np.where(lower, -4.4, -2.0)
    shift[TEETH, 0] = (look.wide - 1) * neutral[TEETH, 0]
    shift[TEETH, 1] = (look.long - 1) * (neutral[TEETH, 1] - middle[TEETH])
    gums = np.zeros(len(neutral), bool)
    gums[GUMS_AND_TONGUE] = True
    shift[gums, 1] += np.where(lower[gums], look.gum_line, -look.gum_line) * (1 - tongue[gums])
    shift[:, 1] += look.tongue_up * tongue * gums
    return Inside(head.within(SOCKET, GUMS_AND_TONGUE, TEETH), colours, depth.astype(np.float32), wet, shift)


def _tongue(neutral: NDArray[np.float32], lower: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns 1 on the tongue and 0 on the gums, by how far inside the row of lower teeth a vertex lies."""
    teeth = np.zeros(len(neutral), bool)
    teeth[TEETH] = True
    row = neutral[teeth & lower][::7, [0, 2]]
    gums = neutral[GUMS_AND_TONGUE][:, [0, 2]]
    away = np.sqrt(((gums[:, None] - row[None]) ** 2).sum(axis=2)).min(axis=1)
    inner = np.zeros(len(neutral), np.float32)
    inner[GUMS_AND_TONGUE] = ((away - 0.25) / 0.35).clip(0, 1)
    return inner * lower


def _rootward(neutral: NDArray[np.float32], lower: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns 0 at the edges of the teeth, rising to 1 at their gums."""
    return np.where(lower, (-3.4 - neutral[:, 1]) / 1.2, (neutral[:, 1] + 3.5) / 1.5).clip(0, 1).astype(np.float32)


def placed(sitter: Sitter, mouth: Inside, look: Look) -> NDArray[np.float32]:
    """Returns a sitter's vertices at rest with this mouth behind the lips, ``(21451, 3)``."""
    points = sitter.points + mouth.shift @ sitter.turn.T
    scale = float(np.linalg.norm(sitter.turn[1]))
    line = sitter.points[sitter.landmarks[[62, 66]]].mean(axis=0)
    incisors = points[_INCISORS]
    down = line[1] + look.shown * scale - incisors[:, 1].max()
    back = min(0.0, float(line[2] - _BEHIND_LIPS_CM * scale - incisors[:, 2].max()))
    moved = slice(GUMS_AND_TONGUE.start, TEETH.stop)
    points[moved] += np.array([0, down, back], np.float32)
    return points.astype(np.float32)


class Light(NamedTuple):
    """Holds the light of a photo.

    Attributes:
        white: the colour that white has in the shade of the face, RGB from 0 to 255.
        towards: the direction that most light comes from, of length 1: x, y (down), nearness.
        directed: the share of the light that comes from there, 0 to 1.
    """

    white: NDArray[np.float32]
    towards: NDArray[np.float32]
    directed: float


def light_of(sitter: Sitter) -> Light:
    """Estimates a photo's light: its direction by the shading of the skin, its colour and strength by the whites of the eyes."""
    facing = normals(sitter.points, sitter.skin)
    skin = _bare_skin(sitter, facing)
    colours = _sampled(sitter.texture, sitter.points[skin, :2] + MARGIN_PX).mean(axis=1)
    basis = np.column_stack([np.ones(len(skin)), facing[skin]])
    weights, said = np.ones(len(skin)), np.zeros(4)
    for _ in range(5):  # hair, brows, lips and nostrils are no skin, so points that fit badly count less
        said = np.linalg.lstsq(basis * weights[:, None], colours * weights, rcond=None)[0]
        weights = 1 / (1 + np.abs(basis @ said - colours) / 12)
    length = float(np.linalg.norm(said[1:]))
    towards = said[1:] / max(length, 1e-3) + _FROM_CAMERA
    directed = np.clip(length / max(float(np.median(colours)), 1.0), *_DIRECTED)
    towards /= np.linalg.norm(towards)
    return Light(_white(sitter, float(np.quantile(colours, 0.75))), towards.astype(np.float32), float(directed))


def _bare_skin(sitter: Sitter, facing: NDArray[np.float32]) -> NDArray[np.int32]:
    """Returns the vertices of forehead, cheeks, nose and chin that a photo shows, which are mostly skin."""
    skin = np.unique(sitter.skin)
    at, marks = sitter.points[skin], sitter.points[sitter.landmarks, :2]
    across, down = np.abs(at[:, 0] - marks[27, 0]), at[:, 1]
    brows, chin = marks[[19, 24], 1].mean(), marks[8, 1]
    inside = (across < 0.55 * sitter.unit) & (down > brows - 0.25 * sitter.unit) & (down < chin - 0.05 * sitter.unit)
    seen = (sitter.hidden[skin] <= 0) & (facing[skin, 2] > _TURNED_HERE)
    return skin[inside & seen]


def _white(sitter: Sitter, skin: float) -> NDArray[np.float32]:
    """Returns the colour of white: the brightest eighth of both eyes, within bounds that the skin's brightness sets."""
    mask = np.zeros(sitter.texture.shape[:2], np.uint8)
    marks = sitter.points[sitter.landmarks, :2]
    for eye in (marks[36:42], marks[42:48]):
        cv2.fillPoly(mask, [(eye + MARGIN_PX).round().astype(np.int32)], 1)
    eyes = sitter.texture[mask > 0].astype(np.float32)
    bright = eyes[eyes.mean(axis=1) >= np.quantile(eyes.mean(axis=1), 0.85)].mean(axis=0)
    level = float(np.clip(_OVER_EYES * bright.mean(), _OVER_SKIN[0] * skin, _OVER_SKIN[1] * skin))
    grey = 0.5 * bright / max(bright.mean(), 1) + 0.5
    return (level * grey).clip(0, 255).astype(np.float32)


def normals(points: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """Returns the direction that each vertex faces, ``(n, 3)``, of length 1: x, y (down), nearness."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    faces = np.cross(c - a, b - a)  # y points down, so the order is reversed
    out = np.zeros_like(points)
    for k in range(3):
        np.add.at(out, triangles[:, k], faces)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def _sampled(texture: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.float32]:
    maps = places.astype(np.float32)
    return cv2.remap(texture, maps[:, :1], maps[:, 1:], cv2.INTER_LINEAR)[:, 0].astype(np.float32)
