"""Frames as pictures, without sound: a sequence of PNG files, raw bytes for a pipe; and which writer an output needs."""

import json
import os
import re
import sys
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import OutputError
from stillspeak.media.gif import GifWriter
from stillspeak.media.provenance import marked_png, statement
from stillspeak.media.signing import Signature
from stillspeak.media.soundtrack import Heard
from stillspeak.media.writer import FILM_SUFFIXES, VideoWriter
from stillspeak.streams import has_stdout
from stillspeak.whole import discard, part_file, publish

_PATTERN = re.compile(r"[^%]*%(0?[1-9]\d?)?d[^%]*", re.ASCII)


class Writer(Protocol):
    """Takes frames ``(height, width, 3)`` one by one inside a ``with`` block."""

    def __enter__(self) -> "Writer": ...

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Appends one frame."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def keeps_alpha(output: str) -> bool:
    """Whether the writer for an output keeps opacity."""
    return Path(output).suffix.lower() in (".webm", ".png")


def open_writer(
    output: str,
    fps: Fraction,
    sound: Heard | None,
    alpha: NDArray[np.uint8] | None = None,
    signature: Signature | None = None,
) -> Writer:
    """The writer for an output.

    Args:
        output: a file whose suffix says what it is, a pattern such as ``frame_%05d.png``, or ``-`` for raw frames to stdout.
        fps: frames a second.
        sound: as of ``VideoWriter``; pictures have none.
        alpha: opacity of every frame, uint8 ``(height, width)``; webm and PNG alone keep it.
        signature: signs the file (C2PA), if given.

    Raises:
        OutputError: if nothing can be written there, or the suffix is unknown.
    """
    path, suffix = Path(output), Path(output).suffix.lower()
    if output == "-":
        if not has_stdout():
            raise OutputError("There is no stdout to write frames to: whatever started stillspeak closed it.")
        return RawWriter(sys.stdout.buffer, fps)
    if suffix == ".png":
        return PngWriter(path, alpha, signature)
    if suffix == ".gif":
        return GifWriter(path, fps, signature)
    if suffix not in FILM_SUFFIXES and not os.path.isdir(path):  # noqa: PTH112 - says no of impossible names too
        raise OutputError(f"The output must end in {', '.join(FILM_SUFFIXES)}, .gif or .png, or be -, not {path.name}.")
    return VideoWriter(path, fps, sound, alpha=alpha, signature=signature)


class RawWriter:
    """RGB bytes, frame after frame; what they are is said on stderr in a line of JSON."""

    def __init__(self, to: BinaryIO, fps: Fraction) -> None:
        self._to, self._fps, self._said = to, fps, False

    def __enter__(self) -> "RawWriter":
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Appends one frame, ``(height, width, 3)``."""
        if not self._said:
            height, width = frame.shape[:2]
            about = {"pixel_format": "rgb24", "width": width, "height": height, "fps": str(self._fps)} | statement()
            print(json.dumps(about), file=sys.stderr, flush=True)
            self._said = True
        try:
            self._to.write(np.ascontiguousarray(frame).data)
        except BrokenPipeError:  # whoever reads has seen enough
            raise
        except OSError as failure:
            raise OutputError(f"The frames could not be written to stdout: {failure.strerror or failure}.") from failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._to.flush()


def numbered(pattern: str) -> bool:
    """Whether a name has exactly one place for a number, as ``frame_%05d.png`` has."""
    return bool(_PATTERN.fullmatch(pattern))


def writes_over(output: str, path: Path) -> bool:
    """Whether an output, a file or a pattern of numbered ones, is or will be the file that a path names."""
    made = Path(output)
    if numbered(made.name):
        before, after = re.split(r"%\d*d", made.name)
        number = path.name.removeprefix(before).removesuffix(after)
        if not re.fullmatch(r"\d+", number, re.ASCII):
            return False
        made = made.with_name(made.name % int(number))
    try:
        return path.samefile(made)
    except (OSError, ValueError):  # one of them is not there, or has a name that no file can have
        return False


def first_png(pattern: str) -> str:
    """The name of the first file of a pattern; of a name that is none, itself."""
    return pattern % 0 if numbered(pattern) else pattern


class PngWriter:
    """One PNG file a frame, numbered from 0.

    Args:
        pattern: with one number in it, ``frame_%05d.png``.
        alpha: opacity of every frame.
        signature: signs every file, if given.

    Raises:
        OutputError: if the name has no number in it, or the folder is missing.
    """

    def __init__(
        self, pattern: Path, alpha: NDArray[np.uint8] | None = None, signature: Signature | None = None
    ) -> None:
        self._pattern, self._alpha, self._signature, self._frames = pattern, alpha, signature, 0
        if not numbered(pattern.name):
            raise OutputError(f"Frames as PNG need a number in their name, such as frame_%05d.png, not {pattern.name}.")
        discard(part_file(pattern.with_name(pattern.name % 0)))  # the folder can be written, or it is said now

    def __enter__(self) -> "PngWriter":
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Writes one frame, ``(height, width, 3)``."""
        if self._alpha is None:
            pixels = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        else:
            pixels = cv2.cvtColor(np.dstack([frame, self._alpha]), cv2.COLOR_RGBA2BGRA)
        done, png = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        assert done
        path = self._pattern.with_name(self._pattern.name % self._frames)
        part = part_file(path)
        try:
            part.write_bytes(marked_png(png.tobytes()))
            if self._signature is not None:
                self._signature.sign(part)
            publish(part, path)
        except OSError as failure:
            raise OutputError(f"{path} could not be written: {failure.strerror}.") from failure
        finally:
            discard(part)
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frames that are there stay."""
