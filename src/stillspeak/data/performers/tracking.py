"""Finds 478 points and 52 blendshapes of one face in a picture, with MediaPipe's Face Landmarker.

The three networks of ``face_landmarker.task`` (Apache-2.0) run in LiteRT. This module repeats what MediaPipe does between them:
the anchors and the decoding of the detector, the turned square that the landmark network looks at, and the 146 points that the
blendshape network reads. It does not need ``mediapipe`` itself, which would bring a second OpenCV.
"""

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from stillspeak.errors import DataError

Image = NDArray[np.uint8]  # (height, width, 3), RGB
POINTS = 478
_NETWORKS = "face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite"
_DETECTOR_PX, _LANDMARKS_PX = 128, 256
_GRIDS = ((16, 2), (8, 6))  # cells of a side, and anchors of a cell: face_detector_graph.cc, strides 8, 16, 16, 16
_LEAST_SCORE, _SAME_FACE = 0.5, 0.3
_ENLARGED = 1.5  # the factor that enlarges the box; face_landmarker_graph.cc
_EYES = 33, 263  # the outer corners of the eyes, by which the square is turned level
_LEAST_PRESENCE = 0.0  # the least logit of the presence of a face
# MediaPipe, face_blendshapes_graph.cc: what the blendshape network reads, and the names of what it says.
# fmt: off
_READ_BY_BLENDSHAPES = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153,
    154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251,
    263, 267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318,
    321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
])
BLENDSHAPES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft", "noseSneerRight",
)
# Which of the 478 points stands for each of the 68 where the head has its own: the mean of a pair where it lies between two.
_AS_68 = np.array([
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178,
])
_AND = {56: 405, 58: 181}
# fmt: on
_PAIRED = np.array([_AND.get(number, point) for number, point in enumerate(_AS_68.tolist())])


class Tracked(NamedTuple):
    """Holds a face as it was found.

    Attributes:
        points: x, y and depth (smaller is nearer) in pixels of the picture, float32 ``(478, 3)``.
        blendshapes: from 0 to 1, float32 ``(52,)``, named by ``BLENDSHAPES``.
    """

    points: NDArray[np.float32]
    blendshapes: NDArray[np.float32]

    def as_68(self) -> NDArray[np.float32]:
        """Returns the 68 points, x and y in pixels of the picture, ``(68, 2)``."""
        return ((self.points[_AS_68, :2] + self.points[_PAIRED, :2]) / 2).astype(np.float32)


class _Square(NamedTuple):
    """Describes a turned square of a picture: middle, side and angle (radians, clockwise in the picture)."""

    x: float
    y: float
    side: float
    angle: float


class Tracker:
    """Finds the clearest face of a picture.

    Args:
        task: the file ``face_landmarker.task``.

    Raises:
        DataError: if the file is missing, or is no such file.
    """

    def __init__(self, task: str | Path) -> None:
        try:
            with zipfile.ZipFile(task) as archive:
                graphs = [archive.read(name) for name in _NETWORKS]
            self._graphs = [_Graph(Interpreter(model_content=graph, num_threads=1)) for graph in graphs]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{task} is no face_landmarker.task of MediaPipe, or is missing.") from error

    def track(self, image: Image, before: Tracked | None = None) -> Tracked | None:
        """Finds the face of a picture; returns None if there is none.

        Args:
            image: RGB, uint8 ``(height, width, 3)``.
            before: the face in the frame before, near which the tracker looks; without it, it searches the whole picture.
        """
        square = self._find(image) if before is None else _around(before.points)
        if square is None:
            return None
        back = _to_picture(square, _LANDMARKS_PX)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = _LANDMARKS_PX, _LANDMARKS_PX
        looked_at = cv2.warpAffine(image, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        found, presence, _ = self._graphs[1](looked_at.astype(np.float32) / 255)
        if float(presence.ravel()[0]) < _LEAST_PRESENCE:
            return None
        points = found.reshape(POINTS, 3)
        points[:, :2] = points[:, :2] @ back[:, :2].T + back[:, 2]
        points[:, 2] *= square.side / _LANDMARKS_PX
        blendshapes = self._graphs[2](points[_READ_BY_BLENDSHAPES, :2])[0].reshape(-1)
        return Tracked(points.astype(np.float32), blendshapes.astype(np.float32))

    def _find(self, image: Image) -> _Square | None:
        """Finds the square around the clearest face."""
        height, width = image.shape[:2]
        side = max(height, width)
        back = _to_picture(_Square(width / 2, height / 2, side, 0.0), _DETECTOR_PX)
        scale = _DETECTOR_PX / side
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
        level = np.diag([side / max(small.shape[:2]) if scale < 1 else 1.0] * 2)
        into = np.linalg.inv(level) @ back
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        looked_at = cv2.warpAffine(small, into, (_DETECTOR_PX, _DETECTOR_PX), flags=flags)
        boxes, scores = self._graphs[0]((looked_at.astype(np.float32) / 127.5 - 1).astype(np.float32))
        place = _decoded(boxes.reshape(-1, 16), scores.reshape(-1))
        if place is None:
            return None
        corners = place[:4].reshape(2, 2) @ back[:, :2].T + back[:, 2]
        eyes = place[4:].reshape(2, 2) @ back[:, :2].T + back[:, 2]
        return _square(corners, eyes[0], eyes[1])


class _Graph:
    """Runs a network of the task: it takes one array, and returns arrays in the network's own order."""

    def __init__(self, interpreter: Any) -> None:
        interpreter.allocate_tensors()
        self._interpreter = interpreter
        self._into = interpreter.get_input_details()[0]["index"]
        self._out = [detail["index"] for detail in interpreter.get_output_details()]

    def __call__(self, values: NDArray[np.floating]) -> list[NDArray[np.float32]]:
        self._interpreter.set_tensor(self._into, np.ascontiguousarray(values[None], np.float32))
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index).copy() for index in self._out]


def _decoded(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Returns left, top, right, bottom and both eyes (x, y) of the clearest face, in the detector's pixels; None without one.

    It averages the boxes that overlap by their scores, as MediaPipe's weighted suppression does.
    """
    chances = 1 / (1 + np.exp(-scores.astype(np.float64).clip(-100, 100)))
    kept = chances >= _LEAST_SCORE
    if not kept.any():
        return None
    middles = (_anchors()[kept] + boxes[kept, :2] / _DETECTOR_PX) * _DETECTOR_PX
    halves = boxes[kept, 2:4] / 2
    eyes = boxes[kept, 4:8] + np.tile(_anchors()[kept] * _DETECTOR_PX, 2)
    places = np.concatenate([middles - halves, middles + halves, eyes], axis=1)
    best = places[chances[kept].argmax()]
    shared = (np.minimum(places[:, 2:4], best[2:4]) - np.maximum(places[:, :2], best[:2])).clip(0).prod(axis=1)
    areas = (places[:, 2:4] - places[:, :2]).prod(axis=1)
    together = shared / (areas + (best[2:4] - best[:2]).prod() - shared) > _SAME_FACE
    weights = chances[kept] * together
    return (places * weights[:, None]).sum(axis=0) / weights.sum()


def _anchors() -> NDArray[np.float64]:
    """Returns the middles of the detector's 896 anchors, x and y from 0 to 1."""
    grids = []
    for cells, each in _GRIDS:
        y, x = np.mgrid[:cells, :cells]
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1) + 0.5, each, axis=0) / cells)
    return np.concatenate(grids)


def _square(corners: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]) -> _Square:
    """Returns the enlarged square around a box, turned so that the line between two points is level."""
    x, y = corners.mean(axis=0)
    across = second - first
    side = float((corners[1] - corners[0]).max()) * _ENLARGED
    return _Square(float(x), float(y), side, float(np.arctan2(across[1], across[0])))


def _around(points: NDArray[np.float32]) -> _Square:
    """Returns the square around the landmarks of the frame before."""
    flat = points[:, :2].astype(np.float64)
    return _square(np.stack([flat.min(axis=0), flat.max(axis=0)]), flat[_EYES[0]], flat[_EYES[1]])


def _to_picture(square: _Square, size_px: int) -> NDArray[np.float64]:
    """Returns the 2 x 3 matrix from pixels of an upright square of ``size_px`` to those of the picture."""
    scale, cos, sin = square.side / size_px, np.cos(square.angle), np.sin(square.angle)
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    middle = np.array([square.x, square.y])
    return np.column_stack([turn, middle - turn @ np.full(2, size_px / 2)])
