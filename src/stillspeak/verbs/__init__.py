"""The verbs of the command line. Each imports its room when it runs, so that ``--help`` answers at once."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def verb(
    verbs: Verbs,
    name: str,
    what: str,
    example: str,
    run: Callable[[argparse.Namespace], None] | None = None,
) -> argparse.ArgumentParser:
    """Adds a verb: its name, what it does, an example for its help, and what runs it (its steps, if it has some)."""
    parser = verbs.add_parser(name, help=what, description=what, epilog=f"Example: {example}")
    if run is not None:
        parser.set_defaults(run=run)
    return parser


def choose_clips(parser: argparse.ArgumentParser) -> None:
    """Adds ``--split`` and ``--speakers`` of a prepared folder."""
    parser.add_argument("--split", default="test", choices=("train", "heldout", "validation", "test"), help="(test)")
    parser.add_argument("--speakers", default="", help="only these, with commas between")


def speakers_of(arguments: argparse.Namespace) -> list[str] | None:
    """The names of ``--speakers``; None for all."""
    return [name.strip() for name in arguments.speakers.split(",") if name.strip()] or None
