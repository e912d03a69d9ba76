"""Reads and writes photos as 8-bit sRGB, whatever kind of picture a file holds. Nothing here knows about faces.

``photo_files.py`` decides which files are read, and how much memory that may take. Pixels are converted in strips of rows, so
that a photo of 200 million pixels is never in memory twice.
"""

import contextlib
import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray

from stillspeak.errors import OutputError
from stillspeak.media.files import require_file
from stillspeak.media.photo_files import MOST_BYTES, load_photo
from stillspeak.whole import whole

Image = NDArray[np.uint8]  # (height, width, 3), RGB
_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}  # Pillow's names of modes and those of colour profiles
_MOST_PX = 8192  # ours: the longest side that a photo keeps when it is read; a video may have no longer one
_STRIP_PIXELS = 1 << 22  # ours: so many pixels are converted at once
_ORIENTATION = 0x0112  # Exif 2.3
_WHITE_16 = 65535.0  # white in 16 bits
_EIGHT_OF_16 = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def read_image(path: str | Path, *, opaque: bool = True) -> Image:
    """Reads a photo as 8-bit sRGB, ``(height, width, 3)``; turns it as its EXIF says; 16-bit, grey, RGBA and CMYK all work.

    A photo whose longer side exceeds 8192 pixels is made smaller, so that this side is 8192. Transparent parts are shown on
    white; with ``opaque`` False, for callers who keep the opacity too, they keep their own colours.

    Raises:
        MediaError: if the file is missing, is no picture, claims more pixels than any camera has, or takes too much memory.
    """
    pixels = _read(path)
    return _on_white(pixels) if opaque else np.ascontiguousarray(pixels[..., :3])


def read_alpha(path: str | Path) -> NDArray[np.uint8] | None:
    """Reads the opacity of a photo, uint8 ``(height, width)``; None if it is opaque everywhere. Raises as ``read_image`` does."""
    pixels = _read(path)
    if pixels.shape[2] == 3 or pixels[..., 3].min() == np.iinfo(np.uint8).max:  # noqa: PLR2004 - colours alone
        return None
    return np.ascontiguousarray(pixels[..., 3])


def decode_image(data: bytes, name: str, most_px: int = _MOST_PX, most_bytes: int = MOST_BYTES) -> tuple[Image, float]:
    """Reads a photo from a file's bytes, as ``read_image`` does.

    Args:
        data: the bytes of the file.
        name: what an error calls the file.
        most_px: the longest side of the result; a longer photo is made smaller.
        most_bytes: the bytes of memory that the photo may take while it is read.

    Returns:
        The photo, ``(height, width, 3)``, and by what factor it was made smaller, at least 1.

    Raises:
        MediaError: as ``read_image`` does.
    """
    pixels, smaller = _pixels(io.BytesIO(data), name, most_px, most_bytes)
    return _on_white(pixels), smaller


def _read(path: str | Path) -> NDArray[np.uint8]:
    require_file(Path(path))
    with Path(path).open("rb") as file:
        return _pixels(file, str(path), _MOST_PX, MOST_BYTES)[0]


def _pixels(file: IO[bytes], name: str, most_px: int, most_bytes: int) -> tuple[NDArray[np.uint8], float]:
    """Returns red, green, blue, and opacity if there is any, upright; and by what factor the photo was made smaller."""
    picture, size = load_photo(file, name, most_px, most_bytes)
    pixels = _turned(_shown(picture, most_px), _orientation(picture))
    return pixels, max(size) / max(pixels.shape[:2])


def _shown(picture: PIL.Image.Image, most_px: int) -> NDArray[np.uint8]:
    """Returns the pixels as screens show them, ``(height, width, 3 or 4)``; the longer side is at most ``most_px``."""
    width, height = picture.size
    scale = max(1.0, max(width, height) / most_px)
    small_width, small_height = max(1, round(width / scale)), max(1, round(height / scale))
    convert, down = _converter(picture), height / small_height
    rows = max(1, int(_STRIP_PIXELS / (width * down)))
    pixels = np.empty((small_height, small_width, 0), np.uint8)
    for begin in range(0, small_height, rows):
        end = min(small_height, begin + rows)
        top, bottom = int(begin * down), min(height, math.ceil(end * down))
        strip = convert(picture.crop((0, top, width, bottom)))
        if scale > 1:
            inside = (0, begin * down - top, width, min(end * down, bottom) - top)
            strip = strip.resize((small_width, end - begin), PIL.Image.Resampling.BOX, inside)
        if not pixels.size:
            pixels = np.empty((small_height, small_width, len(strip.getbands())), np.uint8)
        pixels[begin:end] = np.asarray(strip)
    return pixels


def _converter(picture: PIL.Image.Image) -> Callable[[PIL.Image.Image], PIL.Image.Image]:
    """Returns a function that turns any part of a picture into RGB or RGBA in 8-bit sRGB."""
    if picture.mode.startswith(("I", "F")):  # grey with more than 8 bits
        white = _white(picture)
        return lambda part: PIL.Image.fromarray(_in_bytes(np.asarray(part), white)).convert("RGB")
    clear = "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info
    to_screen = _to_srgb(picture)

    def converted(part: PIL.Image.Image) -> PIL.Image.Image:
        shown = part.convert("RGBA" if clear else "RGB")
        if to_screen is None:
            return shown
        colours = to_screen(part)
        if clear:
            colours.putalpha(shown.getchannel("A"))
        return colours

    return converted


def _white(picture: PIL.Image.Image) -> float:
    """Returns the number for white in grey of 16 or 32 bits, by the lightest pixel: 1 (floating point), 255 or 65535."""
    width, height = picture.size
    rows, most = max(1, _STRIP_PIXELS // width), 0.0
    if picture.mode.startswith("I;16"):
        return _WHITE_16
    for top in range(0, height, rows):
        grey = np.asarray(picture.crop((0, top, width, min(height, top + rows))))
        most = max(most, float(np.where(np.isfinite(grey), grey, 0).max(initial=0)))
    if most > 256:  # noqa: PLR2004 - 16 bits are used
        return _WHITE_16
    return 1.0 if picture.mode == "F" and most <= 2 else 255.0  # noqa: PLR2004 - some are a little above 1


def _in_bytes(grey: NDArray[Any], white: float) -> NDArray[np.uint8]:
    if grey.dtype.itemsize == 2:  # noqa: PLR2004 - 16 bits
        return _EIGHT_OF_16[grey]
    grey = np.where(np.isfinite(grey), grey, 0)
    return np.asarray(grey.clip(0, white) * (255 / white), np.float64).round().astype(np.uint8)


def _to_srgb(picture: PIL.Image.Image) -> Callable[[PIL.Image.Image], PIL.Image.Image] | None:
    """Returns a function that turns a part's colours into sRGB; None if they are in sRGB, or no usable profile says."""
    try:
        given = PIL.ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        space = given.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]
        mode = "RGB" if space == "RGB" else picture.mode
        if "sRGB" in PIL.ImageCms.getProfileDescription(given) or _SPACES.get(mode) != space:
            return None
        screen = PIL.ImageCms.createProfile("sRGB")
        transform = PIL.ImageCms.buildTransform(given, screen, mode, "RGB")
        PIL.ImageCms.applyTransform(PIL.Image.new(mode, (1, 1)), transform)
    except Exception:  # the errors of a damaged profile have no common base; viewers ignore such a profile
        return None
    return lambda part: PIL.ImageCms.applyTransform(part.convert(mode), transform) or part.convert("RGB")


def _orientation(picture: PIL.Image.Image) -> int:
    """Returns which way is up, 1 to 8 as in Exif 2.3; 1 if the metadata do not say, or make no sense."""
    with contextlib.suppress(Exception), warnings.catch_warnings():  # damaged metadata may be anything
        warnings.simplefilter("ignore")
        said = picture.getexif().get(_ORIENTATION, 1)
        if isinstance(said, int):
            return said
    return 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turns and mirrors a picture as Exif 2.3 numbers it; any other number than 2 to 8 leaves it as it is."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _on_white(pixels: NDArray[np.uint8]) -> Image:
    if pixels.shape[2] == 3:  # noqa: PLR2004 - colours alone
        return pixels
    image = np.empty((*pixels.shape[:2], 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        strip = pixels[top : top + rows]
        share = strip[..., 3:] / np.float32(255)
        image[top : top + rows] = (strip[..., :3] * share + 255 * (1 - share)).round()
    return image


def write_image(path: Path, image: Image) -> None:
    """Writes a picture, whole or not at all, in the format that its suffix names.

    Raises:
        OutputError: if the suffix names no format, or the file cannot be written.
    """
    import cv2

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
