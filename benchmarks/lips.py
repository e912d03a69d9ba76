"""What a stranger's mouth shows: detail and contrast between the lips, opening, and the tone of the skin.

MediaPipe's landmarks judge, which no model here was trained on but the performers' clips. Every picture is first brought to a
face ``FACE_PX`` wide. ``docs/evaluation.md`` defines the figures.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.drive import measured
from stillspeak.data.performers.tracking import BLENDSHAPES, Tracked, Tracker

Image = NDArray[np.uint8]
FACE_PX = 220
OPEN = 0.06  # of the outer-eye distance: a mouth that shows something between its lips
_SIDES = 234, 454  # the face's, in front of the ears
_INNER_LIPS = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
_CHEEKS = 50, 280
_CHEEK_SHARE = 0.06  # of the face's width: the side of the patch that gives the skin's tone
_BLINKS = [BLENDSHAPES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
_FEWEST_PX = 40  # fewer pixels between the lips say nothing about them
TONES = {"light": 41, "intermediate": 10, "dark": -math.inf}  # degrees of the individual typology angle, from here up


class Look(NamedTuple):
    """What one picture shows.

    Attributes:
        opening: between the inner lips, in outer-eye distances.
        detail: mean of the luminance's absolute Laplacian between the lips, of 255.
        contrast: standard deviation of the luminance between the lips, of 255.
        blink: how far the eye that is open further is shut, MediaPipe's blendshape, 0 to 1.
    """

    opening: float
    detail: float
    contrast: float
    blink: float


class Looker:
    """Looks at the pictures of one person, one after another."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.before: Tracked | None = None

    def look(self, picture: Image) -> Look | None:
        """What a picture shows; None if no face is found in it."""
        tracked = self.tracker.track(picture, self.before) or self.tracker.track(picture)
        if tracked is None:
            return None
        self.before = tracked
        opening = float(measured(_level(tracked))[0][0])
        return Look(opening, *between_lips(picture, tracked), float(tracked.blendshapes[_BLINKS].min()))


def _level(tracked: Tracked) -> NDArray[np.float32]:
    landmarks = tracked.as_68()
    return (landmarks / np.linalg.norm(landmarks[45] - landmarks[36])).astype(np.float32)[None]


def face_width(tracked: Tracked) -> float:
    """How many pixels wide a face is."""
    left, right = tracked.points[list(_SIDES), :2]
    return float(np.linalg.norm(right - left))


def between_lips(picture: Image, tracked: Tracked) -> tuple[float, float]:
    """Detail and contrast between the lips; nan where too little shows."""
    scale = FACE_PX / face_width(tracked)
    inner = tracked.points[_INNER_LIPS, :2]
    corner = np.floor(inner.min(axis=0) - 20 / scale).clip(0).astype(int)
    end = np.ceil(inner.max(axis=0) + 20 / scale).astype(int)
    cut = picture[corner[1] : end[1], corner[0] : end[0]]
    luminance = cv2.cvtColor(cut, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    luminance = cv2.resize(luminance, None, fx=scale, fy=scale, interpolation=kind)
    inside = np.zeros(luminance.shape, np.uint8)
    cv2.fillPoly(inside, [np.round((inner - corner) * scale).astype(np.int32)], 1)
    if inside.sum() < _FEWEST_PX:
        return math.nan, math.nan
    fine = np.abs(cv2.Laplacian(luminance, cv2.CV_32F))
    return float(fine[inside > 0].mean()), float(luminance[inside > 0].std())


def skin_tone(photo: Image, tracked: Tracked) -> str:
    """The group of the individual typology angle of both cheeks: light, intermediate or dark (Chardon et al. 1991)."""
    half = max(2, round(_CHEEK_SHARE * face_width(tracked) / 2))
    patches = []
    for x, y in tracked.points[list(_CHEEKS), :2].round().astype(int):
        patches.append(photo[max(0, y - half) : y + half, max(0, x - half) : x + half].reshape(-1, 3))
    colour = np.median(np.concatenate(patches), axis=0).astype(np.float32) / 255
    lightness, _, yellow = cv2.cvtColor(colour[None, None], cv2.COLOR_RGB2LAB)[0, 0]
    angle = math.degrees(math.atan2(float(lightness) - 50, float(yellow)))
    return next(name for name, least in TONES.items() if angle > least)
