"""Writes into every output, for machines to read, that it is synthetic and which program made it.

The digital source type is IPTC's controlled term for media made by a trained model
(cv.iptc.org/newscodes/digitalsourcetype), written as XMP (ISO 16684) and, in videos, as tags that any player shows.
"""

import json
import struct
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EDITED_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # names the box of an ISO media file, XMP part 3
_XMP_KEYWORD = b"XML:com.adobe.xmp"  # names the PNG chunk, XMP part 3
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"  # begins the JPEG segment, XMP part 3
_WEBP_HAS_XMP = 4  # a flag of the extended file format
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ISO_SUFFIXES = (".mp4", ".mov")


def package_version() -> str:
    """Returns the installed version of stillspeak, or ``0`` in a bare source tree."""
    try:
        return version("stillspeak")
    except PackageNotFoundError:
        return "0"


def software() -> str:
    """Returns the name and version of the program that makes outputs."""
    return f"stillspeak {package_version()}"


def statement(kind: str = DIGITAL_SOURCE_TYPE) -> dict[str, str | bool]:
    """Returns what an output says of itself, as JSON fields; ``kind`` is its digital source type."""
    return {"digitalSourceType": kind, "software": software(), "synthetic": True}


def container_metadata(kind: str = DIGITAL_SOURCE_TYPE) -> dict[str, str]:
    """Returns tags for a media container: the IPTC digital source type, and ``statement`` as JSON in the comment."""
    return {"comment": json.dumps(statement(kind)), "encoder": software(), "DigitalSourceType": kind}


def xmp(kind: str = DIGITAL_SOURCE_TYPE) -> bytes:
    """Returns the XMP packet of an output of a digital source type."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmp:CreatorTool="{software()}" Iptc4xmpExt:DigitalSourceType="{kind}"/></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


def mark_file(path: Path, kind: str = DIGITAL_SOURCE_TYPE) -> None:
    """Adds the XMP packet to a finished mp4 or mov; other containers have only their tags."""
    if path.suffix.lower() in _ISO_SUFFIXES:
        packet = xmp(kind)
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + _XMP_UUID + packet)


def marked_png(png: bytes) -> bytes:
    """Returns a PNG file's bytes with the XMP packet behind its header."""
    content = b"iTXt" + _XMP_KEYWORD + b"\0\0\0\0\0" + xmp()
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    header = len(PNG_SIGNATURE) + 25
    return png[:header] + chunk + png[header:]


def marked_gif(gif: bytes) -> bytes:
    """Returns the end of a GIF file, whose last byte is the trailer, with the XMP packet before the trailer."""
    magic = bytes([1, *range(255, -1, -1), 0])  # lets readers that do not know XMP skip it (XMP part 3)
    return gif[:-1] + b"\x21\xff\x0bXMP DataXMP" + xmp() + magic + gif[-1:]


def marked_jpeg(jpeg: bytes) -> bytes:
    """Returns a JPEG file's bytes with the XMP packet behind its first marker."""
    content = _XMP_JPEG + xmp()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content + jpeg[2:]


def marked_webp(webp: bytes) -> bytes:
    """Turns the bytes of a simple WebP file, as encoders write it, into an extended one with the XMP packet at its end."""
    chunks, packet = webp[12:], xmp()
    if chunks[:4] == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", chunks[14:18]))
    else:  # VP8L stores each side less one in 14 bits
        bits = int.from_bytes(chunks[9:13], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<IB", 10, _WEBP_HAS_XMP) + bytes(3) + sides
    last = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    body = b"WEBP" + extended + chunks + last
    return b"RIFF" + struct.pack("<I", len(body)) + body
