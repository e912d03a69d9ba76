"""Tells the kind of a file by its first bytes, so that an error can name it.

This module refuses only files that are surely of another kind; whoever reads a file decides whether it can be read.
"""

import contextlib
from pathlib import Path

from stillspeak.errors import MediaError

_HEAD_BYTES = 512
PICTURE, SOUND, VIDEO, TEXT, OTHER = "a picture", "a sound", "a video", "a text file", ""
_BEGINS = (
    (b"\xff\xd8\xff", PICTURE),
    (b"\x89PNG", PICTURE),
    (b"GIF8", PICTURE),
    (b"BM", PICTURE),
    (b"II*\0", PICTURE),
    (b"MM\0*", PICTURE),
    (b"fLaC", SOUND),
    (b"OggS", SOUND),
    (b"ID3", SOUND),
    (b"\xff\xfb", SOUND),
    (b"\xff\xf3", SOUND),
    (b"\xff\xf1", SOUND),
    (b"FORM", SOUND),
    (b".snd", SOUND),
    (b"#!AMR", SOUND),
    (b"caff", SOUND),
    (b"\x1a\x45\xdf\xa3", VIDEO),
    (b"\x30\x26\xb2\x75", VIDEO),
    (b"FLV", VIDEO),
    (b"\0\0\x01\xba", VIDEO),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
)
_OF_RIFF = {b"WAVE": SOUND, b"WEBP": PICTURE, b"AVI ": VIDEO}
_OF_BOXES = {b"M4A": SOUND, b"M4B": SOUND, b"hei": PICTURE, b"hev": PICTURE, b"mif": PICTURE, b"avi": PICTURE}


def kind_of(path: str | Path) -> str:
    """Returns the kind of a file with its article, such as ``a sound``; empty if it is unknown or the file cannot be read."""
    head = b""
    with contextlib.suppress(OSError, ValueError):
        if not Path(path).is_file():  # a pipe must not be read twice
            return OTHER
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    if head[:4] in (b"RIFF", b"RF64"):
        return _OF_RIFF.get(head[8:12], OTHER)
    if head[4:8] == b"ftyp":
        return _OF_BOXES.get(head[8:11], VIDEO)
    if head.startswith(b"%PDF"):
        return "a PDF document"
    return TEXT if _is_text(head) else next((kind for start, kind in _BEGINS if head.startswith(start)), OTHER)


def require_picture(path: str | Path) -> None:
    """Raises MediaError if a file is known to be something else than a picture; the sentence says what it is."""
    kind = kind_of(path)
    if kind not in (PICTURE, OTHER):
        frame = "; `stillspeak dub` takes a film, and --frame SECONDS takes a still from it" if kind == VIDEO else ""
        raise MediaError(f"{path} is {kind} and not a picture{frame}.")


def require_sound(path: str | Path) -> None:
    """Raises MediaError if a file is known to be something that has no sound."""
    kind = kind_of(path)
    if kind == PICTURE:
        raise MediaError(f"{path} is a picture; there is no sound in it.")
    if kind not in (SOUND, VIDEO, OTHER):
        raise MediaError(f"{path} is {kind} and not a sound.")


def require_order(photo: object, speech: object) -> None:
    """Raises MediaError if photo and speech are swapped; anything that is no file's name is passed over."""
    if not isinstance(photo, str | Path) or not isinstance(speech, str | Path):
        return
    kind = kind_of(photo)
    if kind in (SOUND, VIDEO) and kind_of(speech) == PICTURE:
        raise MediaError(f"{photo} is {kind} and {speech} a picture: the photo comes first, then the speech.")


def _is_text(head: bytes) -> bool:
    try:
        text = head[:-3].decode() if len(head) == _HEAD_BYTES else head.decode()  # a letter may be cut off at the end
    except UnicodeDecodeError:
        return False
    return bool(text.strip()) and all(letter.isprintable() or letter.isspace() for letter in text)
