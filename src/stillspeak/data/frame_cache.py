"""Keeps the decoded frames of many clips in one flat file, which is written once and then mapped into memory. Ours."""

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import DataError

Frames = NDArray[np.uint8]
_AT_ONCE = 32  # clips that are decoded side by side


def cached_frames(
    path: Path, lengths: Sequence[int], height_px: int, width_px: int, decode: Callable[[int], Frames]
) -> Frames:
    """Maps the frames of all clips, one clip after another, uint8 ``(frames, height, width, 3)``.

    Args:
        path: The file; if it does not exist, all clips are decoded into it.
        lengths: How many frames each clip has.
        height_px: The height of a frame.
        width_px: The width of a frame.
        decode: Returns all frames of a clip by its number.

    Raises:
        DataError: If the file cannot be written. What ``decode`` raises is passed on.
    """
    if not path.exists():
        try:
            _write(path, lengths, height_px, width_px, decode)
        except OSError as error:
            raise DataError(f"{path.parent} cannot be written: {error.strerror}.") from error
    return np.load(path, mmap_mode="r")


def delete_older(folder: Path, kept: set[Path], written_after: float) -> None:
    """Deletes the files of clips as they were before they were prepared again: those older than ``written_after`` (seconds)."""
    for old in folder.glob("*.npy"):
        if old not in kept and old.stat().st_mtime < written_after:
            old.unlink(missing_ok=True)


def _write(path: Path, lengths: Sequence[int], height_px: int, width_px: int, decode: Callable[[int], Frames]) -> None:
    """Decodes every clip, under a name of its own until the file is whole."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.npy")
    starts = np.cumsum([0, *lengths])
    frames = np.lib.format.open_memmap(part, "w+", np.uint8, (int(starts[-1]), height_px, width_px, 3))
    try:
        _require_room(part)
        with ThreadPoolExecutor() as pool:
            for first in range(0, len(lengths), _AT_ONCE):
                videos = pool.map(decode, range(first, min(first + _AT_ONCE, len(lengths))))
                for video, start, end in zip(videos, starts[first:], starts[first + 1 :], strict=False):
                    frames[start:end] = video
        frames.flush()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _require_room(file: Path) -> None:
    """Takes the room of a file now: without it a write to mapped memory would end the process. Raises OSError if there is none.

    Some drives cannot take room ahead; there the file is written as it is.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
