"""Finds faces in pictures and cuts aligned crops. Paper, section 4.1: "all faces are aligned to the canonical face".

dlib's frontal detector and 5-point predictor find a face; a similarity transform takes the base of the nose and the four
eye corners to fixed places in a 96 x 128 crop. Nothing here knows about models. architecture.md lists these places, which
were read off the authors' own aligned still.
"""

import threading
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import dlib
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.images import Image

WIDTH_PX, HEIGHT_PX = 96, 128  # paper, figure 12
# Columns: x, y. Order of dlib's 5-point predictor, named by the 68-point scheme: 45, 42, 36, 39, 33.
CANONICAL = np.array([[75.8, 46.0], [60.0, 48.0], [24.5, 49.0], [39.8, 49.0], [49.0, 77.0]], np.float32)
SMOOTHING_FRAMES = 7  # architecture.md, alignment
_GREY_SPREAD = 3.0  # ours, of 255: the channels of a photo without colour differ by less
_SMALLEST_PX = 8  # a photo with a shorter side cannot be enlarged until it shows a face
_DETECTION_SIDES_PX = (384, 480, 960, 1920, 2560)  # ours: the detector looks at these longer sides, the quickest first
LONGEST_LOOK_PX = _DETECTION_SIDES_PX[-1]  # the detector never sees a larger picture
_ENLARGED_PX = 480  # a smaller photo is also searched enlarged to this longer side
_OF_THREAD = threading.local()
_CLEAR = 0.5  # ours: a face with this confidence is clear, and no larger size is tried


@dataclass(frozen=True)
class Face:
    """Holds a face that was found in a picture.

    Attributes:
        box: left, top, right, bottom in pixels.
        confidence: the detector's score; 0 is its threshold, a clear frontal face is above 1.
        points: float32 ``(5, 2)``, x and y, in the order of ``CANONICAL``.
    """

    box: tuple[int, int, int, int]
    confidence: float
    points: NDArray[np.float32]

    @property
    def rank(self) -> float:
        """Returns confidence times width, so that a large badge with a doubtful face on it does not win over a person."""
        return max(self.confidence, 0.0) * (self.box[2] - self.box[0])


def model_file(name: str) -> str:
    """Returns the path of a model file of face_recognition_models, without importing that package (it needs pkg_resources)."""
    spec = find_spec("face_recognition_models")
    if spec is None or not spec.submodule_search_locations:
        raise MediaError("The package face_recognition_models is missing: pip install face_recognition_models.")
    return str(Path(spec.submodule_search_locations[0]) / "models" / name)


def _detector() -> "dlib.fhog_object_detector":
    """Returns the detector of this thread, for dlib's keeps its work in itself, and two threads would overwrite it."""
    if not hasattr(_OF_THREAD, "detector"):
        _OF_THREAD.detector = dlib.get_frontal_face_detector()
    return _OF_THREAD.detector


@cache
def _five_points() -> "dlib.shape_predictor":
    return dlib.shape_predictor(model_file("shape_predictor_5_face_landmarks.dat"))


def find_faces(image: Image, longest_px: int = LONGEST_LOOK_PX) -> list[Face]:
    """Finds faces in a picture quickly; returns them best first (see ``Face.rank``), or nothing if there is none.

    The detector looks at the picture in one size after another until the best face is clear, because small faces in large photos
    need the larger sizes. It goes beyond the picture's own size once, or twice if the best face is doubtful. Sizes whose longer
    side exceeds ``longest_px`` are left out. It may miss smaller faces beside a clear one; ``every_face`` finds them.
    """
    if min(image.shape[:2]) < _SMALLEST_PX:
        return []
    best, beyond = list[Face](), 0
    for side in (size for size in _DETECTION_SIDES_PX if size <= longest_px):
        faces = faces_at(image, side / max(image.shape[:2]))
        if faces and (not best or faces[0].confidence > best[0].confidence):
            best = faces
        if best and best[0].confidence >= _CLEAR:
            break
        beyond += side > max(*image.shape[:2], _ENLARGED_PX - 1)
        if beyond > bool(best):
            break
    return best


def every_face(image: Image) -> list[Face]:
    """Finds all faces in a picture, best first: those of ``find_faces``, and those that only the largest size shows."""
    found = find_faces(image)
    if not found:
        return []
    longest = max(image.shape[:2])
    larger = (side for side in _DETECTION_SIDES_PX if side > max(longest, _ENLARGED_PX - 1))
    more = faces_at(image, next(larger, LONGEST_LOOK_PX) / longest)
    found += [face for face in more if not any(_overlap(face.box, other.box) for other in found)]
    return sorted(found, key=lambda face: face.rank, reverse=True)


def _overlap(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Returns whether two boxes are of one face, which is so if the middle of one lies in the other."""

    def holds(outer: tuple[int, int, int, int], inner: tuple[int, int, int, int]) -> bool:
        x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
        return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]

    return holds(box, other) or holds(other, box)


def faces_at(image: Image, scale: float) -> list[Face]:
    """Finds faces in a picture at one size, resized by ``scale``; returns them in pixels of the picture itself, best first."""
    small = resized(image, scale)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)  # as good as colour, a quarter quicker
    rectangles, scores, _ = _detector().run(grey, 0, 0.0)
    faces = []
    for rectangle, score in zip(rectangles, scores, strict=True):
        edges = (rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom())
        box = (round(edges[0] / scale), round(edges[1] / scale), round(edges[2] / scale), round(edges[3] / scale))
        faces.append(Face(box, float(score), face_points(image, box)))
    return sorted(faces, key=lambda face: face.rank, reverse=True)


def face_points(image: Image, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Finds the 5 points, ``(5, 2)``, of a face that is known to be in ``box``, a box like those of the detector."""
    shape = _five_points()(image, dlib.rectangle(*box))
    return np.array([[shape.part(i).x, shape.part(i).y] for i in range(5)], np.float32)


def similarity(points: NDArray[np.float32], canonical: NDArray[np.float32] = CANONICAL) -> NDArray[np.float64]:
    """Returns the 2 x 3 matrix of rotation, uniform scale and shift that best (least squares) takes ``points`` to ``canonical``.

    Source: the closed form for the plane, as complex numbers: b = a * s + t.
    """
    a = points[:, 0].astype(np.float64) + 1j * points[:, 1]
    b = canonical[:, 0].astype(np.float64) + 1j * canonical[:, 1]
    a_mean, b_mean = a.mean(), b.mean()
    spread = np.vdot(a - a_mean, a - a_mean).real
    s = np.vdot(a - a_mean, b - b_mean) / max(spread, 1e-9)
    t = b_mean - s * a_mean
    return np.array([[s.real, -s.imag, t.real], [s.imag, s.real, t.imag]])


def align(image: Image, matrix: NDArray[np.float64]) -> Image:
    """Warps a picture to the canonical crop, ``(128, 96, 3)``. Shrinks with area averaging first, so that nothing aliases."""
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:  # noqa: PLR2004 - bilinear sampling skips pixels below one half
        image = resized(image, scale * 1.5)
        matrix = matrix @ np.diag([1 / (scale * 1.5), 1 / (scale * 1.5), 1.0])
    size = (WIDTH_PX, HEIGHT_PX)
    warped = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def is_grey(image: Image) -> bool:
    """Returns whether a crop, ``(height, width, 3)``, has hardly any colour."""
    red, green, blue = np.moveaxis(image, 2, 0)  # along an axis of three NumPy is twenty times as slow
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return float(spread.mean()) < _GREY_SPREAD


def smooth(points: NDArray[np.float32], frames: int = SMOOTHING_FRAMES) -> NDArray[np.float32]:
    """Averages each point over ``frames`` frames around it (fewer at the ends): ``(time, 5, 2)`` in and out."""
    half = frames // 2
    padded = np.concatenate([np.repeat(points[:1], half, 0), points, np.repeat(points[-1:], half, 0)])
    return np.stack([padded[t : t + frames].mean(axis=0) for t in range(len(points))]).astype(np.float32)


def resized(image: Image, scale: float) -> Image:
    """Returns a picture of ``scale`` times the size; each side keeps at least one pixel."""
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8
    )
