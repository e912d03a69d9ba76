"""Files that appear whole or not at all. Ours.

A file is written under a hidden name beside its place and takes its place at the end. The folder need not take permissions,
times or locks: drives of WSL, OneDrive, SMB and mounts of object storage refuse them.
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
    """Makes a folder that may be there, and those above it. Raises ``error`` if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise error(f"{folder} cannot be made: {reason.strerror}.") from reason


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields a hidden name beside ``path`` to write to; what was written takes ``path``'s place at the end.

    After an error what was there stays, and the part is gone. What a process that was killed left under the hidden name is
    overwritten by the next one. Behind a link the file it leads to is the one replaced. Two processes that may write the
    same path at once take ``part_file``.

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
    """Makes an empty file with a name of its own beside ``path`` to write to, to ``publish`` and to ``discard``.

    Raises:
        OutputError: if the folder is missing, ``path`` is a folder, or nothing can be written there.
    """
    try:
        path = Path(os.path.realpath(path))  # what a link leads to is written, and the link stays
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
    """Gives a finished file its name; what was there is gone.

    Where the place refuses a new name, the content is copied, and only there a copy that fails leaves a file cut short.

    Raises:
        OSError: if neither works; ``part`` is then still there.
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
    """Removes a part, if it is still there and the place lets go of files."""
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def _make_empty(part: Path, how: int) -> None:
    """A file with the rights that every new file has here, so that no later chmod is needed."""
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | how, 0o666))
