"""Cuts the row of upper teeth out of a second photo, in which the person smiles. Ours.

A photo with a closed mouth cannot show the person's teeth, but a smile can. The teeth lie between the landmarks of the inner
lips, and are lighter and less red than lips. ``teeth.py`` puts them into the film.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import CORNERS, INNER_LIPS, OUTER_LIPS, crop_landmarks, mouth_opening
from stillspeak.errors import FaceError
from stillspeak.media.faces import align, similarity
from stillspeak.media.portrait import require_faces

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
ENLARGED = 12  # ours: a pixel of the aligned crop is so many of the window; a face 900 pixels wide keeps its detail
# The window of the crop that holds the teeth of any smile, in crop pixels; ours.
_TOP_PX, _BOTTOM_PX, _LEFT_PX, _RIGHT_PX = 74, 106, 26, 72
_SIZE = ENLARGED * (_RIGHT_PX - _LEFT_PX), ENLARGED * (_BOTTOM_PX - _TOP_PX)  # width, height
_MIDDLE = (ENLARGED - 1) / 2
TO_WINDOW = np.array(
    [[ENLARGED, 0, _MIDDLE - ENLARGED * _LEFT_PX], [0, ENLARGED, _MIDDLE - ENLARGED * _TOP_PX], [0, 0, 1.0]]
)  # from pixels of the crop to pixels of the window
# These bounds say what a smile is; ours. Of 172 generated portraits 28 pass, all with a row of upper teeth; six that show
# little of one do not.
_LEAST_OPENING_PX = 2.2  # the distance between the inner lips
_LEAST_WIDTH = 0.4  # the width of the row, as a share of the mouth's width
_LIGHTER, _LESS_RED = 25.0, 6.0  # teeth differ from lips by at least so much in L - 2a, and in a, of CIELAB
_VALLEY = 5.0  # the least depth, in L - 2a, of a valley below the upper teeth; hardly a column of a single tooth has 3
_ALONG_PX = 0.33  # in crop pixels: colours are smoothed across by so much before valleys are looked for
_NO_TEETH = "shows no teeth; give a photo with an open smile, in which the row of upper teeth can be seen"


@dataclass(frozen=True)
class Smile:
    """Holds a row of upper teeth, in the window.

    Attributes:
        pixels: float32 ``(384, 552, 3)``, 0 to 255.
        matte: float32 ``(384, 552)``: 1 on the teeth, 0 elsewhere.
        landmarks: the landmarks of the aligned face, float32 ``(68, 2)`` in crop pixels.
        edge_px: the height (y) of the middle teeth's biting edge, in crop pixels.
        skin: the mean colour around the lips, float32 ``(3,)``.
    """

    pixels: Float
    matte: Float
    landmarks: Float
    edge_px: float
    skin: Float


def find_smile(image: Image, name: str = "The photo for the teeth") -> tuple[Smile, tuple[str, ...]]:
    """Finds the teeth of the largest face of a photo; returns them with sentences that a user should read about the photo.

    Args:
        image: RGB, uint8 ``(height, width, 3)``.
        name: what errors and notes call the photo.

    Raises:
        FaceError: if the photo shows no face, or its face shows no row of teeth.
    """
    faces = require_faces(image, name)
    to_crop = similarity(faces[0].points)
    still = align(image, to_crop)
    landmarks = crop_landmarks(still[None])[0]
    if mouth_opening(landmarks[None])[0] < _LEAST_OPENING_PX:
        raise FaceError(f"{name} {_NO_TEETH}.")
    pixels = _window(image, to_crop)
    row = _row(pixels, landmarks)
    if row is None:
        raise FaceError(f"{name} {_NO_TEETH}.")
    said = (f"{name} shows {len(faces)} faces; the teeth are those of face 1.",) if len(faces) > 1 else ()
    smile = Smile(pixels, row.astype(np.float32), landmarks, _edge(row), skin_around(still, landmarks))
    return smile, said


def skin_around(still: Image, landmarks: Float) -> Float:
    """Returns the mean colour of the skin around the lips of an aligned face, ``(3,)``."""
    lips = np.zeros(still.shape[:2], np.uint8)
    cv2.fillPoly(lips, [landmarks[OUTER_LIPS].round().astype(np.int32)], 1)
    ring = cv2.dilate(lips, _disc(6)) - cv2.dilate(lips, _disc(2))
    return np.asarray(still[ring > 0].mean(axis=0), np.float32)


def _window(image: Image, to_crop: NDArray[np.float64]) -> Float:
    """Cuts the window out of an aligned face; an image that shrinks is smoothed first, so that nothing aliases."""
    matrix = TO_WINDOW @ np.vstack([to_crop, [0, 0, 1.0]])
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    source = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.7 else image  # noqa: PLR2004 - hardly shrunk
    window = cv2.warpAffine(source, matrix[:2], _SIZE, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(window, np.float32)


def _row(pixels: Float, landmarks: Float) -> NDArray[np.uint8] | None:
    """Returns a mask that is 1 on the upper teeth; None if nothing between the lips is lighter and less red than they are."""
    points = ((landmarks @ TO_WINDOW[:2, :2].T) + TO_WINDOW[:2, 2]).round().astype(np.int32)
    inner, lips = np.zeros(pixels.shape[:2], np.uint8), np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillPoly(inner, [points[INNER_LIPS]], 1)
    cv2.fillPoly(lips, [points[OUTER_LIPS]], 1)
    near = cv2.dilate(inner, _disc(0.7 * ENLARGED))
    colours = cv2.cvtColor(cv2.GaussianBlur(pixels, (0, 0), 0.2 * ENLARGED) / 255, cv2.COLOR_RGB2LAB)
    red = colours[..., 1]
    white = colours[..., 0] - 2 * red
    levels = (white[near > 0] + 100).clip(0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(levels[None], 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    row = _largest(_upper(_above_valleys(((white > threshold - 100) & (near > 0)).astype(np.uint8), white)))
    on, off = row > 0, (lips > 0) & (near == 0)
    if not (on.any() and off.any()):
        return None
    width = np.ptp(np.nonzero(row.any(axis=0))[0]) / np.linalg.norm(np.subtract(*points[[*CORNERS]]))
    lighter, redder = np.median(white[on]) - np.median(white[off]), np.median(red[on]) - np.median(red[off])
    shown = width >= _LEAST_WIDTH and lighter >= _LIGHTER and -redder >= _LESS_RED
    return row if shown else None


def _above_valleys(light: NDArray[np.uint8], white: Float) -> NDArray[np.uint8]:
    """Ends each column of the light part at its first valley, where it becomes darker or redder and then lighter again.

    Such a valley is the biting edge of the upper teeth where lower teeth, or a lip that shines, touch it. A single tooth has
    none.
    """
    smooth = cv2.GaussianBlur(white, (0, 0), sigmaX=_ALONG_PX * ENLARGED, sigmaY=0.1)
    inside = np.where(light > 0, smooth, -np.inf)
    above = np.maximum.accumulate(inside, axis=0)
    below = np.maximum.accumulate(inside[::-1], axis=0)[::-1]
    depth = np.where(light > 0, np.minimum(above, below) - smooth, 0)
    valley = depth > np.maximum(_VALLEY, depth.max(axis=0) / 2)  # it begins half of the way down
    return light * (np.cumsum(valley, axis=0) == 0).astype(np.uint8)


def _upper(light: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keeps the topmost light part of each column; removes specks, and closes the gaps between teeth."""
    clean = np.asarray(cv2.morphologyEx(light, cv2.MORPH_OPEN, _disc(0.3 * ENLARGED)), np.uint8)
    ended = np.cumsum(np.diff(clean.astype(np.int8), axis=0, prepend=0) < 0, axis=0) > 0
    topmost = clean * (~ended).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(topmost, cv2.MORPH_CLOSE, _disc(0.7 * ENLARGED)), np.uint8)


def _largest(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the largest connected part of a mask."""
    count, labels, measures, _ = cv2.connectedComponentsWithStats(mask)
    if count == 1:
        return mask
    return (labels == 1 + int(np.argmax(measures[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)


def _edge(row: NDArray[np.uint8]) -> float:
    """Returns the height (y) of the middle teeth's lower edge, in crop pixels."""
    columns = np.nonzero(row.any(axis=0))[0]
    middle = columns[len(columns) * 2 // 5 : len(columns) * 3 // 5 + 1]
    lowest = row.shape[0] - 1 - row[::-1, middle].argmax(axis=0)
    return float((np.median(lowest) - TO_WINDOW[1, 2]) / ENLARGED)


def _disc(radius_px: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
