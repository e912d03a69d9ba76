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
