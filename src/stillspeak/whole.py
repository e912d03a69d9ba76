"""Files that appear whole or not at all. Ours."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A hidden name beside ``path`` to write to; what was written takes ``path``'s place at the end.

    After an error what was there stays, and the part is gone. Behind a link the file it leads to is the one replaced. Two that
    write the same path at once need names of their own.

    Raises:
        OSError: if there is no such folder, or no room.
    """
    place = Path(os.path.realpath(path))
    part = place.with_name(f".{place.stem}.part{place.suffix}")  # libraries go by the suffix
    try:
        yield part
        part.replace(place)
    except BaseException:
        with contextlib.suppress(OSError):  # where there is no such folder
            part.unlink()
        raise
