"""Reads a photo and finds the faces in it that talk."""

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import FaceError, MediaError, StillspeakWarning
from stillspeak.media.faces import Face, similarity
from stillspeak.media.images import read_image
from stillspeak.media.kinds import require_picture
from stillspeak.media.portrait import require_faces, trouble
from stillspeak.runtime.compose import Composer
from stillspeak.runtime.engine import Layers
from stillspeak.runtime.smile import Smile, find_smile

Image = NDArray[np.uint8]
Photo = str | Path | Image
MOST_PX = 3840  # ours: a photo with a longer side is made smaller unless a scale is given; it is the longer side of 4K
_LARGEST_PX = 8192  # a side; what players take
_LEAST_SCALE = 0.05
_DIGITS = 9  # of a face's number


@dataclass(frozen=True)
class Scene:
    """Holds a photo and those of its faces that talk.

    Attributes:
        photo: uint8 ``(height, width, 3)``.
        faces: the faces that talk, in the order in which the caller named them.
        notes: sentences about the photo that a user should read; empty if all is well.
    """

    photo: Image
    faces: list[Composer]
    notes: tuple[str, ...] = ()

    def film(self, layers: Sequence[Layers], crop: bool = False) -> Iterator[Image]:
        """Yields the frames of the film, ``(height, width, 3)``: the photo with what the model draws of each face.

        ``layers`` holds the layers of each face, with the same number of frames for all. With ``crop`` it yields the aligned
        frames of the first face instead.
        """
        if crop:
            yield from layers[0].frames
            return
        for index in range(len(layers[0].frames)):
            frame = self.photo.copy()
            for face, drawn in zip(self.faces, layers, strict=True):
                face.paste(frame, drawn, index)
            yield frame


def open_scene(
    photo: Photo,
    face: str | int | Sequence[int] = "largest",
    scale: float | None = None,
    teeth: Photo | None = None,
    crop: bool = False,
    *,
    longest: int = MOST_PX,
) -> Scene:
    """Reads a photo and finds its faces.

    Args:
        photo: a file or RGB pixels.
        face: ``largest``, ``all``, the number of a face as ``stillspeak faces`` counts them from 1, or several numbers.
        scale: the factor that resizes the photo; by default 1, or less if a side is longer than ``longest``.
        teeth: another photo of the person who talks, whose smile shows the teeth.
        crop: whether the caller wants the model's own aligned frames, into which no such teeth are drawn.
        longest: the longest side in pixels that a photo keeps if no scale is given.

    Raises:
        MediaError: if a file is no picture, pixels are not RGB, the scale makes the photo too small or too large, or teeth are
            given for a crop.
        FaceError: if there is no face, or no face with that number, or a mouth lies outside the photo; if ``teeth`` shows no
            teeth, or is given for several faces.
    """
    if crop and teeth is not None:
        raise MediaError("Teeth of a second photo are drawn into the whole photo; leave out the crop or the teeth.")
    image, name = _read(photo)
    numbers, faces = _numbers(face), require_faces(image, name)
    chosen = _chosen(faces, name, numbers)
    notes, chosen = _notes(image, chosen, alone=len(faces) == 1, skip=not numbers)
    if face == "largest" and len(faces) > 1:
        notes.insert(0, f"{len(faces)} faces; face 1 speaks (--face chooses another).")
    if scale is not None and not _LEAST_SCALE <= scale < math.inf:
        raise MediaError(f"The scale must be a number of at least {_LEAST_SCALE}, not {scale:g}.")
    factor = min(1.0, longest / max(image.shape[:2])) if scale is None else scale
    image = _scaled(image, factor)
    to_crop = [similarity(one.points * factor + (factor - 1) / 2) for one in chosen.values()]
    smile, said = _smile(teeth, len(to_crop))
    return Scene(image, [Composer(image, matrix, smile) for matrix in to_crop], (*notes, *said))


def numbered(photo: Photo) -> tuple[Image, list[Face]]:
    """Returns a photo in which each face has a frame and the number by which ``--face`` counts it, and the faces.

    Raises:
        MediaError, FaceError: as ``open_scene`` does.
    """
    image, name = _read(photo)
    faces = require_faces(image, name)
    drawn, thick = image.copy(), max(1, round(min(image.shape[:2]) / 250))
    for number, face in enumerate(faces, 1):
        left, top, right, bottom = face.box
        cv2.rectangle(drawn, (left, top), (right, bottom), (0, 255, 0), thick)
        size = max(0.4, (right - left) / 120)
        at = max(0, left), max(round(25 * size), top - 2 * thick)
        for colour, width in (((0, 0, 0), 4 * thick), ((0, 255, 0), 2 * thick)):
            cv2.putText(drawn, str(number), at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA)
    return drawn, faces


def still(photo: Photo, face: str = "largest") -> Image:
    """Returns the aligned crop of a photo's face, ``(128, 96, 3)``. Notes become warnings; it raises as ``open_scene`` does."""
    scene = open_scene(photo, face)
    for note in scene.notes:
        warnings.warn(note, StillspeakWarning, stacklevel=2)
    return scene.faces[0].still


def _read(photo: Photo, pixels_name: str = "The photo") -> tuple[Image, str]:
    """Reads a photo's pixels; returns them with the name for errors, which is its path or ``pixels_name``."""
    if isinstance(photo, str | Path):
        require_picture(photo)
        return read_image(photo), str(photo)
    if not isinstance(photo, np.ndarray):
        raise MediaError(f"A photo is a file or RGB pixels, not {type(photo).__name__}.")
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:  # noqa: PLR2004 - colours
        raise MediaError(f"A photo as pixels is uint8 (height, width, 3), RGB; not {photo.dtype} {photo.shape}.")
    return photo, pixels_name


def _smile(teeth: Photo | None, talking: int) -> tuple[Smile | None, tuple[str, ...]]:
    """Finds the teeth of a second photo, if one is given; returns them with sentences that a user should read about it."""
    if teeth is None:
        return None, ()
    if talking > 1:
        raise FaceError("The second photo shows one person's teeth, but several faces talk; choose one with --face.")
    image, name = _read(teeth, "The photo for the teeth")
    return find_smile(image, name)


def _chosen(faces: list[Face], name: str, numbers: list[int]) -> dict[int, Face]:
    """Returns faces by their numbers, in the given order; no numbers mean all. Raises FaceError if a number is too large."""
    if not numbers:
        return dict(enumerate(faces, 1))
    if max(numbers) > len(faces):
        raise FaceError(f"{name} shows {len(faces)} face{'s' * (len(faces) > 1)}; there is no face {max(numbers)}.")
    return {number: faces[number - 1] for number in numbers}


def _notes(image: Image, chosen: dict[int, Face], alone: bool, skip: bool) -> tuple[list[str], dict[int, Face]]:
    """Returns sentences that a user should read about some faces, and the faces that can speak.

    With ``skip``, a face whose mouth lies outside the photo is left out; otherwise it is a FaceError, as it is if none is left.
    """
    notes, speaking = list[str](), dict(chosen)
    for number, face in chosen.items():
        wrong, hopeless = trouble(image, face)
        said = f"{'The face' if alone else f'Face {number}'} {wrong}."
        if hopeless and (not skip or len(speaking) == 1):
            raise FaceError(said)
        if hopeless:
            del speaking[number]
        if wrong:
            notes.append(said)
    return notes, speaking


def _numbers(face: str | int | Sequence[int]) -> list[int]:
    """Returns the numbers of the faces that ``face`` names; an empty list means all."""
    if isinstance(face, str) and face in ("largest", "all"):
        return [1] if face == "largest" else []
    several = [face] if isinstance(face, str) or not isinstance(face, Iterable) else [*face]
    if not several:
        raise FaceError("Of several faces at least one must be named.")
    for said in several:
        text = str(said) if isinstance(said, str | Integral) and not isinstance(said, bool) else ""
        if not text.isdecimal() or len(text) > _DIGITS or int(text) < 1:
            raise FaceError(f"A face is largest, all or a number from 1, not {said!s:.20}.")
    return [int(said) for said in several]


def _scaled(image: Image, factor: float) -> Image:
    height, width = (side * factor for side in image.shape[:2])
    if round(min(2.0 * _LARGEST_PX, max(height, width))) > _LARGEST_PX:
        raise MediaError(
            f"A scale of {factor:g} would give {width:.6g} x {height:.6g} pixels; {_LARGEST_PX} is the most."
        )
    height, width = round(height), round(width)
    if factor == 1:
        return image
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(image, (max(1, width), max(1, height)), interpolation=how), np.uint8)
