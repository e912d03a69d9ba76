"""Measures how long a client's speech is, in a process of its own, so that a harmful file harms nobody else.

The process takes a file's name and writes one JSON line: ``{"seconds": 3.2}``, ``{"seconds": null}`` if the file does not say,
or ``{"error": sentence}``.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from stillspeak.errors import MediaError

_MOST_SECONDS = 10.0  # the time that the process may take
_MOST_BYTES = 4 << 30  # the address space that the process may take


async def speech_seconds(path: Path) -> float | None:
    """Returns how long a sound file says that it is; None if it does not say, or not in time. The figure may be wrong.

    Raises:
        MediaError: if the file holds no sound.
    """
    command = [sys.executable, "-m", "stillspeak.serving.length", str(path)]
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=pipe, stderr=nothing)
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    answer = json.loads(said) if said else {"seconds": None}
    if "error" in answer:
        raise MediaError(answer["error"])
    return answer["seconds"]


def main() -> None:
    """Prints the length of a file; this is what the process does."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    from stillspeak.media.audio import open_sound, sound_seconds

    try:
        open_sound(sys.argv[1])
        print(json.dumps({"seconds": sound_seconds(sys.argv[1])}))
    except MediaError as error:
        print(json.dumps({"error": str(error)}))


if __name__ == "__main__":
    main()
