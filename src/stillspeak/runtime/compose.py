"""Makes the frames of the film: does to the photo, at its own resolution, what the model did to the small aligned still. Ours.

The motion field moves the photo's own pixels, so skin, hair and grain stay as sharp as they are. The model's other changes
are added to them. Only inside the mouth, where the photo has nothing to show, the model's own pixels are enlarged. All of it
fades out inside the outline of the face, so there is no visible box, and outside the photo is untouched to the bit.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, align, is_grey
from stillspeak.runtime.engine import Layers
from stillspeak.runtime.mouth_window import MouthWindow
from stillspeak.runtime.ramp import ramp
from stillspeak.runtime.smile import Smile
from stillspeak.runtime.teeth import Teeth

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
# The outline of an aligned face, an ellipse in crop pixels: centre and half axes; ours, from mean faces of prepared clips.
_CENTRE, _AXES = (48.5, 75.0), (44.0, 50.0)
_WHOLE = 0.78  # up to this share of the way to the outline everything moves; from there on less and less
_PAINTED = (0.15, 0.6)  # from the first value of the mask the photo's fine detail fades, at the second it is gone
_ENLARGING_PX = 2.0  # how far a value of the crop reaches when it is enlarged
_SMOOTHING_PX = 1.0  # the decoder's motion has a fine ripple that a crop is too small to show


class Composer:
    """Puts what a model draws of one face back into its photo.

    Args:
        photo: RGB, uint8 ``(height, width, 3)``; it is not changed.
        matrix: the ``similarity`` that takes the photo to the aligned crop.
        smile: the smile whose upper teeth are shown where the mouth opens; without one the model paints the teeth.
        weight: how much of the model's changes reaches the photo, ``(128, 96)``; by default that of ``outline_weight``.
    """

    def __init__(
        self, photo: Image, matrix: NDArray[np.float64], smile: Smile | None = None, weight: Float | None = None
    ) -> None:
        self.photo = photo
        self.still = align(photo, matrix)
        self.weight = outline_weight() if weight is None else weight
        self._grey = is_grey(self.still)
        left, top, right, bottom = _reach(photo, matrix)
        self.place = slice(top, bottom), slice(left, right)
        self._size = max(0, right - left), max(0, bottom - top)  # width, height
        rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
        self._rows, self._columns = rows, columns
        self._to_crop = matrix @ np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])  # takes pixels of this place
        self._from_crop = np.linalg.inv(matrix[:, :2]).astype(np.float32)  # takes distances, not points
        self._window = MouthWindow(self._to_crop, self._size) if min(self._size) else None
        self._teeth = Teeth(smile, self.still, self._to_crop, self._size) if smile and min(self._size) else None

    def paste(self, film: Image, layers: Layers, index: int) -> None:
        """Draws frame ``index`` of ``layers`` into ``film``, a copy of the photo in which other faces may have moved."""
        if 0 in self._size:
            return
        motion, mask = cv2.GaussianBlur(layers.motion[index], (0, 0), _SMOOTHING_PX), layers.mask[index]
        motion = np.asarray(motion * self.weight[..., None], np.float32)
        warped = warp(self.still, motion)
        drawn = layers.frames[index].astype(np.float32)
        if self._grey:  # the model has seen few grey photos, and gives their mouths some colour
            drawn[:] = drawn.mean(axis=2, keepdims=True)
        change = (drawn - warped) * self.weight[..., None]
        paint = ramp(mask, *_PAINTED) * self.weight
        film[self.place] = self._composed(motion, paint, warped, change, self._mouth(layers, index))
        if self._teeth is not None:
            self._teeth.draw(film[self.place], layers.frames[index], mask * self.weight)

    def _mouth(self, layers: Layers, index: int) -> Float | None:
        """Returns paint and mask of the mouth's window, ``(144, 144, 4)``; None if the model does not draw it."""
        if layers.mouth_paint is None or layers.mouth_mask is None:
            return None
        paint = layers.mouth_paint[index].astype(np.float32)
        if self._grey:
            paint[:] = paint.mean(axis=2, keepdims=True)
        return np.dstack([paint, layers.mouth_mask[index]])

    def _composed(self, motion: Float, paint: Float, warped: Float, change: Float, mouth: Float | None) -> Image:
        """Moves the photo's place, removes its detail where it is painted over, adds the change, and draws the mouth over it."""
        fields = self._enlarged(np.dstack([motion, paint]))
        shift = fields[..., :2] @ self._from_crop.T
        at = self._columns + shift[..., 0], self._rows + shift[..., 1]
        moved = cv2.remap(self.photo, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
        detail = moved - self._enlarged(warped)
        out = moved - fields[..., 2:].clip(0, 1) * detail + self._enlarged(change)
        if mouth is not None:
            self._draw_mouth(out, moved, mouth)
        return np.asarray(np.clip(np.rint(out), 0, 255), np.uint8)

    def _draw_mouth(self, out: Float, moved: Float, mouth: Float) -> None:
        """Blends the mouth's window into the place: its paint over the photo's moved pixels. It fades out at its edge."""
        window = self._window
        assert window is not None
        drawn = window.enlarged(mouth)
        mask = drawn[..., 3:].clip(0, 1)
        blended = (1 - mask) * moved[window.place] + mask * drawn[..., :3]
        out[window.place] += window.weight * (blended - out[window.place])

    def _enlarged(self, field: Float) -> Float:
        """Returns the values of the crop at the place's pixels, ``(height, width, channels)``."""
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        out = cv2.warpAffine(field, self._to_crop, self._size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(out, np.float32)


def warp(still: Image | Float, motion: Float) -> Float:
    """Moves a still ``(128, 96, 3)``: pixel p shows the still at p + motion(p). Beyond the edge the edge repeats."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    at = columns + motion[..., 0], rows + motion[..., 1]
    return np.asarray(cv2.remap(still, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def outline_weight() -> Float:
    """Returns how much of the model's changes reaches the photo, ``(128, 96)``: 1 in the face, 0 from its outline on."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    distance = np.hypot((columns - _CENTRE[0]) / _AXES[0], (rows - _CENTRE[1]) / _AXES[1])
    return 1 - ramp(distance.astype(np.float32), _WHOLE, 1.0)


def _reach(photo: Image, matrix: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Returns left, top, right and bottom of the part of the photo that the outline may touch."""
    angles = np.linspace(0, 2 * np.pi, 65)
    across, down = _AXES[0] + _ENLARGING_PX, _AXES[1] + _ENLARGING_PX
    outline = np.stack([_CENTRE[0] + across * np.cos(angles), _CENTRE[1] + down * np.sin(angles)], axis=1)
    points = (outline - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    left, top = np.floor(points.min(axis=0)).astype(int) - 1
    right, bottom = np.ceil(points.max(axis=0)).astype(int) + 2
    height, width = photo.shape[:2]
    return max(0, left), max(0, top), min(width, right), min(height, bottom)
