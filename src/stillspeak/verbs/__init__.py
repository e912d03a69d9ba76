"""Defines the verbs of the command line. Each imports its package when it runs, so that ``--help`` answers at once.

- ``film.py`` adds the verbs animate, faces, inspect and serve.
- ``dub.py`` adds the verb dub.
- ``fill.py`` adds the verb fill.
- ``learning.py`` adds the verbs prepare, data, train, resume, runs and export.
- ``judging.py`` adds the verbs evaluate, compare, ablate, figures and bench.
- ``study.py`` adds the verb study with its steps build, serve and report.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from stillspeak.serving.proxies import Proxies

from stillspeak.errors import StillspeakWarning

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def verb(
    verbs: Verbs, name: str, what: str, example: str, run: Callable[[argparse.Namespace], None] | None = None
) -> argparse.ArgumentParser:
    """Adds a verb with its name, a sentence and an example for its help, and the function that runs it (None if its steps do)."""
    parser = verbs.add_parser(name, help=what, description=what, epilog=f"Example: {example}")
    if run is not None:
        parser.set_defaults(run=run)
    return parser


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """Prints every ``StillspeakWarning`` inside a ``with`` as one sentence on stderr; other warnings look as they always do."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", StillspeakWarning)
        plain = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: object, **more: object) -> None:
            if issubclass(category, StillspeakWarning):
                print(f"stillspeak: {message}", file=sys.stderr)
            else:
                plain(message, category, *where, **more)  # type: ignore[arg-type]

        warnings.showwarning = show
        yield


def choose_clips(parser: argparse.ArgumentParser) -> None:
    """Adds ``--split`` and ``--speakers``, which choose clips of a prepared folder."""
    parser.add_argument(
        "--split",
        default=None,
        choices=("train", "heldout", "validation", "test"),
        help="the split of the clips (default: the first that the folder has of test, validation, heldout, train)",
    )
    parser.add_argument("--speakers", default="", help="take only these speakers, separated by commas (default: all)")


def speakers_of(arguments: argparse.Namespace) -> list[str] | None:
    """Returns the names that ``--speakers`` gives, or None for all speakers."""
    return [name.strip() for name in arguments.speakers.split(",") if name.strip()] or None


def add_model(parser: argparse.ArgumentParser) -> None:
    """Adds ``--model``, which names a model."""
    parser.add_argument(
        "--model", default="default", help="a shipped model's name, or an exported folder (default: default)"
    )


def add_noise_and_mouth(parser: argparse.ArgumentParser) -> None:
    """Adds ``--seed`` and ``--mouth``, which say how the model draws."""
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the noise that moves eyes and brows (default: 0)"
    )
    parser.add_argument(
        "--mouth",
        type=float,
        default=1.0,
        help="how far the mouth opens, from 0 (it stays at rest) to 2 (twice as far as the model draws it) (default: 1)",
    )


def add_address(parser: argparse.ArgumentParser) -> None:
    """Adds ``--host`` and ``--port``, which say where a server listens."""
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at (default: 127.0.0.1, which only this machine can reach)",
    )
    parser.add_argument(
        "--port", type=int, default=8000, help="the port to listen at; 0 takes any free one (default: 8000)"
    )


def add_proxies(parser: argparse.ArgumentParser) -> None:
    """Adds the options by which a server learns of the reverse proxy before it."""
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="an origin whose pages may use the server, such as https://talk.example.com; * allows all; give the option "
        "once for each (default: only the server's own page)",
    )
    parser.add_argument(
        "--root-path",
        default="",
        metavar="PATH",
        help="the path under which a proxy offers the server, such as /talk (default: /)",
    )
    parser.add_argument(
        "--forwarded-allow-ips",
        default=None,
        metavar="ADDRESSES",
        help="the proxies whose X-Forwarded-* headers are believed, separated by commas; * believes all (default: the "
        "variable FORWARDED_ALLOW_IPS, or this machine alone)",
    )


def proxies_of(arguments: argparse.Namespace) -> "Proxies":
    """Returns the values of the options that ``add_proxies`` added."""
    from stillspeak.serving.proxies import Proxies

    trusted = arguments.forwarded_allow_ips
    if trusted is None:
        trusted = os.environ.get("FORWARDED_ALLOW_IPS", Proxies.trusted)
    return Proxies(tuple(arguments.allow_origin), trusted, arguments.root_path)
