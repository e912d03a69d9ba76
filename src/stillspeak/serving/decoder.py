"""Decodes photos for the server, one after another, in a process of its own that the server can end at any moment.

It reads from stdin a line of JSON, ``{"bytes": n, "most_px": m, "seconds": s}``, and then the photo. It writes to stdout a line
of JSON, ``{"height": h, "width": w, "smaller": x}``, and then the pixels, RGB; or ``{"error": sentence}`` alone.
"""

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

from stillspeak.errors import MediaError
from stillspeak.media.images import decode_image

_MOST_BYTES = 500_000_000  # ours: the memory for a photo; an iPhone's HEIC of 48 million pixels takes 390 million
_MOST_OWN_BYTES = 1_000_000_000  # ours: the memory of the process, with its libraries and their threads
_NICE = 5  # live talks go first


def main() -> None:
    """Answers until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C, and closes stdin
    limit_memory(_MOST_OWN_BYTES)
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such thing
        os.nice(_NICE)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not speak to the server
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        photo = sys.stdin.buffer.read(asked["bytes"])
        _limit_time(asked["seconds"])
        said, pixels = _decoded(photo, asked["most_px"])
        answers.write(json.dumps(said).encode() + b"\n")
        answers.write(pixels)
        answers.flush()


def _decoded(photo: bytes, most_px: int) -> tuple[dict[str, Any], bytes | memoryview]:
    try:
        pixels, smaller = decode_image(photo, "The photo", most_px, _MOST_BYTES)
    except MediaError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": "The photo takes too much memory to read; make it smaller first."}, b""
    height, width = pixels.shape[:2]
    return {"height": height, "width": width, "smaller": smaller}, pixels.data.cast("B")


def limit_memory(most_bytes: int) -> None:
    """Lets this process take no more memory than so much, where the system can hold it to that."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows; a hard limit that is lower already
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))  # on Linux all memory that is written to
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: float) -> None:
    """Ends this process when it has computed for so long from now on, even if the server that would end it is gone."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds) + 1, hard))


if __name__ == "__main__":
    main()
