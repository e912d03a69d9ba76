"""What every output says of itself, machine-readably: that it is synthetic, and what made it.

The digital source type is IPTC's controlled term for media made by a trained model
(cv.iptc.org/newscodes/digitalsourcetype), written as XMP (ISO 16684) and, in videos, as tags that any player shows.
"""

import json
import struct
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # of the box of an ISO media file, XMP part 3
_XMP_KEYWORD = b"XML:com.adobe.xmp"  # of a PNG chunk, XMP part 3
_XMP_JPEG = b"http://ns.adobe.com/xap/1.0/\0"  # of a JPEG segment, XMP part 3
_WEBP_HAS_XMP = 4  # a flag of the extended file format
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ISO_SUFFIXES = (".mp4", ".mov")


def package_version() -> str:
    """The installed version of stillspeak, or ``0`` from a bare source tree."""
    try:
        return version("stillspeak")
    except PackageNotFoundError:
        return "0"


def software() -> str:
    """What made an output."""
    return f"stillspeak {package_version()}"


def statement() -> dict[str, str | bool]:
    """What an output says of itself."""
    return {"digitalSourceType": DIGITAL_SOURCE_TYPE, "software": software(), "synthetic": True}


def container_metadata() -> dict[str, str]:
    """Tags for a media container: the IPTC digital source type, and the same as JSON in the comment any tool shows."""
    return {"comment": json.dumps(statement()), "encoder": software(), "DigitalSourceType": DIGITAL_SOURCE_TYPE}


def xmp() -> bytes:
    """The XMP packet of an output."""
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmp:CreatorTool="{software()}" Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>""".encode()


def mark_file(path: Path) -> None:
    """Adds the XMP packet to a finished mp4 or mov; other containers have their tags alone."""
    if path.suffix.lower() in _ISO_SUFFIXES:
        packet = xmp()
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 24 + len(packet), b"uuid") + _XMP_UUID + packet)


def marked_png(png: bytes) -> bytes:
    """A PNG file's bytes with the XMP packet behind its header."""
    content = b"iTXt" + _XMP_KEYWORD + b"\0\0\0\0\0" + xmp()
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    header = len(PNG_SIGNATURE) + 25
    return png[:header] + chunk + png[header:]


def marked_gif(gif: bytes) -> bytes:
    """The end of a GIF file, its last byte the trailer, with the XMP packet before it."""
    magic = bytes([1, *range(255, -1, -1), 0])  # XMP part 3: lets readers that know no XMP skip it
    return gif[:-1] + b"\x21\xff\x0bXMP DataXMP" + xmp() + magic + gif[-1:]


def marked_jpeg(jpeg: bytes) -> bytes:
    """A JPEG file's bytes with the XMP packet behind its first marker."""
    content = _XMP_JPEG + xmp()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(content)) + content + jpeg[2:]


def marked_webp(webp: bytes) -> bytes:
    """The bytes of a simple WebP file, as encoders write them, as an extended one with the XMP packet at its end."""
    chunks, packet = webp[12:], xmp()
    if chunks[:4] == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", chunks[14:18]))
    else:  # VP8L: 14 bits each, less one
        bits = int.from_bytes(chunks[9:13], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<IB", 10, _WEBP_HAS_XMP) + bytes(3) + sides
    last = b"XMP " + struct.pack("<I", len(packet)) + packet + bytes(len(packet) % 2)
    body = b"WEBP" + extended + chunks + last
    return b"RIFF" + struct.pack("<I", len(body)) + body
