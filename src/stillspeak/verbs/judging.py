"""Verbs that judge models and make the paper's tables and figures: evaluate, compare, ablate, figures, bench."""

import argparse
from pathlib import Path

from stillspeak.verbs import Verbs, choose_clips, speakers_of, verb


def add(verbs: Verbs) -> None:
    """Adds the verbs of this file to the parser."""
    _add_evaluate(verbs)
    _add_compare(verbs)
    _add_ablate(verbs)
    _add_figures(verbs)
    _add_bench(verbs)


def _add_evaluate(verbs: Verbs) -> None:
    example = "stillspeak evaluate default --data prepared --split validation -o results"
    parser = verb(verbs, "evaluate", "Judge a model over prepared clips, or any two videos.", example, _evaluate)
    parser.add_argument("model", nargs="?", default=None, help="a shipped model's name or an exported folder")
    parser.add_argument("--data", type=Path, default=None, help="a prepared folder")
    choose_clips(parser)
    parser.add_argument("--clips", type=int, default=None, help="at most so many, evenly from the whole list")
    parser.add_argument("--workers", type=int, default=None, help="processes (one a core)")
    parser.add_argument("--seed", type=int, default=0, help="of the model's noise (0)")
    parser.add_argument(
        "--video", type=Path, nargs=2, metavar=("MADE", "REAL"), default=None, help="judge a video against the real one"
    )
    parser.add_argument(
        "--text", default="", help="with --video: the GRID sentence that is said, for the word error rate"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of results.json, .md and .parquet")


def _evaluate(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import DataError
    from stillspeak.evaluation.evaluate import evaluate, evaluate_videos

    if arguments.video is not None and (arguments.model is not None or arguments.data is not None):
        raise DataError("evaluate judges a MODEL over --data, or --video MADE REAL, and not both.")
    if arguments.video is not None:
        made, real = arguments.video
        evaluate_videos(made, real, arguments.output, arguments.text)
    elif arguments.model is None or arguments.data is None:
        raise DataError("evaluate needs a MODEL and --data PREPARED, or --video MADE REAL.")
    else:
        evaluate(
            arguments.model,
            arguments.data,
            arguments.output,
            split=arguments.split,
            speakers=speakers_of(arguments),
            clips=arguments.clips,
            workers=arguments.workers,
            seed=arguments.seed,
        )
    print((arguments.output / "results.md").read_text("utf-8", errors="surrogateescape"))


def _add_compare(verbs: Verbs) -> None:
    example = "stillspeak compare results-before results-after"
    what = "What changed between two evaluations of the same clips, clip by clip, with intervals."
    parser = verb(verbs, "compare", what, example, _compare)
    parser.add_argument("before", type=Path, help="a folder that evaluate wrote")
    parser.add_argument("after", type=Path, help="another one")
    parser.add_argument("--row", default="model", help="which of their rows (model)")


def _compare(arguments: argparse.Namespace) -> None:
    from stillspeak.evaluation.compare import compare

    print(compare(arguments.before, arguments.after, arguments.row))


def _add_ablate(verbs: Verbs) -> None:
    example = "stillspeak ablate --data prepared -o ablation --train.hours 2"
    what = (
        "The paper's Tables 2 and 3 and figures 4 to 8: trains l1, l1_frame, full and static, judges them; resumable."
    )
    parser = verb(verbs, "ablate", what, example, _ablate)
    parser.add_argument("--data", type=Path, required=True, help="a prepared folder")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of runs, models, evaluations, tables, figures"
    )
    parser.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="ROW=MODEL",
        help="l1, l1_frame, full or static_baseline as it is",
    )
    choose_clips(parser)
    parser.add_argument("--clips", type=int, default=None, help="at most so many, evenly from the whole list")
    parser.add_argument("--workers", type=int, default=None, help="processes that judge (one a core)")


def _ablate(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import RunError
    from stillspeak.experiments.ablation import ablate
    from stillspeak.experiments.figures import make_figures

    if wrong := [given for given in arguments.take if "=" not in given]:
        raise RunError(f"--take wants ROW=MODEL, such as full=default, not {wrong[0]}.")
    results = ablate(
        arguments.data,
        arguments.output,
        overrides=arguments.overrides,
        taken=dict(given.split("=", 1) for given in arguments.take),
        split=arguments.split,
        speakers=speakers_of(arguments),
        clips=arguments.clips,
        workers=arguments.workers,
    )
    models = results["models"]
    make_figures(
        arguments.data,
        arguments.output / "figures",
        model=models["full"],
        l1=models["l1"],
        static=models["static_baseline"],
        split=arguments.split,
        speakers=speakers_of(arguments),
    )
    print((arguments.output / "results.md").read_text("utf-8", errors="surrogateescape"))


def _add_figures(verbs: Verbs) -> None:
    example = "stillspeak figures --data prepared --l1 ablation/models/l1 -o figures"
    what = "The paper's figures 4 to 8 of a model: PNG and PDF with captions."
    parser = verb(verbs, "figures", what, example, _figures)
    parser.add_argument("model", nargs="?", default="default", help="a shipped model's name or an exported folder")
    parser.add_argument("--data", type=Path, required=True, help="a prepared folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the figures")
    parser.add_argument("--l1", default=None, metavar="MODEL", help="trained with L1 alone: for figure 4")
    parser.add_argument("--static", default=None, metavar="MODEL", help="the static baseline: for figure 8")
    choose_clips(parser)
    parser.add_argument("--clips", type=int, default=8, help="in how many clips moments are looked for (8)")
    parser.add_argument("--faces", nargs="+", default=[], metavar="PHOTO", help="for figure 6")
    parser.add_argument("--seed", type=int, default=0, help="of the model's noise (0)")


def _figures(arguments: argparse.Namespace) -> None:
    from stillspeak.experiments.figures import make_figures

    said = make_figures(
        arguments.data,
        arguments.output,
        model=arguments.model,
        l1=arguments.l1,
        static=arguments.static,
        split=arguments.split,
        speakers=speakers_of(arguments),
        clips=arguments.clips,
        faces=arguments.faces,
        seed=arguments.seed,
    )
    for name, text in said.items():
        print(f"{name}: {text}")


def _add_bench(verbs: Verbs) -> None:
    example = "stillspeak bench --paper"
    parser = verb(verbs, "bench", "The paper's timings on this machine: a frame, and 75 of them.", example, _bench)
    parser.add_argument(
        "--paper", action="store_true", help="the paper's sizes in PyTorch, and its figures beside them"
    )
    parser.add_argument("--preset", default="default", help="without --paper: a preset to time in PyTorch (default)")
    parser.add_argument("--model", default="default", help="a shipped model's name or an exported folder (default)")


def _bench(arguments: argparse.Namespace) -> None:
    from stillspeak.experiments.timing import measure, table

    print(table(measure("paper" if arguments.paper else arguments.preset, arguments.model)))
