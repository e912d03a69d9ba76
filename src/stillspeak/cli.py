"""Runs the command line. If an input cannot be used, it prints one sentence and returns the exit code 2.

Each verb imports its package when it runs, so that ``--help`` answers at once.
"""

import argparse
import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from stillspeak.errors import StillspeakError
from stillspeak.installation import extra_command
from stillspeak.media.provenance import package_version
from stillspeak.streams import give_up, steady_streams
from stillspeak.verbs import dub, fill, film, judging, learning, spoken_warnings, study

_OPTION = re.compile(r"-\w|--[\w-]+")  # a file is hardly ever called like this, for its name has a suffix
_LONGEST_NAME = 4096
_PLACES = (  # the errors that a disk, a drive or a limit of the system causes, and not a bug
    "ENOSPC EDQUOT EIO EROFS EACCES EPERM EMFILE ENFILE ENOMEM ESTALE ENOTSUP EOPNOTSUPP ENOSYS ENODEV ENXIO ELOOP EFBIG EBUSY"
)
_EXTRAS = {
    "ray": "cluster",
    "c2pa": "sign",
    "matplotlib": "evaluate",
    "aiortc": "webrtc",
    "numba": "performers",
    "ai_edge_litert": "performers",
} | dict.fromkeys(("fastapi", "uvicorn", "prometheus_client", "multipart"), "serve")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a verb; returns the exit code: 0, or 2 with a sentence on stderr, or 130 after an interrupt."""
    with steady_streams():
        before = signal.signal(signal.SIGTERM, _interrupt)  # SIGTERM ends the work as cleanly as Ctrl-C
        try:
            return _run(arguments)
        finally:
            signal.signal(signal.SIGTERM, before)


def _run(arguments: Sequence[str] | None) -> int:
    verb = ""
    try:
        known = _known(arguments)
        verb = known.verb
        with spoken_warnings():
            known.run(known)
        sys.stdout.flush()  # a full disk shows here at the latest
    except StillspeakError as error:
        print(f"stillspeak: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get(error.name or "", "evaluate" if verb == "evaluate" else "train")
        print(f"stillspeak: this needs {error.name}: {extra_command(extra)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stillspeak: stopped; nothing half-written was left.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        give_up(sys.stdout)  # nobody reads what is still to be written
        return 0
    except OSError as error:
        sentence = _known_trouble(error)
        if not sentence:
            raise
        print(f"stillspeak: {sentence}", file=sys.stderr)
        return 2
    return 0


def _known(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the arguments. Raises SystemExit if they ask for help, or are wrong."""
    parser = _parser()
    if dashed := _file_like_an_option(sys.argv[1:] if arguments is None else arguments):
        parser.error(f"{dashed} is a file, but a name with a dash in front is taken for an option; write ./{dashed}")
    try:
        known, rest = parser.parse_known_args(arguments)
    except SystemExit:
        sys.stdout.flush()  # argparse has printed the help
        raise
    if rest and known.verb not in ("train", "ablate"):
        output = (
            "; the output is given as -o OUTPUT"
            if known.verb in ("animate", "dub", "fill") and not rest[0].startswith("-")
            else ""
        )
        parser.error(f"unknown arguments: {' '.join(rest)}{output}")
    known.overrides = rest
    return known


def _file_like_an_option(arguments: Sequence[str]) -> str:
    """Returns the first argument that argparse would take for an option and that names a file; empty if there is none."""
    before = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    names = (name for name in before if name.startswith("-") and name != "-" and not _OPTION.fullmatch(name))
    return next((name for name in names if len(name) < _LONGEST_NAME and Path(name).is_file()), "")


def _known_trouble(error: OSError) -> str:
    """Returns a sentence if the system is to blame (a name that is too long, a full disk, too many open files), or nothing."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{str(error.filename)[:80]}... is longer than a name can be."
    if errno.errorcode.get(error.errno or 0) not in _PLACES.split():
        return ""
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)} cannot be used: {error.strerror}."
    return f"The system refused a file or a process: {error.strerror}."


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class _Parser(argparse.ArgumentParser):
    """Prints one sentence on an error, where argparse would print the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"stillspeak: {message} (see: {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="stillspeak",
        description="Make a video in which the face of a photo says a speech clip; train, measure and serve the model.",
        epilog="Example: stillspeak animate face.jpg speech.wav -o talk.mp4",
    )
    parser.add_argument("--version", action="version", version=f"stillspeak {package_version()}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for room in (film, dub, fill, learning, judging, study):
        room.add(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
