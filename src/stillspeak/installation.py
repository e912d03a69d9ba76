"""Finds out how this copy of the package was installed, and so how to install an extra of it."""

import json
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_PACKAGE = Path(__file__).parent


def extra_command(extra: str) -> str:
    """Returns the command that installs an extra, such as ``train``, into the environment that runs now.

    The package is on no index, so the command names the clone or the wheel that this copy came from, if it still exists.
    """
    source, editable = _source()
    if source is None:
        wheel = f'pip install "stillspeak[{extra}] @ file:///PATH/TO/THE/WHEEL"'
        return f'pip install ".[{extra}]" in a clone of the project, or: {wheel}'
    if source.is_file():
        return f'pip install "stillspeak[{extra}] @ {source.as_uri()}"'
    return f'pip install {"-e " * editable}".[{extra}]" in {source}'


def _source() -> tuple[Path | None, bool]:
    """Returns the clone or the wheel that this copy came from (None if it is gone), and whether the installation is editable."""
    clone = _PACKAGE.parent.parent
    if (clone / "pyproject.toml").is_file() and _PACKAGE.parent.name == "src":
        return clone, True
    try:  # pip notes the source of a package in a file (PEP 610)
        noted = json.loads(Distribution.from_name("stillspeak").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        noted = {}
    address = urlsplit(str(noted.get("url", "")))
    path = Path(url2pathname(address.path)) if address.scheme == "file" else None
    return (path, False) if path is not None and path.exists() else (None, False)
