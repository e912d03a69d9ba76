"""Says whether a photo can be made to talk, and what is wrong with it if not.

``faces.py`` finds the faces. This module numbers them, and writes the sentences about them that a user reads.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import FaceError
from stillspeak.media.covers import is_covered
from stillspeak.media.faces import LONGEST_LOOK_PX, Face, align, every_face, find_faces, resized, similarity

Image = NDArray[np.uint8]
# Ours, of the detector's confidence: 866 of 868 portraits are clear and none is doubtful; badges and patterns are.
_CLEAR, _DOUBTFUL = 0.5, 0.3
_CUT_OFF = "shows a face that is cut off by the edge; use a photo that shows the whole face."
_CLEARER = 0.5  # a photo counts as turned if its face is so much clearer (in confidence) after a turn
_LEAST_PX = 32  # if the shorter side is less, the photo is just called too small
_TURNED = {1: "lies on its side", 2: "is upside down", 3: "lies on its side"}  # by quarter turns that set it upright
_LOOKED_AT_PX = 480  # the longer side of the copy in which a profile, or a face cut off by the edge, is looked for
_PROFILE_NEIGHBOURS = 6  # detections that must agree on a profile
_DARK = 60  # of 255: in a photo with a lower mean, a face may be too dark to be found
# The mouth of an aligned face, in crop pixels: left, top, right, bottom; the median over 434 portraits, and a little more.
_MOUTH = (32.0, 81.0, 70.0, 99.0)
_OUTSIDE, _WHOLE = 0.5, 0.97  # shares of the mouth inside the photo: below the first a face cannot be animated


def require_faces(image: Image, name: str = "The photo") -> list[Face]:
    """Finds the faces of a photo; returns them in the order in which every command, page and function counts them.

    Args:
        image: RGB, uint8 ``(height, width, 3)``.
        name: what an error calls the photo.

    Raises:
        FaceError: if there is no face; the sentence says what the photo shows instead, if that can be told.
    """
    faces = every_face(image)
    clearest = max((found.confidence for found in faces), default=0.0)
    if clearest < _CLEAR:
        _require_upright(image, name, clearest if faces else None)
    if faces and clearest < _DOUBTFUL and _is_cut_off(image):
        raise FaceError(f"{name} {_CUT_OFF}")
    if not faces:
        raise FaceError(_why_none(image, name))
    return [found for found in faces if found.confidence >= min(clearest, _DOUBTFUL)]


def mouth_share(shape: tuple[int, ...], to_crop: NDArray[np.float64]) -> float:
    """Returns the share of a face's mouth inside a photo of ``shape`` ``(height, width, ...)``; ``to_crop`` aligns the face."""
    left, top, right, bottom = _MOUTH
    columns, rows = np.meshgrid(np.linspace(left, right, 20), np.linspace(top, bottom, 10))
    points = np.stack([columns.ravel(), rows.ravel()], axis=1)
    x, y = ((points - to_crop[:, 2]) @ np.linalg.inv(to_crop[:, :2]).T).T
    return float(((x >= 0) & (x < shape[1]) & (y >= 0) & (y < shape[0])).mean())


def trouble(image: Image, face: Face) -> tuple[str, bool]:
    """Says what keeps a face from being animated well.

    Returns:
        The end of a sentence that begins with the face, empty if all is well; and whether the face cannot be animated at all.
    """
    to_crop = similarity(face.points)
    share = mouth_share(image.shape, to_crop)
    if share < _OUTSIDE:
        return "has its mouth outside the photo; use a photo that shows the whole face", True
    if share < _WHOLE:
        return "has its mouth cut off by the photo's edge; what is missing there is made up", False
    if is_covered(align(image, to_crop)):
        return "seems to have its mouth covered; a mask, a hand or anything else in front of it will look wrong", False
    if face.confidence < _DOUBTFUL:
        return "can hardly be made out; use a frontal, well-lit photo with nothing in front of the face", False
    return "", False


def _require_upright(image: Image, name: str, confidence: float | None) -> None:
    """Raises FaceError if the photo shows a clear face, or a clearer one than ``confidence``, once it is turned."""
    wanted = _CLEAR if confidence is None else confidence + _CLEARER
    small = _at_most(image, LONGEST_LOOK_PX)
    for quarters, how in _TURNED.items():
        faces = find_faces(np.ascontiguousarray(np.rot90(small, quarters)))
        if faces and faces[0].confidence >= wanted:
            raise FaceError(f"{name} {how}; turn it until the face in it is upright.")


def _why_none(image: Image, name: str) -> str:
    """Returns a sentence for a photo without a face that can be used."""
    height, width = image.shape[:2]
    if min(height, width) < _LEAST_PX:
        return f"{name} shows no face that can be found: it is only {width} x {height} pixels; use a larger photo."
    if _has_profile(image):
        return f"{name} shows a face from the side (a profile); use a frontal photo, with both eyes in it."
    if _is_cut_off(image):
        return f"{name} {_CUT_OFF}"
    if image.mean() < _DARK and find_faces(_brightened(_at_most(image, LONGEST_LOOK_PX))):
        return f"{name} is too dark: a face can hardly be seen; use a well-lit photo."
    said = "use a frontal, well-lit photo of a person, with nothing in front of the face"
    return f"{name} shows no face that can be found; {said}. Drawings, cartoons and animals do not work."


def _has_profile(image: Image) -> bool:
    """Returns whether OpenCV's cascade for faces from the side finds one, in the photo or in its mirror image."""
    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_profileface.xml")
    scale = _LOOKED_AT_PX / max(image.shape[:2])
    small = cv2.cvtColor(resized(image, scale), cv2.COLOR_RGB2GRAY)
    least = _LOOKED_AT_PX // 8, _LOOKED_AT_PX // 8
    return any(
        len(cascade.detectMultiScale(side, 1.1, _PROFILE_NEIGHBOURS, minSize=least)) for side in (small, small[:, ::-1])
    )


def _is_cut_off(image: Image) -> bool:
    """Returns whether half a face and its reflection make a face when the photo is mirrored at one of its edges.

    It looks at a small copy. It misses faces narrower than a sixth of the photo, which are hardly its subject.
    """
    small = _at_most(image, _LOOKED_AT_PX)
    height, width = small.shape[:2]
    down, across = height // 2, width // 2
    mirrored = np.asarray(cv2.copyMakeBorder(small, down, down, across, across, cv2.BORDER_REFLECT), np.uint8)
    for face in find_faces(mirrored, 2 * _LOOKED_AT_PX):
        left, top, right, bottom = face.box
        crossed = (
            left < across < right
            or left < across + width < right
            or top < down < bottom
            or top < down + height < bottom
        )
        if face.confidence >= _CLEAR and crossed:
            return True
    return False


def _at_most(image: Image, longest_px: int) -> Image:
    """Returns the picture, or a smaller copy of it whose longer side is ``longest_px``."""
    scale = longest_px / max(image.shape[:2])
    return resized(image, scale) if scale < 1 else image


def _brightened(image: Image) -> Image:
    grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    return np.asarray(np.repeat(grey[..., None], 3, axis=2), np.uint8)
