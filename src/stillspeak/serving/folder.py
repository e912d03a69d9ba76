"""Makes the server's temporary folder, deletes it when the server ends, and deletes what killed servers left."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "stillspeak-films-"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0  # a folder that has just been made may not be locked yet


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """Yields a folder for this server alone, for as long as it runs."""
    _clear_leftovers()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with (folder / _LOCK).open("w", encoding="utf-8") as lock:
        _lock(lock.fileno())
        try:
            yield folder
        finally:
            if sys.platform != "win32":  # Windows cannot delete an open file
                shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _clear_leftovers() -> None:
    """Deletes folders of this user's servers that have ended, whose locks nobody holds."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):
                _clear(folder)


def _clear(folder: Path) -> None:
    about = folder.lstat()
    if folder.is_symlink() or about.st_uid != os.geteuid():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        if time.time() - os.fstat(lock).st_mtime > _YOUNG_SECONDS and _lock(lock):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _lock(file: int) -> bool:
    """Locks a file, as far as the system can; False if another process holds the lock."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process holds it, or the file system has no locks
        return False
    return True
