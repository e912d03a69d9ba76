"""Checks what everyone who opens a file asks first: whether the file exists, and can be read."""

from pathlib import Path

from stillspeak.errors import MediaError


def require_file(path: Path) -> None:
    """Raises MediaError unless ``path`` is a readable, non-empty file."""
    try:
        if path.is_dir():
            raise MediaError(f"{path} is a folder, not a file.")
        if not path.exists():
            raise MediaError(f"There is no file {path}.")
        if path.is_fifo():
            raise MediaError(f"{path} is a pipe; keep what comes through it in a file first.")
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(f"{path} is empty.")
    except (OSError, ValueError) as error:
        if isinstance(error, MediaError):
            raise
        raise MediaError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
