"""Makes a video in a process of its own, so that a crash harms nothing else, and its memory returns to the system.

It reads a job as JSON from stdin, and writes JSON lines to stdout: ``{"done": n, "total": m}`` and ``{"note": sentence}`` on the
way, then ``{"ok": true}`` or ``{"error": sentence, "full": whether a disk without room is to blame}``. A note is a sentence that
the command line would print on stderr.
"""

import contextlib
import functools
import json
import os
import sys
import time
import warnings

from stillspeak.animate import load
from stillspeak.dub_jobs import DubJob, run_dub
from stillspeak.errors import StillspeakError, StillspeakWarning
from stillspeak.jobs import Job, run_job
from stillspeak.serving.decoder import limit_memory
from stillspeak.temporary import full_sentence, is_full

_EVERY_SECONDS = 0.2
_MOST_BYTES = 6_000_000_000  # ours: a film of 3840 x 3840 pixels takes 1.8 GB


def main() -> None:
    with contextlib.suppress(OSError, AttributeError):  # Windows has no such call, and some places refuse it
        os.nice(5)  # live talks go first
    limit_memory(_MOST_BYTES)
    asked = json.load(sys.stdin)
    said, made = 0.0, 0

    def tell(done: int, total: int | None) -> None:
        nonlocal said, made
        made = done
        if time.monotonic() - said > _EVERY_SECONDS:
            said = time.monotonic()
            print(json.dumps({"done": done, "total": total}), flush=True)

    def note(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, StillspeakWarning):
            print(json.dumps({"note": str(message)}), flush=True)

    warnings.simplefilter("always", StillspeakWarning)
    warnings.showwarning = note
    try:
        model = functools.partial(load, asked["model"], threads=asked["threads"])
        if asked["kind"] == DubJob.__name__:
            for sentence in run_dub(DubJob(**asked["job"]), model, quiet=True, tell=tell).sentences():
                print(json.dumps({"note": sentence}), flush=True)
        else:
            run_job(Job(**asked["job"]), model, quiet=True, tell=tell)
        print(json.dumps({"done": made, "total": made}), flush=True)
        print(json.dumps({"ok": True}), flush=True)
    except StillspeakError as error:
        full = is_full(error)  # the film lies in the temporary folder until a client fetches it
        print(json.dumps({"error": full_sentence() if full else str(error), "full": full}), flush=True)


if __name__ == "__main__":
    main()
