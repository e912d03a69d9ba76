"""Reads and writes photos as 8-bit sRGB, whatever kind of picture a file holds. Nothing here knows about faces.

Which files are read, and how much memory that may take: ``photo_files.py``. Pixels are converted in strips of rows, so that a
photo of 200 million pixels is never in memory twice.
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
_MOST_PX = 8192  # ours: longer side of a photo as it is read; as much as a video may have
_STRIP_PIXELS = 1 << 22  # ours: converted at once
_ORIENTATION = 0x0112  # Exif 2.3
_WHITE_16 = 65535.0  # of 16 bits
_EIGHT_OF_16 = ((np.arange(65536) + 128) // 257).astype(np.uint8)


def read_image(path: str | Path, *, opaque: bool = True) -> Image:
    """Reads a photo as 8-bit sRGB, ``(height, width, 3)``; turns it as its EXIF says; 16-bit, grey, RGBA and CMYK all work.

    A photo longer than 8192 pixels is read smaller, so that its longer side is at most 8192. What is transparent is shown on
    white; with ``opaque`` False, for callers who keep the opacity too, as its pixels are.

    Raises:
        MediaError: if it is missing, not a picture, claims more pixels than any camera has, or takes too much memory.
    """
    pixels = _read(path)
    return _on_white(pixels) if opaque else np.ascontiguousarray(pixels[..., :3])


def read_alpha(path: str | Path) -> NDArray[np.uint8] | None:
    """The opacity of a photo, uint8 ``(height, width)``; None if all of it is opaque. Raises MediaError as ``read_image``."""
    pixels = _read(path)
    if pixels.shape[2] == 3 or pixels[..., 3].min() == np.iinfo(np.uint8).max:  # noqa: PLR2004 - colours alone
        return None
    return np.ascontiguousarray(pixels[..., 3])


def decode_image(data: bytes, name: str, most_px: int = _MOST_PX, most_bytes: int = MOST_BYTES) -> tuple[Image, float]:
    """Reads a photo from a file's bytes, as ``read_image`` does.

    Args:
        data: the file.
        name: what an error calls it.
        most_px: longer side of the result; a longer photo is made smaller.
        most_bytes: of memory that the photo may take while it is read.

    Returns:
        The photo, ``(height, width, 3)``, and how many of its own pixels make one of these, at least 1.

    Raises:
        MediaError: as ``read_image``.
    """
    pixels, smaller = _pixels(io.BytesIO(data), name, most_px, most_bytes)
    return _on_white(pixels), smaller


def _read(path: str | Path) -> NDArray[np.uint8]:
    require_file(Path(path))
    with Path(path).open("rb") as file:
        return _pixels(file, str(path), _MOST_PX, MOST_BYTES)[0]


def _pixels(file: IO[bytes], name: str, most_px: int, most_bytes: int) -> tuple[NDArray[np.uint8], float]:
    """Red, green, blue, and opacity where there is any, upright; and how many of its own pixels make one of these."""
    picture, size = load_photo(file, name, most_px, most_bytes)
    pixels = _turned(_shown(picture, most_px), _orientation(picture))
    return pixels, max(size) / max(pixels.shape[:2])


def _shown(picture: PIL.Image.Image, most_px: int) -> NDArray[np.uint8]:
    """The pixels as screens show them, ``(height, width, 3 or 4)``, the longer side at most ``most_px``."""
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
    """What makes RGB or RGBA, 8-bit sRGB, of any part of a picture."""
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
    """The number that is white in grey of 16 or 32 bits: 1 (of floating point), 255 or 65535, by the lightest pixel."""
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
    """What makes the colours of a part of a picture those that screens show; None if they are, or if nobody can say."""
    try:
        given = PIL.ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        space = given.profile.xcolor_space.strip()  # pyright: ignore[reportAttributeAccessIssue]
        mode = "RGB" if space == "RGB" else picture.mode
        if "sRGB" in PIL.ImageCms.getProfileDescription(given) or _SPACES.get(mode) != space:
            return None
        screen = PIL.ImageCms.createProfile("sRGB")
        transform = PIL.ImageCms.buildTransform(given, screen, mode, "RGB")
        PIL.ImageCms.applyTransform(PIL.Image.new(mode, (1, 1)), transform)
    except Exception:  # what a library says of a damaged profile has no common base; viewers leave it alone
        return None
    return lambda part: PIL.ImageCms.applyTransform(part.convert(mode), transform) or part.convert("RGB")


def _orientation(picture: PIL.Image.Image) -> int:
    """Which way is up, 1 to 8 as of Exif 2.3; 1 where the metadata say nothing that makes sense."""
    with contextlib.suppress(Exception), warnings.catch_warnings():  # damaged metadata may be anything
        warnings.simplefilter("ignore")
        said = picture.getexif().get(_ORIENTATION, 1)
        if isinstance(said, int):
            return said
    return 1


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A picture turned and mirrored as Exif 2.3 numbers it; any other number than 2 to 8 leaves it as it is."""
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
    """Writes a picture, whole or not at all, in the format its suffix names.

    Raises:
        OutputError: if that is none, or it cannot be written.
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
