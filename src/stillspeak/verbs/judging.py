"""Defines the verbs that judge models and make the paper's tables and figures: evaluate, compare, ablate, figures, bench."""

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
    parser = verb(
        verbs, "evaluate", "Measure a model on prepared clips, or one video against another.", example, _evaluate
    )
    parser.add_argument("model", nargs="?", default=None, help="a shipped model's name, or an exported folder")
    data = "the prepared folder with the clips; required for a MODEL (default: none)"
    parser.add_argument("--data", type=Path, default=None, help=data)
    choose_clips(parser)
    parser.add_argument(
        "--clips", type=int, default=None, help="the most clips to measure, spread evenly over the list (default: all)"
    )
    parser.add_argument("--workers", type=int, default=None, help="how many processes measure (default: one a core)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of the model's noise (default: 0)")
    parser.add_argument(
        "--noise-seeds",
        type=int,
        default=1,
        help="how many seeds of noise the model is measured with; its figures are means over them, and a row without noise is "
        "added (default: 1)",
    )
    parser.add_argument(
        "--video",
        type=Path,
        nargs=2,
        metavar=("MADE", "REAL"),
        default=None,
        help="measure the video MADE against the video REAL instead of a model (default: a model)",
    )
    parser.add_argument(
        "--text",
        default="",
        help="with --video: the GRID sentence that is spoken, for the word error rate (default: no word error rate)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the folder for results.json, results.md and results.parquet"
    )


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
            noise_seeds=arguments.noise_seeds,
        )
    print((arguments.output / "results.md").read_text("utf-8", errors="surrogateescape"))
    print(arguments.output)


def _add_compare(verbs: Verbs) -> None:
    example = "stillspeak compare results-before results-after"
    what = "Compare two evaluations of the same clips, clip by clip, with confidence intervals."
    parser = verb(verbs, "compare", what, example, _compare)
    parser.add_argument("before", type=Path, help="the folder that evaluate wrote for the first model")
    parser.add_argument("after", type=Path, help="the folder that evaluate wrote for the second model")
    parser.add_argument("--row", default="model", help="the row of the tables to compare (default: model)")


def _compare(arguments: argparse.Namespace) -> None:
    from stillspeak.evaluation.compare import compare

    print(compare(arguments.before, arguments.after, arguments.row))


def _add_ablate(verbs: Verbs) -> None:
    example = "stillspeak ablate --base paper_half --repeats 2 --data prepared -o ablation --train.hours 2"
    what = (
        "Train the rows of the paper's Tables 2 and 3, each a variant of one preset, measure them, and draw figures 4 to 8; "
        "goes on where it was stopped. --section.field VALUE changes any number in all rows."
    )
    parser = verb(verbs, "ablate", what, example, _ablate)
    parser.add_argument("--data", type=Path, required=True, help="the prepared folder to train on and to measure on")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the folder for runs, models, evaluations, tables and figures"
    )
    parser.add_argument(
        "--base",
        default="default",
        metavar="PRESET",
        help="the preset that every row is a variant of, such as paper, paper_half or tiny (default: default)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="how often each row is trained, each time from another seed; the tables give mean and spread (default: 1)",
    )
    parser.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="ROW=MODEL",
        help="use MODEL for ROW (l1, l1_frame, full or static_baseline) instead of training it; give the option once for "
        "each row (default: train every row)",
    )
    choose_clips(parser)
    parser.add_argument(
        "--clips", type=int, default=None, help="the most clips to measure, spread evenly over the list (default: all)"
    )
    parser.add_argument("--workers", type=int, default=None, help="how many processes measure (default: one a core)")


def _ablate(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import RunError
    from stillspeak.experiments.ablation import ablate
    from stillspeak.experiments.figures import make_figures

    if wrong := [given for given in arguments.take if "=" not in given]:
        raise RunError(f"--take wants ROW=MODEL, such as full=default, not {wrong[0]}.")
    results = ablate(
        arguments.data,
        arguments.output,
        base=arguments.base,
        repeats=arguments.repeats,
        overrides=arguments.overrides,
        taken=dict(given.split("=", 1) for given in arguments.take),
        split=arguments.split,
        speakers=speakers_of(arguments),
        clips=arguments.clips,
        workers=arguments.workers,
    )
    models = {row: of_seeds[0] for row, of_seeds in results["models"].items()}
    make_figures(
        arguments.data,
        arguments.output / "figures",
        model=models["full"],
        l1=models["l1"],
        static=models["static_baseline"],
        split=results["about"]["split"],
        speakers=speakers_of(arguments),
    )
    print((arguments.output / "results.md").read_text("utf-8", errors="surrogateescape"))
    print(arguments.output)


def _add_figures(verbs: Verbs) -> None:
    example = "stillspeak figures --data prepared --l1 ablation/models/l1 -o figures"
    what = "Draw the paper's figures 4 to 8 of a model as PNG and PDF, with captions."
    parser = verb(verbs, "figures", what, example, _figures)
    parser.add_argument(
        "model", nargs="?", default="default", help="a shipped model's name, or an exported folder (default: default)"
    )
    parser.add_argument("--data", type=Path, required=True, help="the prepared folder with the clips")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder for the figures")
    parser.add_argument(
        "--l1",
        default=None,
        metavar="MODEL",
        help="a model trained with L1 alone; figure 4 needs it (default: no figure 4)",
    )
    parser.add_argument(
        "--static", default=None, metavar="MODEL", help="the static baseline; figure 8 needs it (default: no figure 8)"
    )
    choose_clips(parser)
    parser.add_argument(
        "--clips", type=int, default=8, help="how many clips are searched for the moments of the figures (default: 8)"
    )
    parser.add_argument(
        "--faces", nargs="+", default=[], metavar="PHOTO", help="photos for figure 6 (default: clips of other speakers)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the seed of the model's noise (default: 0)")


def _figures(arguments: argparse.Namespace) -> None:
    from stillspeak.experiments.figures import make_figures

    captions = make_figures(
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
    for name, text in captions.items():
        print(f"{name}: {text}")
    print(arguments.output)


def _add_bench(verbs: Verbs) -> None:
    example = "stillspeak bench --paper"
    parser = verb(
        verbs,
        "bench",
        "Measure the paper's timings on this machine, on the CPU and on a GPU if there is one: one frame, and 75 in a row.",
        example,
        _bench,
    )
    parser.add_argument(
        "--paper", action="store_true", help="time the preset paper in PyTorch and, exported, in ONNX Runtime"
    )
    parser.add_argument(
        "--preset", default="default", help="without --paper: the preset to time in PyTorch (default: default)"
    )
    parser.add_argument(
        "--model",
        default="default",
        help="the model to time in ONNX Runtime: a shipped model's name, or an exported folder (default: default)",
    )


def _bench(arguments: argparse.Namespace) -> None:
    from stillspeak.experiments.timing import measure, table

    preset = "paper" if arguments.paper else arguments.preset
    print(table(measure(preset, arguments.model, exported=arguments.paper)))
