"""Defines the verb study with its steps build, serve and report."""

import argparse
import sys
from pathlib import Path

from stillspeak.verbs import Verbs, add_address, add_proxies, choose_clips, proxies_of, speakers_of, verb

_INFORMATION = {
    "researcher": "who does the study, and for whom (default: left out)",
    "contact": "where a visitor can ask, such as an e-mail address (default: left out)",
    "purpose": "what the study is for (default: left out)",
    "duration": "how long it takes, such as: about 10 minutes (default: left out)",
    "withdrawal": "how a visitor takes their answers back afterwards (default: left out)",
}


def add(verbs: Verbs) -> None:
    """Adds the verb of this file, with its three steps, to the parser."""
    what = "Run the paper's user study: is a video real or generated, or which of two models is more natural?"
    parser = verb(verbs, "study", what, "stillspeak study build turing --data prepared -o study")
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    _add_build(steps)
    _add_serve(steps)
    _add_report(steps)


def _add_build(steps: Verbs) -> None:
    example = "stillspeak study build preference --data prepared --model ours=default --model static=static -o study"
    parser = verb(steps, "build", "Make the videos of a study.", example, _build)
    parser.add_argument(
        "kind",
        choices=("turing", "preference"),
        help="what visitors are asked: turing (real or generated?) or preference (which of two is more natural?)",
    )
    parser.add_argument("--data", type=Path, required=True, help="the prepared folder with the clips")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder for the study")
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="a model and the name it has in the report; give the option twice for preference (default: default=default)",
    )
    choose_clips(parser)
    parser.add_argument(
        "--clips",
        type=int,
        default=None,
        help="the number of clips that videos are made of (default: twice as many as a visitor sees)",
    )
    parser.add_argument(
        "--shown",
        default="",
        metavar="G,R",
        help="how many generated and real videos a visitor sees, or how many pairs (default: 6,4, or 30 pairs)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the seed of the model's noise and of the videos' names (default: 0)"
    )
    consent = parser.add_argument_group("what visitors read before they agree to take part")
    for name, what in _INFORMATION.items():
        consent.add_argument(f"--{name}", default="", metavar="TEXT", help=what)


def _build(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import DataError
    from stillspeak.study.build import Information, build_study

    given = arguments.model or ["default=default"]
    if wrong := [model for model in given if not all(model.partition("="))]:
        raise DataError(f"--model wants NAME=MODEL, such as ours=default, not {wrong[0]}.")
    models = dict(model.split("=", 1) for model in given)
    if len(models) < len(given):
        raise DataError("Two models have the same name.")
    information = Information(**{name: getattr(arguments, name).strip() for name in _INFORMATION})
    study = build_study(
        arguments.kind,
        arguments.data,
        arguments.output,
        models,
        split=arguments.split,
        speakers=speakers_of(arguments),
        clips=arguments.clips,
        shown=_shown(arguments),
        seed=arguments.seed,
        information=information,
    )
    if missing := information.missing:
        options = ", ".join(f"--{name}" for name in missing)
        note = f"The page on which visitors agree to take part says nothing of {options}; an ethics board will want it."
        print(f"stillspeak: {note}", file=sys.stderr)
    print(f"{len(study.films)} videos; next: stillspeak study serve {arguments.output}")


def _shown(arguments: argparse.Namespace) -> tuple[int, int] | None:
    """Returns how many videos, or pairs, a visitor sees; None if the option is not given."""
    from stillspeak.errors import DataError

    if not arguments.shown:
        return None
    shown = [int(part) if part.strip().isdecimal() else -1 for part in arguments.shown.split(",")]
    if min(shown) < 0 or len(shown) != {"turing": 2, "preference": 1}[arguments.kind]:
        raise DataError(f"--shown wants 6,4 for a Turing test and 30 for preference, not {arguments.shown}.")
    return shown[0], shown[-1] if len(shown) > 1 else 0


def _add_serve(steps: Verbs) -> None:
    example = "stillspeak study serve study --host 0.0.0.0 --port 8000"
    parser = verb(steps, "serve", "Serve a study to visitors, and keep their answers in its folder.", example, _serve)
    parser.add_argument("study", type=Path, help="the folder of the study")
    add_address(parser)
    add_proxies(parser)


def _serve(arguments: argparse.Namespace) -> None:
    from stillspeak.study.server import serve_study

    serve_study(arguments.study, arguments.host, arguments.port, proxies_of(arguments))


def _add_report(steps: Verbs) -> None:
    example = "stillspeak study report study -o report"
    parser = verb(
        steps, "report", "Report what the visitors answered: shares, intervals, tests, figure 9, CSV.", example, _report
    )
    parser.add_argument("study", type=Path, help="the folder of a study that was served")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder for the report")


def _report(arguments: argparse.Namespace) -> None:
    from stillspeak.study.report import report

    report(arguments.study, arguments.output)
    print((arguments.output / "report.md").read_text("utf-8", errors="surrogateescape"))
    print(arguments.output)
