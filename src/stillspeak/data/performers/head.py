"""Reads the 3D head: ICT-FaceKit (MIT licence), as it is published (``FaceXModel/*.obj``) or packed into one ``.npz``.

Source: Li, Bladin, Zhao et al., "Learning Formation of Physically-Based Face Attributes", CVPR 2020. The mesh always has the
same vertices, so its parts are known by their numbers.
"""

import json
import zlib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import DataError

VERTICES = 26719
FACE, HEAD_AND_NECK, SOCKET = slice(0, 9409), slice(9409, 11248), slice(11248, 13294)
GUMS_AND_TONGUE, TEETH = slice(14062, 17039), slice(17039, 21451)
_NEUTRAL, _INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"
_LANDMARKS = 68


class Head(NamedTuple):
    """Holds a head that can take anybody's shape.

    Attributes:
        neutral: the vertices in cm, float32 ``(26719, 3)``: x to the head's left, y up, z to the front.
        identities: how each identity direction moves the vertices, float16 ``(identities, 26719, 3)``.
        expressions: how each expression moves the vertices, float16 ``(expressions, 26719, 3)``.
        names: ARKit's names of the expressions, with ``_L`` and ``_R``.
        triangles: three vertices each, int32 ``(n, 3)``.
        landmarks: the vertex of each of the 68 points, int32 ``(68,)``.
    """

    neutral: NDArray[np.float32]
    identities: NDArray[np.float16]
    expressions: NDArray[np.float16]
    names: tuple[str, ...]
    triangles: NDArray[np.int32]
    landmarks: NDArray[np.int32]

    def within(self, *parts: slice) -> NDArray[np.int32]:
        """Returns the triangles whose corners all lie in these parts, ``(n, 3)``."""
        inside = np.zeros(len(self.neutral), bool)
        for part in parts:
            inside[part] = True
        return self.triangles[inside[self.triangles].all(axis=1)]

    def expression(self, name: str) -> NDArray[np.float32]:
        """Returns how an expression moves the vertices, ``(26719, 3)``."""
        return self.expressions[self.names.index(name)].astype(np.float32)


def read_head(path: str | Path) -> Head:
    """Reads the head from a ``.npz`` file, or from the folder ``FaceXModel`` as ICT-FaceKit publishes it.

    Raises:
        DataError: if it is missing or damaged, or has other vertices than ICT-FaceKit.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"There is no 3D head {path}; give ict_facekit.npz or ICT-FaceKit's folder FaceXModel.")
    head = _read_folder(path) if path.is_dir() else _read_packed(path)
    if len(head.neutral) != VERTICES or len(head.landmarks) != _LANDMARKS or not len(head.names):
        raise DataError(f"{path} holds no ICT-FaceKit head: {len(head.neutral)} vertices and not {VERTICES}.")
    return head


def _read_packed(path: Path) -> Head:
    try:
        with np.load(path) as arrays:
            return Head(
                arrays["neutral"].astype(np.float32),
                arrays["identities"],
                arrays["expressions"],
                tuple(str(name) for name in arrays["expression_names"]),
                arrays["triangles"].astype(np.int32),
                arrays["landmarks68"].astype(np.int32),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is no packed ICT-FaceKit head or is damaged.") from error


def _read_folder(folder: Path) -> Head:
    """Reads a folder of meshes: the neutral one, the identities ``identity000.obj`` and so on; all others are expressions."""
    missing = [name for name in (_NEUTRAL, _INDICES) if not (folder / name).is_file()]
    if missing:
        raise DataError(f"{folder} holds no {missing[0]}; it is no FaceXModel folder of ICT-FaceKit.")
    neutral, triangles = read_obj(folder / _NEUTRAL)
    meshes = sorted(folder.glob("*.obj"))
    identities = [mesh for mesh in meshes if mesh.stem.startswith("identity")]
    expressions = [mesh for mesh in meshes if mesh not in identities and mesh.name != _NEUTRAL]
    if not identities or not expressions:
        raise DataError(f"{folder} holds no identities or no expressions beside {_NEUTRAL}.")
    try:
        landmarks = json.loads((folder / _INDICES).read_text("utf-8"))["idx_to_landmark_verts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / _INDICES} is damaged.") from error
    return Head(
        neutral,
        np.stack([_moved(mesh, neutral) for mesh in identities]),
        np.stack([_moved(mesh, neutral) for mesh in expressions]),
        tuple(mesh.stem for mesh in expressions),
        triangles,
        np.asarray(landmarks, np.int32),
    )


def _moved(mesh: Path, neutral: NDArray[np.float32]) -> NDArray[np.float16]:
    vertices = _vertices(_lines(mesh), mesh)
    if vertices.shape != neutral.shape:
        raise DataError(f"{mesh} has {len(vertices)} vertices and the neutral head {len(neutral)}.")
    return (vertices - neutral).astype(np.float16)


def read_obj(path: Path) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Reads vertices ``(n, 3)`` and triangles ``(m, 3)`` of a Wavefront OBJ file; it cuts larger faces into triangles.

    Raises:
        DataError: if the file is damaged.
    """
    lines = _lines(path)
    triangles: list[tuple[int, int, int]] = []
    try:
        for line in lines:
            if line.startswith("f "):
                corners = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
                triangles += [(corners[0], *pair) for pair in pairwise(corners[1:])]
    except ValueError as error:
        raise DataError(f"{path} is no Wavefront OBJ file or is damaged.") from error
    return _vertices(lines, path), np.array(triangles, np.int32).reshape(-1, 3)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is no Wavefront OBJ file or is damaged.") from error


def _vertices(lines: list[str], path: Path) -> NDArray[np.float32]:
    try:
        return np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float32).reshape(-1, 3)
    except ValueError as error:
        raise DataError(f"{path} is no Wavefront OBJ file or is damaged.") from error
