"""Verbs that prepare clips and train: prepare, data, train, resume, runs, export."""

import argparse
from pathlib import Path

from stillspeak.verbs import Verbs, verb


def add(verbs: Verbs) -> None:
    """Adds the verbs of this file to the parser."""
    _add_prepare(verbs)
    _add_data(verbs)
    _add_train(verbs)
    _add_export(verbs)


def _add_prepare(verbs: Verbs) -> None:
    example = "stillspeak prepare grid GRID_FOLDER prepared"
    parser = verb(verbs, "prepare", "Turn a raw corpus into aligned training clips; resumable.", example, _prepare)
    parser.add_argument(
        "corpus",
        help="grid, tcd-timit, crema-d, lrw, folder (any tree of videos); then portraits (photos for training) or "
        "sentences (a text, a sentence a line, that voices read aloud)",
    )
    parser.add_argument("source", type=Path, help="the corpus as published; the photos; the text")
    parser.add_argument("destination", type=Path, help="folder for clips, manifest.parquet and report.md")
    parser.add_argument("--workers", type=int, default=None, help="processes (one a core)")
    parser.add_argument("--voices", type=int, default=0, help="revoiced copies of each training clip's sound (0)")
    parser.add_argument(
        "--readings", type=int, default=0, help="readings of each training clip's words by synthetic voices (0)"
    )
    parser.add_argument("--cluster", default="", help="a Ray cluster's address; local starts one on this machine")


def _prepare(arguments: argparse.Namespace) -> None:
    from stillspeak.data.portraits import prepare_portraits
    from stillspeak.data.prepare import prepare

    if arguments.corpus == "portraits":
        print(prepare_portraits(arguments.source, arguments.destination))
        return
    if arguments.corpus == "sentences":
        _prepare_sentences(arguments)
        return
    how = arguments.workers, arguments.voices, arguments.readings, arguments.cluster
    prepare(arguments.corpus, arguments.source, arguments.destination, *how)
    print((arguments.destination / "report.md").read_text("utf-8", errors="surrogateescape"))


def _prepare_sentences(arguments: argparse.Namespace) -> None:
    from stillspeak.data.sentences import prepare_sentences
    from stillspeak.training.teacher import teach

    how = arguments.workers, arguments.voices, arguments.readings
    sentences = prepare_sentences(arguments.source, arguments.destination, *how)
    print(teach(arguments.destination, sentences))


def _add_data(verbs: Verbs) -> None:
    example = "stillspeak data show prepared -o sheet.png"
    parser = verb(verbs, "data", "Look at a prepared folder, draw one, or move it as shards.", example, _show)
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = kinds.add_parser("show", help="a table of speakers, a contact sheet", epilog=f"Example: {example}")
    show.add_argument("folder", type=Path, help="as prepare left it")
    show.add_argument("-o", "--output", type=Path, default=None, help="the PNG to write (FOLDER/sheet.png)")
    show.add_argument("--split", default=None, help="train, heldout, validation or test (all)")
    example = "stillspeak data draw drawn --speakers 10 --clips 10"
    draw = kinds.add_parser("draw", help="drawn faces that talk, for a first try", epilog=f"Example: {example}")
    draw.add_argument("folder", type=Path, help="a new folder")
    draw.add_argument("--speakers", type=int, default=10, help="how many people (10)")
    draw.add_argument("--clips", type=int, default=10, help="of each (10)")
    draw.add_argument("--seed", type=int, default=0, help="the same seed draws the same clips (0)")
    draw.set_defaults(run=_draw)
    example = "stillspeak data pack prepared s3://bucket/grid"
    pack = kinds.add_parser("pack", help="a prepared folder as WebDataset tar shards", epilog=f"Example: {example}")
    pack.add_argument("folder", type=Path, help="as prepare left it")
    pack.add_argument("destination", help="a folder, or any address that fsspec knows")
    pack.add_argument("--shard-mb", type=float, default=256, help="megabytes of a shard (256)")
    pack.set_defaults(run=_pack)
    example = "stillspeak data unpack s3://bucket/grid prepared --split train"
    unpack = kinds.add_parser("unpack", help="a prepared folder again, of shards", epilog=f"Example: {example}")
    unpack.add_argument("source", help="where pack wrote to")
    unpack.add_argument("folder", type=Path, help="a new folder, or one begun before")
    unpack.add_argument("--split", default=None, help="train, heldout, validation or test (all)")
    unpack.set_defaults(run=_unpack)


def _pack(arguments: argparse.Namespace) -> None:
    from stillspeak.data.shards import pack

    shards = pack(arguments.folder, arguments.destination, arguments.shard_mb)
    print(f"{arguments.destination}: {len(shards)} shards")


def _unpack(arguments: argparse.Namespace) -> None:
    from stillspeak.data.shards import unpack

    clips = unpack(arguments.source, arguments.folder, arguments.split)
    print(f"{arguments.folder}: {len(clips)} clips")


def _draw(arguments: argparse.Namespace) -> None:
    from stillspeak.data.synthetic import draw_corpus

    draw_corpus(arguments.folder, arguments.speakers, arguments.clips, arguments.seed)
    print((arguments.folder / "report.md").read_text("utf-8", errors="surrogateescape"))


def _show(arguments: argparse.Namespace) -> None:
    from stillspeak.data.show import contact_sheet, speakers_table

    print(speakers_table(arguments.folder, arguments.split))
    print(contact_sheet(arguments.folder, arguments.output or arguments.folder / "sheet.png", arguments.split))


def _add_train(verbs: Verbs) -> None:
    example = "stillspeak train default --data prepared --run runs/mine --train.steps 20000"
    parser = verb(verbs, "train", "Train a preset; any field can be set with --section.field value.", example, _train)
    parser.add_argument(
        "preset",
        help="default, paper, l1, l1_frame, static, synchronised, sharp or tiny; lipreader or sync: the judges of evaluate",
    )
    parser.add_argument("--data", type=Path, required=True, help="a prepared folder, or one of shards")
    parser.add_argument("--run", dest="folder", type=Path, required=True, help="the run's folder; must be new")
    parser.add_argument("--init", type=Path, default=None, help="a run or exported model to start from")
    example = "stillspeak resume runs/mine"
    parser = verb(verbs, "resume", "Go on with a training run where its checkpoint stands.", example, _resume)
    parser.add_argument("folder", type=Path, help="the run's folder")

    example = "stillspeak runs runs"
    parser = verb(verbs, "runs", "List training runs, and where some of them differ.", example, _runs)
    parser.add_argument("folders", type=Path, nargs="+", help="runs, or folders of runs")


def _runs(arguments: argparse.Namespace) -> None:
    from stillspeak.training.runs import differences, find_runs, table

    runs = find_runs(arguments.folders)
    print(table(runs))
    if len(runs) > 1 and (settings := differences(runs)):
        print(f"\n{settings}")


def _train(arguments: argparse.Namespace) -> None:
    from stillspeak.config import Config
    from stillspeak.errors import RunError
    from stillspeak.training.judge_loop import train_judge
    from stillspeak.training.loop import train
    from stillspeak.training.overrides import overridden

    config = overridden(arguments.preset, arguments.overrides)
    if isinstance(config, Config):
        train(config, arguments.data, arguments.folder, arguments.init)
    elif arguments.init is not None:
        raise RunError(f"--init is for generators; {arguments.preset} always starts new.")
    else:
        train_judge(config, arguments.data, arguments.folder)


def _resume(arguments: argparse.Namespace) -> None:
    from stillspeak.training.judge_loop import JudgeTrainer
    from stillspeak.training.loop import resume
    from stillspeak.training.run import RunFolder

    folder = RunFolder(arguments.folder)
    if folder.is_judge:
        with folder.held():
            JudgeTrainer(folder).run()
    else:
        resume(arguments.folder)


def _add_export(verbs: Verbs) -> None:
    example = "stillspeak export runs/mine -o my-model"
    parser = verb(verbs, "export", "Turn a run into a model folder for animate.", example, _export)
    parser.add_argument("model", type=Path, help="a run, or a model folder to export again")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the model")

    parser.add_argument("--towards", type=Path, default=None, help="blend with this run or model")
    parser.add_argument("--share", type=float, default=None, help="of --towards: 0 is none of it, 1 nothing else (0.5)")
    parser.add_argument("--part", default=None, help="that is blended: all, sound or picture (all)")


def _export(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import ModelError

    if arguments.towards is not None:
        _export_blend(arguments)
        return
    if arguments.share is not None or arguments.part is not None:
        raise ModelError("--share and --part belong to --towards.")
    from stillspeak.training.export import export
    from stillspeak.training.judge_loop import export_judge
    from stillspeak.training.run import RunFolder

    folder = RunFolder(arguments.model)
    judge = folder.exists and folder.is_judge
    print(export_judge(arguments.model, arguments.output) if judge else export(arguments.model, arguments.output))


def _export_blend(arguments: argparse.Namespace) -> None:
    from stillspeak.training.blend import read_blend
    from stillspeak.training.export import export_trained

    share = 0.5 if arguments.share is None else arguments.share
    trained = read_blend(arguments.model, arguments.towards, share, arguments.part or "all")
    print(export_trained(trained, arguments.output))
