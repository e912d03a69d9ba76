"""Removes damaged or too long metadata from a picture's file, because decoders refuse what viewers skip. Ours.

Pixels, transparency and colours stay. Each function takes and returns the bytes of a whole file. If it cannot follow the
bytes, it returns them unchanged, and the decoder says what is wrong.
"""

import re
import struct
import zlib

_PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"eXIf"}
_PNG_BEGIN_BYTES, _PNG_FRAME_BYTES = 8, 12  # the signature; length, name and checksum of a chunk
_JPEG_TABLES = {0xC4, 0xDB, 0xDD}  # Huffman, quantisation, restart interval
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_ADOBE = 0xDA, 0xEE  # Adobe's marker says which colours the numbers mean
_JPEG_EXIF, _JPEG_PROFILE = 0xE1, 0xE2
_JPEG_KEPT = {_JPEG_EXIF: re.compile(rb"Exif\0\0"), _JPEG_PROFILE: re.compile(rb"ICC_PROFILE\0..", re.DOTALL)}
_BOX_BYTES = 8  # length and name of a box of ISO media


def as_it_is(data: bytes) -> bytes:
    """Returns the bytes unchanged."""
    return data


def without_png_extras(data: bytes) -> bytes:
    """Returns a PNG file without texts, and without chunks of metadata whose checksum is wrong."""
    kept, at = [data[:_PNG_BEGIN_BYTES]], _PNG_BEGIN_BYTES
    while at + _PNG_FRAME_BYTES <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + _PNG_FRAME_BYTES + length
        needed = name[:1].isupper()  # PNG, section 5.4: what cannot be left out begins with a capital letter
        whole = end <= len(data) and zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if needed or (whole and name in _PNG_KEPT and (name != b"iCCP" or b"\0\0" in data[at + 8 : end])):
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def without_jpeg_extras(data: bytes) -> bytes:
    """Returns a JPEG file without comments and applications' segments, but with Exif, colour profile and Adobe's marker.

    If the length of a segment is wrong, the function looks for the next segment.
    """
    kept, at = [data[:2]], 2
    while at + 4 <= len(data):
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if data[at] != 0xFF or not _begins_segment(marker):  # noqa: PLR2004 - every marker's first byte
            at = data.find(b"\xff", at + 1)
            if at < 0:
                return data
            continue
        if marker == _JPEG_SCAN:
            return b"".join([*kept, data[at:]])
        if marker in _JPEG_TABLES or marker in _JPEG_FRAMES or _says_how_it_looks(marker, data[at + 4 : end]):
            kept.append(data[at:end])
        at = end
    return data


def _begins_segment(marker: int) -> bool:
    return marker in _JPEG_TABLES or marker in _JPEG_FRAMES or marker in (_JPEG_SCAN, 0xFE) or 0xE0 <= marker < 0xF0  # noqa: PLR2004


def _says_how_it_looks(marker: int, content: bytes) -> bool:
    return marker == _JPEG_ADOBE or (marker in _JPEG_KEPT and bool(_JPEG_KEPT[marker].match(content)))


def without_avif_exif(data: bytes) -> bytes:
    """Returns an AVIF file whose Exif item is renamed, so that no decoder reads it; other parts say which way is up."""
    at = 0
    while at + _BOX_BYTES <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + _BOX_BYTES])
        if name == b"meta":
            meta = data[at : at + length]
            return data[:at] + meta.replace(b"Exif", b"skip") + data[at + length :]
        if length < _BOX_BYTES:
            break
        at += length
    return data
