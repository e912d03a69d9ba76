"""Shows a person's own upper teeth, which ``smile.py`` found in a second photo, where the mouth opens. Ours.

Upper teeth belong to the skull, and the photo's head does not move. So the row of teeth stays in one place of the photo, and
the lips uncover it. The mouth counts as open where the model paints between the inner lips, which landmarks find in its frame.
The model paints the lower teeth itself.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import CORNERS, INNER_LIPS, LOWER_INNER, UPPER_INNER, crop_landmarks, mouth_opening
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, is_grey
from stillspeak.runtime.ramp import ramp
from stillspeak.runtime.smile import ENLARGED, TO_WINDOW, Smile, skin_around

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
_PAINTED = (0.12, 0.3)  # ours: values of the mask of paint between which a pixel turns from closed lips to open mouth
_OPEN_PX = (0.5, 1.3)  # ours: distances of the inner lips between which teeth turn from hidden to shown
_BEYOND, _MOST_BEYOND_PX = 0.35, 1.5  # landmarks are coarse: lips may be further apart by this share of their distance
_GUMS_PX = 2.5  # in crop pixels: a lip may rise so far above the teeth that the smile shows
_SOFT_PX = (0.8, 0.3)  # in crop pixels: the row fades out over so much, across and down
_SHADOW_PX, _SHADED = 0.8, 0.55  # how far the shadow of the upper lip reaches, and the share of light in it
_BELOW_LIPS_PX = (1.5, 3.5)  # where the biting edge lies below closed lips; ours, from seven people's two photos
_ASIDE_PX = 1.5  # how far the middle of the mouth may lie from that in the smile, both aligned by eyes and nose
_BRIGHTER, _TINT = (0.5, 2.0), (0.85, 1.18)  # how much the light of the two photos may differ
_DIMMED = 0.92  # a mouth that speaks shades its teeth more than one that smiles; ours
_FINER = 4  # pixels for one of the crop in which the lips' outline is drawn


class Teeth:
    """Draws a row of teeth into one face.

    Args:
        smile: the smile that shows the teeth.
        still: the aligned face, uint8 ``(128, 96, 3)``.
        to_crop: the affine map from pixels of the image that ``draw`` changes to those of the aligned crop, ``(2, 3)``.
        size: the width and height of that image.
    """

    def __init__(self, smile: Smile, still: Image, to_crop: NDArray[np.float64], size: tuple[int, int]) -> None:
        landmarks = crop_landmarks(still[None])[0]
        light = _light(smile.skin, skin_around(still, landmarks))
        x, y = _moved(smile, landmarks)
        there = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
        to_window = (TO_WINDOW @ there @ np.vstack([to_crop, [0, 0, 1.0]]))[:2]
        pixels, matte = _extended(smile)
        rows = np.dstack([pixels * light, matte])
        how = cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
        scale = float(np.hypot(to_window[0, 0], to_window[1, 0]))  # window pixels for one of the image
        rows = cv2.GaussianBlur(rows, (0, 0), max(0.3, 0.4 * scale))
        drawn = np.asarray(cv2.warpAffine(rows, to_window, size, flags=how), np.float32)
        shown = np.argwhere(drawn[..., 3] > 0)
        top, left = shown.min(axis=0) if len(shown) else (0, 0)
        bottom, right = shown.max(axis=0) + 1 if len(shown) else (0, 0)
        self._place = slice(top, bottom), slice(left, right)
        self._pixels, self._matte = drawn[self._place][..., :3], drawn[self._place][..., 3]
        if is_grey(still):
            self._pixels[:] = self._pixels.mean(axis=2, keepdims=True)
        self._to_crop = to_crop @ np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
        self._size = int(right - left), int(bottom - top)
        self._crop_px = 1 / float(np.hypot(to_crop[0, 0], to_crop[1, 0]))  # image pixels for one of the crop

    def draw(self, image: Image, frame: Image, mask: Float) -> None:
        """Draws the teeth into an image of the size given, where the mouth is open in the model's frame.

        Args:
            image: uint8 ``(height, width, 3)``; it is changed.
            frame: the model's frame, uint8 ``(128, 96, 3)``.
            mask: how much of each of its pixels is paint, 0 to 1, ``(128, 96)``.
        """
        share = self._open(frame, mask)
        if share is None:
            return
        weight = (share * self._matte)[..., None]
        shadow = _SHADED + (1 - _SHADED) * self._lit(share)[..., None]
        under = image[self._place].astype(np.float32)
        blended = under + weight * (self._pixels * shadow - under)
        image[self._place] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)

    def _open(self, frame: Image, mask: Float) -> Float | None:
        """Returns how far the teeth are uncovered at the place's pixels, 0 to 1; None if they are covered everywhere."""
        landmarks = crop_landmarks(frame[None])
        apart = float(mouth_opening(landmarks)[0])
        if apart <= _OPEN_PX[0] or 0 in self._size:
            return None
        painted = cv2.morphologyEx(
            mask, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8)
        )  # paint is thin in a mouth's middle
        both = np.dstack([painted, _between(landmarks[0, INNER_LIPS], min(_BEYOND * apart, _MOST_BEYOND_PX))])
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(both, self._to_crop, self._size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        large = np.asarray(warped, np.float32)
        share = ramp(large[..., 0], *_PAINTED) * large[..., 1].clip(0, 1) * ramp(apart, *_OPEN_PX)
        return np.asarray(share, np.float32)

    def _lit(self, share: Float) -> Float:
        """Returns 1 where light falls on the teeth, and 0 under the upper lip, by how open the mouth is a little above."""
        down = np.array([[1.0, 0, 0], [0, 1, _SHADOW_PX * self._crop_px]])
        above = cv2.warpAffine(share, down, self._size, flags=cv2.INTER_LINEAR)
        return np.asarray(cv2.GaussianBlur(above, (0, 0), max(0.3, _SHADOW_PX * self._crop_px)), np.float32)


def _between(inner: Float, beyond_px: float) -> Float:
    """Returns a soft mask, ``(128, 96)``: 1 between the inner lips and up to ``beyond_px`` outside them, 0 elsewhere."""
    large = np.zeros((_FINER * HEIGHT_PX, _FINER * WIDTH_PX), np.uint8)
    points = ((inner + 0.5) * _FINER - 0.5).round().astype(np.int32)
    cv2.fillPoly(large, [points], 1)
    cv2.polylines(large, [points], isClosed=True, color=1, thickness=max(1, round(2 * beyond_px * _FINER)))
    small = cv2.resize(large.astype(np.float32), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 0.5), np.float32)


def _moved(smile: Smile, landmarks: Float) -> tuple[float, float]:
    """Returns how far, in crop pixels, the aligned row must move so that it lies behind the photo's lips."""
    aside = float((landmarks[[*CORNERS], 0] - smile.landmarks[[*CORNERS], 0]).mean())
    highest, lowest = (float(landmarks[[*lip], 1].mean()) for lip in (UPPER_INNER, LOWER_INNER))
    least, most = highest + _BELOW_LIPS_PX[0], max(highest, lowest) + _BELOW_LIPS_PX[1]
    edge = float(np.clip(smile.edge_px, least, most))
    return aside - float(np.clip(aside, -_ASIDE_PX, _ASIDE_PX)), edge - smile.edge_px


def _light(there: Float, here: Float) -> Float:
    """Returns the factors for the teeth's colours, ``(3,)``: the light of the photo over that of the smile, as skin shows it."""
    brighter = float(np.clip(here.mean() / max(float(there.mean()), 1.0), *_BRIGHTER))
    tint = (here / max(float(here.mean()), 1.0)) / np.maximum(there / max(float(there.mean()), 1.0), 0.01)
    return np.asarray(_DIMMED * brighter * np.clip(tint, *_TINT), np.float32)


def _extended(smile: Smile) -> tuple[Float, Float]:
    """Extends pixels and matte of the row upwards behind the lip, and softens its ends."""
    up = round(_GUMS_PX * ENLARGED)
    row = np.asarray(smile.matte, np.uint8)
    taller = cv2.dilate(row, np.ones((up + 1, 1), np.uint8), anchor=(0, 0))
    eroded = np.asarray(cv2.erode(row, np.ones((5, 5), np.uint8)), np.uint8)
    core = eroded if eroded.any() else row
    found = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    labels = np.asarray(found[1], np.intp)  # each label names the nearest pixel of the row
    nearest = np.zeros((int(labels.max()) + 1, 3), np.float32)
    nearest[labels[core > 0]] = smile.pixels[core > 0]
    filled = cv2.GaussianBlur(nearest[labels], (0, 0), 0.3 * ENLARGED)
    inside = cv2.GaussianBlur(core.astype(np.float32), (0, 0), 0.2 * ENLARGED)[..., None]
    soft = cv2.GaussianBlur(taller.astype(np.float32), (0, 0), _SOFT_PX[0] * ENLARGED, sigmaY=_SOFT_PX[1] * ENLARGED)
    return np.asarray(smile.pixels * inside + filled * (1 - inside), np.float32), np.asarray(soft, np.float32)
