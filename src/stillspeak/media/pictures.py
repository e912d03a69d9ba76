"""Chooses the writer for an output, and writes frames as PNG files or as raw bytes to a pipe, without sound."""

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
    """Returns whether the writer for an output keeps opacity."""
    return Path(output).suffix.lower() in (".webm", ".png")


def open_writer(
    output: str,
    fps: Fraction,
    sound: Heard | None,
    alpha: NDArray[np.uint8] | None = None,
    signature: Signature | None = None,
) -> Writer:
    """Opens the writer for an output.

    Args:
        output: a file whose suffix names its kind, a pattern such as ``frame_%05d.png``, or ``-`` for raw frames on stdout.
        fps: frames a second.
        sound: the sound, as ``VideoWriter`` takes it; pictures have none.
        alpha: the opacity of every frame, uint8 ``(height, width)``; only webm and PNG keep it.
        signature: the key that signs the file (C2PA); None for no signature.

    Raises:
        OutputError: if the output cannot be written, or the suffix is unknown.
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
    """Writes RGB bytes to stdout, frame after frame. A line of JSON on stderr says their size and rate."""

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
        except BrokenPipeError:  # the reader has seen enough
            raise
        except OSError as failure:
            raise OutputError(f"The frames could not be written to stdout: {failure.strerror or failure}.") from failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._to.flush()


def numbered(pattern: str) -> bool:
    """Returns whether a name has exactly one place for a number, as ``frame_%05d.png`` has."""
    return bool(_PATTERN.fullmatch(pattern))


def writes_over(output: str, path: Path) -> bool:
    """Returns whether writing an output, a file or a pattern of numbered files, would overwrite the file ``path``."""
    made = Path(output)
    if numbered(made.name):
        before, after = re.split(r"%\d*d", made.name)
        number = path.name.removeprefix(before).removesuffix(after)
        if not re.fullmatch(r"\d+", number, re.ASCII):
            return False
        made = made.with_name(made.name % int(number))
    try:
        return path.samefile(made)
    except (OSError, ValueError):  # one of the files does not exist, or its name is impossible
        return False


def first_png(pattern: str) -> str:
    """Returns the name of the first file of a pattern; a name that is no pattern is returned as it is."""
    return pattern % 0 if numbered(pattern) else pattern


class PngWriter:
    """Writes one PNG file for each frame, numbered from 0.

    Args:
        pattern: the name of the files, with one place for a number, such as ``frame_%05d.png``.
        alpha: the opacity of every frame, uint8 ``(height, width)``; None if all are opaque.
        signature: the key that signs every file; None for no signature.

    Raises:
        OutputError: if the name has no number in it, or the folder is missing.
    """

    def __init__(
        self, pattern: Path, alpha: NDArray[np.uint8] | None = None, signature: Signature | None = None
    ) -> None:
        self._pattern, self._alpha, self._signature, self._frames = pattern, alpha, signature, 0
        if not numbered(pattern.name):
            raise OutputError(f"Frames as PNG need a number in their name, such as frame_%05d.png, not {pattern.name}.")
        discard(part_file(pattern.with_name(pattern.name % 0)))  # this raises if the folder cannot be written

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
        """Does nothing: frames that were written stay."""
