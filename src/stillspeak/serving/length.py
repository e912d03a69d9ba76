"""How long a client's speech is, asked in a process of its own: whoever sends a file that hurts its reader hurts no one else.

Takes a file's name; writes one JSON line: ``{"seconds": 3.2}``, ``{"seconds": null}`` if the file does not say, or
``{"error": sentence}``.
"""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from stillspeak.errors import MediaError

_MOST_SECONDS = 10.0  # that the process may take
_MOST_BYTES = 4 << 30  # of its address space


async def speech_seconds(path: Path) -> float | None:
    """How long a sound file says that it is; None if it does not say, or cannot be asked in time. It may lie.

    Raises:
        MediaError: if it is no sound file.
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
    """What the process does."""
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
