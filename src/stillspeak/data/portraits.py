"""Prepares and reads portraits: aligned photos beside the clips of a prepared folder, which ``recombine.py`` makes talk. Ours.

One portrait in four, drawn by a checksum of its name, is kept from training, so that a model can be tried on strangers.
"""

import zlib
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stillspeak.data.landmarks import crop_landmarks
from stillspeak.errors import DataError, StillspeakError
from stillspeak.media.faces import align, similarity
from stillspeak.media.images import read_image
from stillspeak.media.portrait import require_faces
from stillspeak.whole import whole

PORTRAITS = "portraits.npz"
_PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_KEPT_BACK_ONE_IN = 4


class Portraits(NamedTuple):
    """Holds aligned crops ``(n, 128, 96, 3)``, their landmarks ``(n, 68, 2)`` in crop pixels, and the files' names."""

    crops: NDArray[np.uint8]
    points: NDArray[np.float32]
    names: list[str]


def kept_back(name: str) -> bool:
    """Returns whether the portrait with this file name is never trained on."""
    return zlib.crc32(name.encode()) % _KEPT_BACK_ONE_IN == 0


def find_photos(folder: Path) -> list[Path]:
    """Lists all picture files of a folder and its sub-folders, sorted."""
    return sorted(path for path in folder.rglob("[!.]*") if path.suffix.lower() in _PHOTO_SUFFIXES)


def prepare_portraits(source: str | Path, destination: str | Path) -> str:
    """Aligns the largest face of every photo that may be trained on and writes ``portraits.npz``, whole or not at all.

    Args:
        source: a folder of photos.
        destination: a prepared folder, or the place for one.

    Returns:
        A report in Markdown: how many photos were kept, and why others were dropped.

    Raises:
        DataError: if the source is missing or no photo in it can be used, or the destination cannot be written.
    """
    source, destination = Path(source), Path(destination)
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    photos = find_photos(source)
    crops, dropped = {}, []
    for path in tqdm([path for path in photos if not kept_back(path.name)], unit="photo"):
        try:
            image = read_image(path)
            crops[path.relative_to(source).as_posix()] = align(
                image, similarity(require_faces(image, path.name)[0].points)
            )
        except StillspeakError as error:
            dropped.append(f"- dropped {path.name}: {error}")
    if not crops:
        raise DataError(f"{source} holds no photo to train on with a face that can be found.")
    stack = np.stack(list(crops.values()))
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with whole(destination / PORTRAITS) as part:
            np.savez_compressed(part, crops=stack, points=crop_landmarks(stack), names=np.array(list(crops)))
    except OSError as error:
        raise DataError(f"{destination} cannot be written: {error.strerror}.") from error
    lines = ["# Prepared portraits", "", f"Kept {len(crops)} of {len(photos)} to train on; one in four is kept back."]
    return "\n".join([*lines, "", *dropped]) + "\n"


def read_portraits(folder: str | Path) -> Portraits:
    """Reads the portraits of a prepared folder.

    Raises:
        DataError: if it has none, or they are damaged.
    """
    path = Path(folder) / PORTRAITS
    if not path.is_file():
        raise DataError(f"{folder} holds no {PORTRAITS}; make it with: stillspeak prepare portraits PHOTOS {folder}")
    try:
        with np.load(path) as arrays:
            return Portraits(arrays["crops"], arrays["points"], [str(name) for name in arrays["names"]])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged; make it again with: stillspeak prepare portraits") from error
