"""Writes files so that they appear whole or not at all. Ours.

A file is written under a hidden name in its folder, and gets its own name at the end. This needs no permissions, times or
locks, because drives of WSL, OneDrive, SMB and mounts of object storage refuse to set them.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from stillspeak.errors import OutputError, StillspeakError

_NO_RENAMING = {  # a file that is a mount of its own (Docker's -v FILE:FILE), and places that cannot rename
    getattr(errno, name)
    for name in ("EBUSY", "EXDEV", "EPERM", "EACCES", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EINVAL")
    if hasattr(errno, name)
}


def make_folder(folder: Path, error: type[StillspeakError] = OutputError) -> None:
    """Makes a folder and those above it, unless they exist. Raises ``error`` if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise error(f"{folder} cannot be made: {reason.strerror}.") from reason


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a hidden path beside ``path`` to write to, and gives the file the name ``path`` at the end.

    After an error the old file at ``path`` stays, and the hidden one is removed. If a killed process left a hidden file, the
    next one overwrites it. If ``path`` is a link, the file that it leads to is replaced. Two processes that may write the same
    path at once use ``part_file`` instead.

    Raises:
        OSError: if there is no such folder, or no room.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.stem}.part{place.suffix}")  # libraries go by the suffix
    _make_empty(part, os.O_TRUNC)
    try:
        yield part
        publish(part, path)
    finally:
        discard(part)


def part_file(path: Path) -> Path:
    """Makes an empty file with a unique name beside ``path``. Write to it, then ``publish`` it, and ``discard`` it at the end.

    Raises:
        OutputError: if the folder is missing, ``path`` is a folder, or nothing can be written there.
    """
    try:
        path = Path(os.path.realpath(path))  # the file that a link leads to is written, and the link stays
        if path.is_dir():
            raise OutputError(f"{path} is a folder; give the name of a file in it.")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no plain file; - writes raw frames to stdout.")
        if not path.parent.is_dir():
            raise OutputError(f"There is no folder {path.parent} to write {path.name} to.")
        part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part{path.suffix}")
        _make_empty(part, os.O_EXCL)
        return part
    except OutputError:
        raise
    except (OSError, ValueError) as error:  # a name with a zero byte is a wrong value
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"Nothing can be written to the folder {path.parent}: {why}.") from error


def publish(part: Path, path: Path) -> None:
    """Gives a finished file its name, and replaces the file that had it.

    If the file system refuses to rename it, the content is copied. Only such a copy can leave a file cut short when it fails.

    Raises:
        OSError: if neither works; then ``part`` still exists.
    """
    place = os.path.realpath(path)
    try:
        os.replace(part, place)
    except OSError as error:
        if error.errno not in _NO_RENAMING:
            raise
        try:
            shutil.copyfile(part, place)  # the bytes alone: no mode and no times
        except PermissionError:
            raise error from None
        discard(part)


def discard(part: Path) -> None:
    """Removes an unfinished file, if it still exists and the file system allows it."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def _make_empty(part: Path, how: int) -> None:
    """Makes an empty file with the rights that every new file gets here, so that no later chmod is needed."""
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | how, 0o666))
