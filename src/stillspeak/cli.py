"""The command line: verbs, their arguments, and one sentence with exit code 2 for what cannot work.

Thin: each verb imports its room when it runs, so ``--help`` answers at once.
"""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from stillspeak.errors import StillspeakError
from stillspeak.media.provenance import package_version
from stillspeak.verbs import film, judging, learning, study

_FULL = (errno.ENOSPC, errno.EIO, errno.EDQUOT)
_EXTRAS = {
    "ray": "cluster",
    "c2pa": "sign",
    "matplotlib": "evaluate",
    "numba": "performers",
    "ai_edge_litert": "performers",
} | dict.fromkeys(("fastapi", "uvicorn", "prometheus_client", "multipart"), "serve")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; returns the exit code: 0, or 2 with a sentence on stderr, or 130 after an interrupt."""
    parser = _parser()
    known, rest = parser.parse_known_args(arguments)
    if rest and known.verb not in ("train", "ablate"):
        parser.error(f"unknown arguments: {' '.join(rest)}")
    known.overrides = rest
    run: Callable[[argparse.Namespace], None] = known.run
    before = signal.signal(signal.SIGTERM, _interrupt)  # ended from outside is as clean as Ctrl-C
    try:
        run(known)
        sys.stdout.flush()  # a full disk shows here at the latest
    except StillspeakError as error:
        print(f"stillspeak: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "", "evaluate" if known.verb == "evaluate" else "train")
        print(f'stillspeak: this needs {error.name}: pip install "stillspeak[{extra}]"', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stillspeak: stopped; nothing half-written was left.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _close_stdout()  # nobody reads what is left at the end either
        return 0
    except OSError as error:
        said = _known_trouble(error)
        if not said:
            raise
        print(f"stillspeak: {said}", file=sys.stderr)
        return 2
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _known_trouble(error: OSError) -> str:
    """What is wrong, if it is what a user gave or has: a name that is too long, a full disk behind stdout, which is closed."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:80]}... is longer than a name can be."
    if error.filename is not None or error.errno not in _FULL:
        return ""
    _close_stdout()
    return f"stdout cannot be written: {error.strerror}."


def _close_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence; argparse's own puts a page of usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"stillspeak: {message} (see: {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stillspeak",
        description="A photo and a speech clip in, a video of that person saying it out.",
        epilog="Example: stillspeak animate face.jpg speech.wav -o talk.mp4",
    )
    parser.add_argument("--version", action="version", version=f"stillspeak {package_version()}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for room in (film, learning, judging, study):
        room.add(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
