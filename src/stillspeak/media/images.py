"""Reads and writes photos as 8-bit sRGB, whatever kind of picture a file holds. Nothing here knows about faces."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
from numpy.typing import NDArray

from stillspeak.errors import MediaError, OutputError
from stillspeak.media.audio import require_file
from stillspeak.whole import whole

Image = NDArray[np.uint8]  # (height, width, 3), RGB
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}  # Pillow's names of modes and those of colour profiles


def read_image(path: str | Path, *, opaque: bool = True) -> Image:
    """Reads a photo as 8-bit sRGB, ``(height, width, 3)``; turns it as its EXIF says; 16-bit, grey, RGBA and CMYK all work.

    What is transparent is shown on white; with ``opaque`` False, for who keeps the opacity too, as its pixels are.

    Raises:
        MediaError: if it is missing, not a picture, or claims more pixels than any camera has.
    """
    pixels = _decoded(Path(path))
    return _on_white(pixels) if opaque else np.ascontiguousarray(pixels[..., :3])


def decode_image(data: bytes, name: str) -> Image:
    """As ``read_image``, of a file's bytes; ``name`` is what an error calls it."""
    return _on_white(_pixels(io.BytesIO(data), name))


def read_alpha(path: str | Path) -> NDArray[np.uint8] | None:
    """The opacity of a photo, uint8 ``(height, width)``; None if all of it is opaque. Raises MediaError as ``read_image``."""
    pixels = _decoded(Path(path))
    if pixels.shape[2] == 3 or pixels[..., 3].min() == np.iinfo(np.uint8).max:  # noqa: PLR2004 - colours alone
        return None
    return np.ascontiguousarray(pixels[..., 3])


def _on_white(pixels: NDArray[np.uint8]) -> Image:
    if pixels.shape[2] == 3:  # noqa: PLR2004 - colours alone
        return pixels
    share = pixels[..., 3:] / np.float32(255)
    return np.asarray((pixels[..., :3] * share + 255 * (1 - share)).round(), np.uint8)


def _decoded(path: Path) -> NDArray[np.uint8]:
    """Red, green, blue, and opacity where there is any."""
    require_file(path)
    return _pixels(path, str(path))


def _pixels(source: Path | io.BytesIO, name: str) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of half as many pixels as it refuses
            with PIL.Image.open(source) as picture:
                turned = PIL.ImageOps.exif_transpose(picture)
                if turned.mode.startswith(("I", "F")):  # grey with more than 8 bits
                    turned = PIL.Image.fromarray(_in_bytes(np.asarray(turned)))
                clear = "A" in turned.getbands() or "transparency" in turned.info
                pixels = np.array(turned.convert("RGBA" if clear else "RGB"))
                if profile := turned.info.get("icc_profile"):
                    pixels[..., :3] = _in_srgb(turned, profile)
                return pixels
    except PIL.Image.DecompressionBombError as error:
        raise MediaError(f"{name} has too many pixels; 178 million are the most.") from error
    except Exception as error:  # what a decoder says of a damaged file has no common base
        raise MediaError(f"{name} is not a picture that can be read.") from error


def _in_bytes(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of 16 or 32 bits as 8; whether white is 1 (of floating point), 255 or 65535 is told by the lightest pixel."""
    grey = np.where(np.isfinite(grey), grey, 0)
    most, white = float(grey.max(initial=0)), 65535.0
    if grey.dtype.itemsize > 2 and most <= 256:  # noqa: PLR2004 - not 16 bits, and none of them used
        white = 1.0 if grey.dtype.kind == "f" and most <= 2 else 255.0  # noqa: PLR2004 - some are a little above 1
    return np.asarray(grey.clip(0, white) * (255 / white), np.float64).round().astype(np.uint8)


def _in_srgb(picture: PIL.Image.Image, profile: bytes) -> NDArray[np.uint8]:
    """The colours of a picture as screens show them, ``(height, width, 3)``; a profile that makes no sense is left alone."""
    plain = picture.convert("RGB")
    with contextlib.suppress(PIL.ImageCms.PyCMSError, OSError, ValueError):
        given = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = given.profile.xcolor_space.strip()
        colours = plain if space == "RGB" else picture
        if "sRGB" not in PIL.ImageCms.getProfileDescription(given) and _SPACES.get(colours.mode) == space:
            screen = PIL.ImageCms.createProfile("sRGB")
            shown = PIL.ImageCms.profileToProfile(colours, given, screen, outputMode="RGB")
            plain = shown or plain
    return np.asarray(plain, np.uint8)


def write_image(path: Path, image: Image) -> None:
    """Writes a picture, whole or not at all, in the format its suffix names.

    Raises:
        OutputError: if that is none, or it cannot be written.
    """
    try:
        done, data = cv2.imencode(path.suffix or ".none", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done, data = False, None
    if not done or data is None:
        raise OutputError(f"{path} must end in .png or .jpg.")
    try:
        with whole(path) as part:
            part.write_bytes(data.tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}.") from error
