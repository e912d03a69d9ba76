"""Draws by chance what makes performers differ beside their faces: teeth, light, camera, moves of the head, mood.

Every number is drawn from a generator that is seeded by the names of the person and of the clip, so that a clip is the same
whenever it is made.
"""

import zlib
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import OUTER_LIPS
from stillspeak.data.performers.mouth import Look, normals
from stillspeak.data.performers.raster import draw
from stillspeak.data.performers.sitter import CANVAS_SIZE, MARGIN_PX, Sitter

Random = np.random.Generator
FPS = 25
_TURNS = np.array([3.5, 2.0, 1.5])  # ours: the standard deviations of yaw, pitch and roll in degrees
_SLOW_SECONDS = 0.7  # ours: heads and moods change over such a time
_MOODY = 0.6  # ours: the share of clips with a mood
_MOODS = {  # the expressions of one unit of each mood, by ARKit's names
    "smile": {"mouthSmile": 0.45, "cheekSquint": 0.25},
    "frown": {"mouthFrown": 0.35, "browDown": 0.5},
    "brows": {"browInnerUp": 0.45, "browOuterUp": 0.35},
    "grin": {"mouthSmile": 0.8, "mouthUpperUp": 0.4, "mouthLowerDown": 0.25, "jawOpen": 0.06, "cheekSquint": 0.35},
}
MOODS = tuple(_MOODS)
_HELD = 3  # the first moods, so many, last a whole clip; the fourth, a grin, only begins it
_GRINS = 0.5  # ours: the share of clips that begin with a grin, so that a model learns to close an open smile
_GRIN_SECONDS, _FADE_SECONDS = (0.3, 0.8), (0.2, 0.5)  # ours: how long it is held, and how long it takes to go


class Camera(NamedTuple):
    """Describes the camera that films a clip.

    Attributes:
        blur_px: the standard deviation of a Gaussian blur, in pixels of a large frame.
        noise: the standard deviation of the sensor's noise, of 255.
        quality: the quality of JPEG compression, 1 to 100; 0 means no compression.
    """

    blur_px: float
    noise: float
    quality: int


class Variety(NamedTuple):
    """Holds what was drawn by chance for one clip.

    Attributes:
        look: the look of the person's mouth.
        relight: the direction of a light beside the photo's own, x, y (down), nearness, times its strength.
        exposure: the factors on red, green and blue.
        gamma: the gamma of the picture.
        lip_gloss: by how much the lips' contrast grows.
        camera: the camera that films the clip.
        turns: yaw, pitch and roll in degrees, frame by frame, ``(time, 3)``.
        moods: how strong smile, frown, raised brows and grin are, frame by frame, ``(time, 4)``.
    """

    look: Look
    relight: tuple[float, float, float]
    exposure: tuple[float, float, float]
    gamma: float
    lip_gloss: float
    camera: Camera
    turns: NDArray[np.float32]
    moods: NDArray[np.float32]


def draw_variety(person: str, clip: str, time: int) -> Variety:
    """Draws the variety of a clip of ``time`` frames: the teeth depend on the person, the rest on person and clip."""
    random = np.random.default_rng([zlib.crc32(person.encode()), zlib.crc32(clip.encode())])
    angle, strength = random.uniform(-np.pi, 0.2 * np.pi), abs(random.normal(0, 0.13))
    light = strength * np.array([np.cos(angle), 0.7 * np.sin(angle), 0.2])
    exposure = np.exp(random.normal(0, 0.08)) * np.exp(random.normal(0, 0.012, 3))
    quality = int(random.integers(55, 96)) if random.random() < 0.5 else 0  # noqa: PLR2004 - every second
    camera = Camera(float(abs(random.normal(0, 0.5))), float(abs(random.normal(0, 1.5))), quality)
    moods = np.zeros((time, len(MOODS)))
    if random.random() < _MOODY:
        which = int(random.integers(_HELD))
        level = random.uniform(0.2, 1.0) * (-0.6 if MOODS[which] == "brows" and random.random() < 0.3 else 1)  # noqa: PLR2004
        moods[:, which] = level * (1 + 0.1 * _drift(time, random)).clip(0, 1.5)
    turns = _TURNS * random.uniform(0.2, 1.0) * np.stack([_drift(time, random) for _ in _TURNS], axis=1)
    gamma, gloss = float(np.exp(random.normal(0, 0.06))), float(max(0.0, random.normal(0, 0.15)))
    if random.random() < _GRINS:
        moods[:, MOODS.index("grin")] = _grin(time, random)
    return Variety(
        draw_look(person),
        (float(light[0]), float(light[1]), float(light[2])),
        (float(exposure[0]), float(exposure[1]), float(exposure[2])),
        gamma,
        gloss,
        camera,
        turns.astype(np.float32),
        moods.astype(np.float32),
    )


def _grin(time: int, random: Random) -> NDArray[np.float64]:
    """Draws a grin that begins a clip and fades before the speech, ``(time,)``."""
    held, fading = random.uniform(*_GRIN_SECONDS) * FPS, random.uniform(*_FADE_SECONDS) * FPS
    left = (1 - (np.arange(time) - held) / fading).clip(0, 1)
    return random.uniform(0.7, 1.15) * left * left * (3 - 2 * left)


def draw_look(person: str) -> Look:
    """Draws the look of a person's teeth, gums and tongue."""
    random = np.random.default_rng([zlib.crc32(person.encode()), 0])
    white, warm = random.uniform(0.84, 1.0), random.uniform(0.0, 1.0)
    tooth = white * (np.array([1.0, 0.985, 0.95]) * (1 - warm) + np.array([1.0, 0.93, 0.79]) * warm)
    dark = random.uniform(0.75, 1.1)
    gum = dark * np.array([0.66, 0.36, 0.35]) * np.exp(random.normal(0, 0.05, 3))
    tongue = dark * np.array([0.70, 0.39, 0.38]) * np.exp(random.normal(0, 0.05, 3))
    return Look(
        _colour(tooth),
        _colour(gum),
        _colour(tongue),
        yellow=random.uniform(0.1, 0.9),
        wide=random.uniform(0.94, 1.06),
        long=random.uniform(0.92, 1.1),
        shown=random.uniform(0.08, 0.4),
        gum_line=random.uniform(-0.05, 0.08),
        tongue_up=random.uniform(-0.1, 0.35),
        gloss=random.uniform(0.08, 0.45),
        shade=random.uniform(0.15, 0.4),
    )


def _colour(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values.clip(0, 1))
    return red, green, blue


def _drift(time: int, random: Random) -> NDArray[np.float64]:
    """Draws a slow random curve with standard deviation 1, ``(time,)``."""
    steps = _SLOW_SECONDS * FPS
    wander = cv2.GaussianBlur(random.normal(0, 1, (1, time + 8 * int(steps))), (0, 0), steps)[0]
    part = wander[4 * int(steps) : 4 * int(steps) + time]
    return part / max(float(wander.std()), 1e-6)


def mood_coefficients(moods: NDArray[np.float32], names: tuple[str, ...]) -> NDArray[np.float32]:
    """Turns moods ``(time, 4)`` into expressions of the head, ``(time, expressions)``."""
    rows = np.zeros((len(MOODS), len(names)), np.float32)
    for row, expressions in zip(rows, _MOODS.values(), strict=True):
        for k, name in enumerate(names):
            row[k] = expressions.get(name.removesuffix("_L").removesuffix("_R"), 0.0)
    return moods @ rows


def relit(sitter: Sitter, variety: Variety) -> Sitter:
    """Returns a sitter whose photo has another light, another exposure and glossier lips."""
    texture = sitter.texture.astype(np.float32)
    texture *= (1 + _shading(sitter, np.array(variety.relight, np.float32))).clip(0.3, 2)[..., None]
    if variety.lip_gloss:
        texture = _glossy(sitter, texture, variety.lip_gloss)
    texture = 255 * (texture.clip(0, 255) / 255) ** variety.gamma * np.array(variety.exposure, np.float32)
    return replace(sitter, texture=texture.round().clip(0, 255).astype(np.uint8))


def _shading(sitter: Sitter, light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how much a light adds to each pixel of the texture; behind the face it adds nothing."""
    height, width = (side + 2 * MARGIN_PX for side in CANVAS_SIZE)
    shifted = sitter.points + np.array([MARGIN_PX, MARGIN_PX, 0], np.float32)
    facing = draw(shifted, sitter.skin, normals(sitter.points, sitter.skin), height, width).values
    small = cv2.resize(facing, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), 0.03 * sitter.unit)
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR) @ light, np.float32)


def _glossy(sitter: Sitter, texture: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    lips = np.zeros(texture.shape[:2], np.float32)
    outline = sitter.points[sitter.landmarks[OUTER_LIPS], :2] + MARGIN_PX
    cv2.fillPoly(lips, [outline.round().astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(lips, (0, 0), 0.01 * sitter.unit)[..., None]
    broad = cv2.GaussianBlur(texture, (0, 0), 0.04 * sitter.unit)
    return np.asarray(texture + 2 * gain * soft * (texture - broad).clip(0, None), np.float32)


def filmed(frame: NDArray[np.uint8], camera: Camera, random: Random) -> NDArray[np.uint8]:
    """Changes a large frame as the camera would film it, ``(384, 288, 3)`` in and out."""
    picture = frame.astype(np.float32)
    if camera.blur_px > 0.2:  # noqa: PLR2004 - less does nothing
        picture = cv2.GaussianBlur(picture, (0, 0), camera.blur_px)
    noise = random.standard_normal((picture.shape[0] // 2, *picture.shape[1:]), np.float32)
    picture += camera.noise * np.concatenate([noise, noise[:, ::-1]])
    seen = picture.round().clip(0, 255).astype(np.uint8)
    if not camera.quality:
        return seen
    coded = cv2.imencode(".jpg", seen[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, camera.quality])[1]
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)
