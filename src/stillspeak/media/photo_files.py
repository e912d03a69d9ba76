"""Opens the kinds of file that photos come in, and no others. Ours.

Pillow knows some forty kinds of picture. Some of them run other programs (EPS starts Ghostscript), some name other files, and
hardly anybody has a photo in them. Here the first bytes of a file choose one decoder from a short list. The header of a picture
says how much memory its pixels will take; the caller says how much that may be. ``images.py`` converts the pixels.
"""

import contextlib
import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import IO, Any, NamedTuple

import numpy as np
import PIL.AvifImagePlugin
import PIL.BmpImagePlugin
import PIL.GifImagePlugin
import PIL.Image
import PIL.ImageFile
import PIL.Jpeg2KImagePlugin
import PIL.JpegImagePlugin
import PIL.PngImagePlugin
import PIL.PpmImagePlugin
import PIL.TiffImagePlugin
import PIL.WebPImagePlugin
import pillow_heif

from stillspeak.errors import MediaError
from stillspeak.media.mending import as_it_is, without_avif_exif, without_jpeg_extras, without_png_extras

MOST_BYTES = 1_000_000_000  # ours: a picture may take so much memory while it is read
_MOST_PIXELS = 300_000_000  # ours: phones have 200 million
_MOST_EXTRA_BYTES = 16 << 20  # ours: the longest colour profile or text; Pillow takes one million
_HEAD_BYTES = 256  # the first bytes of a file, which show its kind
_KINDS_READ = "JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF, BMP, JPEG 2000 and PNM"
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "LA": 4, "PA": 4}  # as Pillow keeps them
_NEARLY = 0.95  # ours: a photo of 200 million pixels is 16320 wide; its half counts as 8192
_SMALLEST_DRAFT = 8  # a JPEG decoder makes a picture smaller by 2, 4 or 8
_GLOBAL = threading.Lock()


class _Kind(NamedTuple):
    """Describes a kind of file.

    Attributes:
        name: what people call it.
        read: reads the header.
        mend: removes metadata that no viewer reads.
        more_bytes: how many bytes of memory the decoder takes for each pixel beside the pixel itself (measured with Pillow 13).
    """

    name: str
    read: Callable[[io.BytesIO], PIL.Image.Image]
    mend: Callable[[bytes], bytes] = as_it_is
    more_bytes: int = 0


_AVIF = _Kind("AVIF", PIL.AvifImagePlugin.AvifImageFile, without_avif_exif, 6)
_WEBP = _Kind("WebP", PIL.WebPImagePlugin.WebPImageFile, more_bytes=12)
_HEIC = _Kind("HEIC", pillow_heif.HeifImageFile, more_bytes=4)
_KINDS = (
    (re.compile(rb"\xff\xd8\xff"), _Kind("JPEG", PIL.JpegImagePlugin.jpeg_factory, without_jpeg_extras)),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _Kind("PNG", PIL.PngImagePlugin.PngImageFile, without_png_extras)),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _WEBP),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _Kind("TIFF", PIL.TiffImagePlugin.TiffImageFile)),
    (re.compile(rb"GIF8[79]a"), _Kind("GIF", PIL.GifImagePlugin.GifImageFile)),
    (re.compile(rb"BM"), _Kind("BMP", PIL.BmpImagePlugin.BmpImageFile)),
    (
        re.compile(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
        _Kind("JPEG 2000", PIL.Jpeg2KImagePlugin.Jpeg2KImageFile, more_bytes=16),
    ),
    (re.compile(rb"P[1-7fF]\s"), _Kind("PNM", PIL.PpmImagePlugin.PpmImageFile)),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}


class Loaded(NamedTuple):
    """Holds a picture whose pixels are decoded, and its width and height before a decoder made it smaller."""

    picture: PIL.Image.Image
    size: tuple[int, int]


def load_photo(file: IO[bytes], name: str, most_px: int, most_bytes: int) -> Loaded:
    """Opens a photo and decodes its pixels. It forgives what viewers forgive: odd metadata, and a missing end.

    Args:
        file: the picture's file, at its beginning.
        name: what an error calls it.
        most_px: the longer side that the caller needs; a decoder may make a larger picture smaller.
        most_bytes: how many bytes of memory the picture may take.

    Raises:
        MediaError: if the file is no picture of a kind in the list, is damaged, or takes too much memory.
    """
    kind = _kind_of(file.read(_HEAD_BYTES))
    if kind is None:
        raise MediaError(f"{name} is not a picture that can be read: {_KINDS_READ} can be.")
    if file.seek(0, io.SEEK_END) > most_bytes:
        raise MediaError(f"{name} is larger than {most_bytes / 1e6:.0f} MB, which is too large for a picture.")
    file.seek(0)
    data = file.read()
    failure: Exception | None = None
    for mend, allowing in ((as_it_is, contextlib.nullcontext), (kind.mend, _large_extras), (kind.mend, _missing_end)):
        try:
            with allowing():
                loaded = _loaded(kind, mend(data), name, most_px, most_bytes)
            if allowing is _missing_end:
                _require_more_than_half(loaded.picture, name)
            return loaded
        except MediaError:
            raise
        except MemoryError as error:
            raise MediaError(f"{name} takes more memory to read than there is; make it smaller first.") from error
        except Exception as error:  # the errors of decoders over damaged files have no common base
            failure = error
    raise MediaError(f"{name} is not a picture that can be read: its {kind.name} is damaged.") from failure


def _kind_of(head: bytes) -> _Kind | None:
    if head[4:8] == b"ftyp":  # boxes of ISO media: photos and films alike
        end = min(len(head), int.from_bytes(head[:4], "big"))
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return _AVIF
        return _HEIC if brands & _HEIC_BRANDS else None
    return next((kind for begins, kind in _KINDS if begins.match(head)), None)


def _loaded(kind: _Kind, data: bytes, name: str, most_px: int, most_bytes: int) -> Loaded:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nobody needs warnings of odd metadata
        if kind is _WEBP:
            size = _webp_size(data)
            _require_room(size, (kind.more_bytes + 4) * size[0] * size[1], name, most_bytes)
        picture = kind.read(io.BytesIO(data))
        size, taken = picture.size, len(data)
        if size[0] * size[1] > _MOST_PIXELS:
            raise MediaError(f"{name} has too many pixels; {_MOST_PIXELS // 10**6} million are the most.")
        if isinstance(picture, PIL.JpegImagePlugin.JpegImageFile):
            taken += _coefficient_bytes(picture)
            _make_smaller(picture, most_px, most_bytes - taken)
        a_pixel = kind.more_bytes + _PIXEL_BYTES.get(picture.mode, 4)
        taken += a_pixel * picture.size[0] * picture.size[1]
        _require_room(size, taken, name, most_bytes)
        picture.load()
    return Loaded(picture, size)


def _require_room(size: tuple[int, int], taken_bytes: float, name: str, most_bytes: int) -> None:
    if taken_bytes > most_bytes:
        raise MediaError(
            f"{name} has {size[0]} x {size[1]} pixels and takes {taken_bytes / 1e6:.0f} MB of memory to read; "
            f"{most_bytes / 1e6:.0f} MB are the most. Make it smaller first."
        )


def _webp_size(data: bytes) -> tuple[int, int]:
    """Reads width and height in a WebP's header (RFC 9649), because its decoder takes the memory before it tells them."""
    numbers = int.from_bytes(data[20:30], "little")
    if data[12:16] == b"VP8X":  # after four bytes of flags
        return (numbers >> 32 & 0xFFFFFF) + 1, (numbers >> 56 & 0xFFFFFF) + 1
    if data[12:16] == b"VP8L":  # after a signature
        return (numbers >> 8 & 0x3FFF) + 1, (numbers >> 22 & 0x3FFF) + 1
    return numbers >> 48 & 0x3FFF, numbers >> 64 & 0x3FFF


def _coefficient_bytes(picture: PIL.JpegImagePlugin.JpegImageFile) -> float:
    """Returns the memory of a progressive JPEG until its last scan: two bytes for each coefficient of the full size."""
    if not picture.info.get("progressive"):
        return 0
    layers: list[Any] = picture.layer  # each: number, horizontal and vertical samples, table
    across, down = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    share = sum(layer[1] * layer[2] for layer in layers) / (across * down)
    return 2 * share * picture.size[0] * picture.size[1]


def _make_smaller(picture: PIL.JpegImagePlugin.JpegImageFile, most_px: int, most_bytes: float) -> None:
    """Lets the JPEG decoder skip detail that the caller does not need, or has no memory for."""
    (width, height), by = picture.size, 1
    a_pixel = _PIXEL_BYTES.get(picture.mode, 4)
    while by < _SMALLEST_DRAFT and (
        max(width, height) / (2 * by) >= _NEARLY * most_px or a_pixel * width * height / by**2 > most_bytes
    ):
        by *= 2
    if by > 1:
        picture.draft(picture.mode, (max(1, width // by), max(1, height // by)))


def _require_more_than_half(picture: PIL.Image.Image, name: str) -> None:
    """Raises MediaError if the lower half of a picture that was cut off is empty; decoders leave it in one colour."""
    width, height = picture.size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large pictures, even of their half
        spans = np.reshape(picture.crop((0, height // 2, width, height)).getextrema(), (-1, 2))
    if np.all(spans[:, 0] == spans[:, 1]):
        raise MediaError(f"{name} is cut off: more than half of the picture is missing. Copy or download it again.")


@contextlib.contextmanager
def _large_extras() -> Iterator[None]:
    """Lets PNG files have longer texts and colour profiles than Pillow takes by default."""
    with _GLOBAL, _set(PIL.PngImagePlugin, "MAX_TEXT_CHUNK", _MOST_EXTRA_BYTES):
        yield


@contextlib.contextmanager
def _missing_end() -> Iterator[None]:
    """Lets a picture end too early; the missing part stays empty."""
    with _large_extras(), _set(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True):
        yield


@contextlib.contextmanager
def _set(module: ModuleType, name: str, value: int) -> Iterator[None]:
    """Sets a variable of one of Pillow's modules and restores it at the end."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
