"""Opens temporary folders, and says in one sentence what is wrong if there is no room or no such folder. Ours."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from stillspeak.errors import TemporaryFolderError

_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name)}


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yields a new folder, which is removed at the end. If ``TMPDIR`` is set, the folder lies there and nowhere else.

    Raises:
        TemporaryFolderError: if the folder cannot be made, or has no room for what is written to it.
    """
    try:
        opened = tempfile.TemporaryDirectory(
            prefix="stillspeak", dir=os.environ.get("TMPDIR") or None, ignore_cleanup_errors=True
        )
    except OSError as error:
        raise TemporaryFolderError(_why(error)) from error
    with opened as name:
        try:
            yield Path(name)
        except OSError as error:
            elsewhere = error.filename is not None and not Path(os.fsdecode(error.filename)).is_relative_to(name)
            if error.errno not in _FULL or elsewhere:
                raise
            raise TemporaryFolderError(_why(error)) from error


def is_full(error: BaseException | None) -> bool:
    """Returns whether an error, or one of its causes, is a disk without room."""
    while error is not None:
        if getattr(error, "errno", None) in _FULL:
            return True
        error = error.__cause__
    return False


def full_sentence() -> str:
    """Returns the sentence that says that the temporary folder is full."""
    return f"The temporary folder {_place()} is full; set TMPDIR to another."


def _why(error: OSError) -> str:
    if error.errno in _FULL:
        return full_sentence()
    return f"The temporary folder {_place()} cannot be used ({error.strerror}); set TMPDIR to another."


def _place() -> str:
    try:
        return os.environ.get("TMPDIR") or tempfile.gettempdir()
    except OSError:
        return "of this system"
