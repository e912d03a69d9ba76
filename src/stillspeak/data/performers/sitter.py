"""Makes a sitter: one photo as a 3D head that can move. It holds everything about a person that is the same in all frames.

All places are in pixels of a canvas, which is the enlarged aligned crop (``media/faces.py``): x to the right, y down, nearness to
the camera in the same unit. The canvas is drawn larger than the frames, so that edges are smooth.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.performers.fit import Fit, eye_distance, fit
from stillspeak.data.performers.head import FACE, TEETH, Head
from stillspeak.data.performers.raster import draw
from stillspeak.data.performers.tracking import Tracker
from stillspeak.errors import FaceError
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, similarity
from stillspeak.media.portrait import require_faces

LARGE = 3  # large frames are so many times the crop: 288 x 384
SMOOTH = 2  # the canvas is drawn so many times larger than large frames
CANVAS = LARGE * SMOOTH
CANVAS_SIZE = HEIGHT_PX * CANVAS, WIDTH_PX * CANVAS
MARGIN_PX = 96  # ours: the texture reaches so far around the canvas, for heads that turn
_SMALLEST_EYES_PX = 45.0  # ours: the least outer-eye distance in the photo; in a crop it is 51 px
_MOST_OPEN = 0.035  # ours: a mouth is closed if its opening is at most this share of the outer-eye distance
_MOST_YAW = 0.35  # ours: a head may be turned so far, in radians
VERTICES = TEETH.stop  # eyes and lashes are the photo's own
_GRID_PX = 16
_CHIN = 8
_EARS_CM, _BELOW_CHIN_CM = 3.2, 0.7  # of the plain head: ears are behind, the neck is below
_MIDDLE_CM, _FEATURES_CM = np.array([0.0, 0.0, 10.5]), np.array([5.6, 5.3, 3.7])  # about eyes, nose and mouth
_TURNED_AWAY = 0.12  # ours: the least cosine to the camera of skin that a photo shows well
_LEAST_BOUND_PX = 12.0  # ours: the net follows what of the edge is so near
_FADES = 0.5  # ours, of the outer-eye distance: and less with distance


class Ground(NamedTuple):
    """Holds a net of the photo behind the face. It shows eyes, hair, neck and background, and follows the face.

    Attributes:
        points: the net's vertices at rest, float32 ``(n, 3)``.
        triangles: the three vertices of each triangle, ``(m, 3)``.
        edge: the vertices of the head at the face's edge, ``(k,)``.
        bound: how far each vertex of the net goes with each of those, ``(n, k)``.
        inside: whether a vertex lies behind the face and turns with the head, ``(n,)``.
    """

    points: NDArray[np.float32]
    triangles: NDArray[np.int32]
    edge: NDArray[np.int32]
    bound: NDArray[np.float32]
    inside: NDArray[np.bool_]


@dataclass(frozen=True)
class Sitter:
    """Holds a person as a head that can move.

    Attributes:
        texture: the photo on the canvas and its margin, uint8 RGB.
        points: the head's vertices at rest, float32 ``(21451, 3)``.
        moves: how each expression moves the vertices, float32 ``(expressions, 21451, 3)``.
        names: the names of the expressions.
        landmarks: the vertices of the 68 points.
        turn: the rotation from the head to the canvas, times pixels a cm, float32 ``(3, 3)``.
        five: the crop's five points at rest, in crop pixels, float32 ``(5, 2)``.
        unit: the outer-eye distance in canvas pixels.
        pixels: how many pixels of the photo make one of a large frame.
        skin: the triangles of the face.
        hidden: how far behind the visible skin each vertex lies at rest, float32 ``(21451,)``.
        ground: the net behind the face.
    """

    texture: NDArray[np.uint8]
    points: NDArray[np.float32]
    moves: NDArray[np.float32]
    names: tuple[str, ...]
    landmarks: NDArray[np.int32]
    turn: NDArray[np.float32]
    five: NDArray[np.float32]
    unit: float
    pixels: float
    skin: NDArray[np.int32]
    hidden: NDArray[np.float32]
    ground: Ground


def sit(head: Head, image: NDArray[np.uint8], name: str, tracker: Tracker) -> Sitter:
    """Makes a sitter from a photo, RGB uint8 ``(height, width, 3)``, which an error calls ``name``.

    Raises:
        FaceError: if no face is found, or it is too small, turned too far, or shows its teeth.
    """
    face = require_faces(image, name)[0]
    crop, fitted = similarity(face.points), _fitted(head, image, name, tracker)
    matrix = np.diag([CANVAS, CANVAS, 1.0]) @ np.vstack([crop, [0, 0, 1]])
    matrix[:2, 2] += CANVAS / 2 - 0.5
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    points = fitted.points[:VERTICES].copy()
    points[:, :2] = points[:, :2] @ matrix[:2, :2].T + matrix[:2, 2]
    points[:, 2] *= scale
    turn = np.vstack([matrix[:2, :2] @ fitted.turn[:2], scale * fitted.turn[2:]])
    moves = head.expressions[:, :VERTICES].astype(np.float32) @ turn.T.astype(np.float32)
    skin = _core(head, points)
    unit = eye_distance(points[head.landmarks])
    return Sitter(
        _texture(image, matrix),
        points,
        moves,
        head.names,
        head.landmarks,
        turn.astype(np.float32),
        face.points @ crop[:, :2].T.astype(np.float32) + crop[:, 2].astype(np.float32),
        unit,
        SMOOTH / scale,
        skin,
        _hidden(points, skin),
        _ground(head, points, skin, unit),
    )


def _fitted(head: Head, image: NDArray[np.uint8], name: str, tracker: Tracker) -> Fit:
    """Lays the head over the face of a photo, in the photo's pixels."""
    found = tracker.track(image)
    found = found and tracker.track(image, found)  # nearer to the face, once more
    if found is None:
        raise FaceError(f"{name} shows no face whose landmarks can be found.")
    landmarks = found.as_68()
    _require_calm(landmarks, name)
    fitted = fit(head, landmarks)
    yaw = float(np.arctan2(fitted.turn[2, 0], fitted.turn[2, 2]))
    if abs(yaw) > _MOST_YAW:
        raise FaceError(f"{name} is turned by {np.degrees(abs(yaw)):.0f} degrees to a side.")
    return fitted


def _require_calm(landmarks: NDArray[np.float32], name: str) -> None:
    unit = eye_distance(landmarks)
    if unit < _SMALLEST_EYES_PX:
        raise FaceError(f"{name} shows a small face: its eyes are {unit:.0f} pixels apart.")
    gaps = np.linalg.norm(landmarks[[61, 62, 63]] - landmarks[[67, 66, 65]], axis=1) / unit
    if gaps.mean() > _MOST_OPEN:
        raise FaceError(f"{name} shows an open mouth, {gaps.mean():.2f} of the eyes' distance; a closed one is needed.")


def _texture(image: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Returns the photo on the canvas with its margin."""
    shifted = matrix[:2].copy()
    shifted[:, 2] += MARGIN_PX
    height, width = CANVAS_SIZE
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1:  # else a photo larger than the canvas would alias
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.5 / scale), np.uint8)
    size = width + 2 * MARGIN_PX, height + 2 * MARGIN_PX
    return np.asarray(
        cv2.warpAffine(image, shifted, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def _hidden(points: NDArray[np.float32], skin: NDArray[np.int32]) -> NDArray[np.float32]:
    """Returns how far behind the visible skin each vertex lies at rest."""
    height, width = CANVAS_SIZE
    seen = draw(points, skin, points[:, 2:], height, width).nearness
    x, y = points[:, 0].round().astype(int), points[:, 1].round().astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    front = seen[y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.where(inside & (front > points[:, 2]), front - points[:, 2], 0).astype(np.float32).clip(0, 1e4)


def _core(head: Head, points: NDArray[np.float32]) -> NDArray[np.int32]:
    """Returns the triangles of the face that a photo shows from the front, without ears and neck."""
    triangles, neutral = head.within(FACE), head.neutral
    a, b, c = (points[triangles[:, k]] for k in range(3))
    facing = np.cross(c - a, b - a)  # y points down, so the order is reversed
    front = facing[:, 2] > _TURNED_AWAY * np.linalg.norm(facing, axis=1)
    middle = neutral[triangles].mean(axis=1)
    face = (middle[:, 2] > _EARS_CM) & (middle[:, 1] > neutral[head.landmarks[_CHIN], 1] - _BELOW_CHIN_CM)
    return triangles[face & (front | _features(middle))]


def _features(places: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns whether places of the plain head lie about eyes, nose and mouth, where skin faces all directions."""
    return np.asarray((np.abs(places - _MIDDLE_CM) < _FEATURES_CM).all(axis=1))


def _ground(head: Head, points: NDArray[np.float32], core: NDArray[np.int32], unit: float) -> Ground:
    """Makes a net over canvas and margin, and binds it to the edge of the face."""
    height, width = (side + 2 * MARGIN_PX for side in CANVAS_SIZE)
    shifted = points + np.array([MARGIN_PX, MARGIN_PX, 0], np.float32)
    whole = draw(shifted, core, points[:, 2:], height, width)
    rows, columns = (np.arange(0, side + _GRID_PX, _GRID_PX) for side in (height, width))
    y, x = (grid.ravel().astype(np.float32) for grid in np.meshgrid(rows, columns, indexing="ij"))
    corner = (np.arange(len(rows) - 1)[:, None] * len(columns) + np.arange(len(columns) - 1)).ravel()
    below = corner + len(columns)
    triangles = np.concatenate([np.stack([corner, corner + 1, below], 1), np.stack([corner + 1, below + 1, below], 1)])
    edge = _edge(core)
    edge = edge[~_features(head.neutral[edge])]
    inside = cv2.morphologyEx(whole.covered.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((81, 81), np.uint8)) > 0
    at = y.astype(int).clip(0, height - 1), x.astype(int).clip(0, width - 1)
    away = np.linalg.norm(np.stack([x, y], 1)[:, None] - shifted[None, edge, :2], axis=2)
    nearest = away.min(axis=1, keepdims=True)
    bound = np.exp(-((away - nearest) ** 2) / (2 * np.maximum(_LEAST_BOUND_PX, 0.5 * nearest) ** 2))
    bound *= np.exp(-((nearest / (_FADES * unit)) ** 2)) / bound.sum(axis=1, keepdims=True)
    covered = whole.covered.astype(np.float32)
    depth = cv2.GaussianBlur(whole.values[..., 0] * covered, (0, 0), 24)
    depth /= np.maximum(cv2.GaussianBlur(covered, (0, 0), 24), 1e-3)
    net = np.stack([x - MARGIN_PX, y - MARGIN_PX, depth[at]], axis=1)
    return Ground(net.astype(np.float32), triangles.astype(np.int32), edge, bound.astype(np.float32), inside[at])


def _edge(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    """Returns the vertices of edges that only one triangle has."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    alone, counts = np.unique(edges, axis=0, return_counts=True)
    return np.unique(alone[counts == 1]).astype(np.int32)
