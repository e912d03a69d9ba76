"""Throws damaged files at everything that opens files: ``make fuzz``. What it finds becomes a test beside the others.

It begins with small files of every kind that is read (``seeds.py``), and with playlists, PostScript and other files that must be
refused: one that is read as it stands is a fault.

python tests/fuzz.py image|sound|video|inspect|manifest|list [libFuzzer options] CORPUS_FOLDER
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stillspeak"]):
    from stillspeak.batch import read_rows
    from stillspeak.data.manifest import from_parquet
    from stillspeak.errors import StillspeakError
    from stillspeak.media.audio import read_audio, sound_seconds
    from stillspeak.media.images import read_alpha, read_image
    from stillspeak.media.inspection import inspect
    from stillspeak.media.video import iterate_video

from seeds import REFUSED_PICTURES, REFUSED_SOUNDS, write_seeds

OPENERS: dict[str, Callable[[Path], object]] = {
    "image": lambda path: (read_image(path), read_alpha(path)),
    "sound": lambda path: (sound_seconds(path), read_audio(path)),
    "video": lambda path: list(islice(iterate_video(path), 50)),
    "inspect": inspect,
    "manifest": lambda path: from_parquet(path.read_bytes(), path.name),
    "list": read_rows,
}


def refuse(name: str) -> None:
    """Raises AssertionError if an opener reads what leads to other files or programs."""
    bad = {"image": REFUSED_PICTURES, "sound": REFUSED_SOUNDS, "video": REFUSED_SOUNDS}.get(name, {})
    with tempfile.TemporaryDirectory() as folder:
        for kind, content in bad.items():
            path = Path(folder) / kind
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            try:
                OPENERS[name](path)
            except StillspeakError:
                continue
            raise AssertionError(f"{kind} was read")


def main() -> None:
    name = sys.argv.pop(1)
    opener = OPENERS[name]
    write_seeds(name, Path(sys.argv[-1]))
    refuse(name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"

        def one(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(StillspeakError):
                opener(path)

        atheris.Setup(sys.argv, one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
