"""Defines the verbs that prepare clips and train: prepare, data, train, resume, runs, export."""

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
    parser = verb(
        verbs, "prepare", "Turn a raw corpus into aligned clips; goes on where it was stopped.", example, _prepare
    )
    parser.add_argument(
        "corpus",
        help="the kind of corpus: grid, tcd-timit, crema-d, lrw, or folder (any tree of videos). After one of these: "
        "portraits (photos for training), sentences (a text, one sentence a line, that synthetic voices read), or performers "
        "(photos that speak on a 3D head)",
    )
    parser.add_argument("source", type=Path, help="the corpus as it is published, or the photos, the text, the 3D head")
    parser.add_argument("people", type=Path, nargs="?", default=None, help="for performers: the folder of photos")
    parser.add_argument("destination", type=Path, help="the prepared folder: clips, manifest.parquet and report.md")
    parser.add_argument("--workers", type=int, default=None, help="how many processes work (default: one a core)")
    _add_speakers(parser)


def _add_speakers(parser: argparse.ArgumentParser) -> None:
    """Adds the options for further voices, for performers, and for a cluster that does the work."""
    parser.add_argument(
        "--voices", type=int, default=0, help="how many copies with other voices each training clip gets (default: 0)"
    )
    parser.add_argument(
        "--readings", type=int, default=0, help="how many synthetic voices read each training clip's words (default: 0)"
    )
    parser.add_argument(
        "--from",
        dest="prepared",
        type=Path,
        default=None,
        help="for performers: the prepared folder whose clips the performers act; required for them (default: none)",
    )
    parser.add_argument(
        "--landmarker",
        type=Path,
        default=None,
        help="for performers: the file face_landmarker.task (default: prepare looks beside the head and in ../models)",
    )
    parser.add_argument(
        "--clips", type=int, default=3, help="for performers: how many clips each photo acts (default: 3)"
    )
    parser.add_argument(
        "--cluster",
        default="",
        help="the address of a Ray cluster that does the work; local starts one on this machine (default: no cluster)",
    )


def _prepare(arguments: argparse.Namespace) -> None:
    if arguments.corpus == "performers":
        _prepare_performers(arguments)
        return
    _refuse_performers_own(arguments)
    from stillspeak.data.portraits import prepare_portraits
    from stillspeak.data.prepare import prepare

    if arguments.corpus == "portraits":
        print(prepare_portraits(arguments.source, arguments.destination))
        print(arguments.destination)
        return
    if arguments.corpus == "sentences":
        _prepare_sentences(arguments)
        return
    how = arguments.workers, arguments.voices, arguments.readings, arguments.cluster
    prepare(arguments.corpus, arguments.source, arguments.destination, *how)
    print((arguments.destination / "report.md").read_text("utf-8", errors="surrogateescape"))
    print(arguments.destination)


def _prepare_performers(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import DataError

    if arguments.people is None or arguments.prepared is None:
        raise DataError("Performers need: stillspeak prepare performers HEAD PEOPLE DESTINATION --from PREPARED")
    if arguments.voices or arguments.readings:
        raise DataError("Performers take voices and readings from the clips that they act; prepare those with them.")
    from stillspeak.data.performers.make import prepare_performers

    prepare_performers(
        arguments.source,
        arguments.people,
        arguments.destination,
        arguments.prepared,
        arguments.landmarker,
        arguments.clips,
        arguments.workers,
        arguments.cluster,
    )
    print((arguments.destination / "report.md").read_text("utf-8", errors="surrogateescape"))


def _refuse_performers_own(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import DataError

    if arguments.people is not None:
        raise DataError(f"{arguments.corpus} takes a source and a destination; {arguments.people} is one too many.")
    if arguments.prepared is not None or arguments.landmarker is not None:
        raise DataError("--from and --landmarker belong to: stillspeak prepare performers")


def _prepare_sentences(arguments: argparse.Namespace) -> None:
    from stillspeak.data.sentences import prepare_sentences
    from stillspeak.training.teacher import teach

    how = arguments.workers, arguments.voices, arguments.readings
    sentences = prepare_sentences(arguments.source, arguments.destination, *how)
    print(teach(arguments.destination, sentences))
    print(arguments.destination)


def _add_data(verbs: Verbs) -> None:
    example = "stillspeak data show prepared -o sheet.png"
    parser = verb(verbs, "data", "Show a prepared folder, draw one, or pack it into shards and back.", example, _show)
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    show = kinds.add_parser(
        "show", help="print a table of the speakers, and draw a contact sheet", epilog=f"Example: {example}"
    )
    show.add_argument("folder", type=Path, help="the prepared folder")
    show.add_argument("-o", "--output", type=Path, default=None, help="the PNG to write (default: FOLDER/sheet.png)")
    show.add_argument("--split", default=None, help="the split: train, heldout, validation or test (default: all)")
    example = "stillspeak data draw drawn --speakers 10 --clips 10"
    draw = kinds.add_parser(
        "draw", help="draw faces that talk, for a first try without a corpus", epilog=f"Example: {example}"
    )
    draw.add_argument("folder", type=Path, help="the folder to write, which must be new")
    draw.add_argument("--speakers", type=int, default=10, help="how many people are drawn (default: 10)")
    draw.add_argument("--clips", type=int, default=10, help="how many clips each of them gets (default: 10)")
    draw.add_argument("--seed", type=int, default=0, help="the seed; the same seed draws the same clips (default: 0)")
    draw.set_defaults(run=_draw)
    example = "stillspeak data pack prepared s3://bucket/grid"
    pack = kinds.add_parser(
        "pack", help="pack a prepared folder into WebDataset tar shards", epilog=f"Example: {example}"
    )
    pack.add_argument("folder", type=Path, help="the prepared folder")
    pack.add_argument("destination", help="where the shards go: a folder, or any address that fsspec knows")
    pack.add_argument("--shard-mb", type=float, default=256, help="the size of a shard in megabytes (default: 256)")
    pack.set_defaults(run=_pack)
    example = "stillspeak data unpack s3://bucket/grid prepared --split train"
    unpack = kinds.add_parser(
        "unpack", help="write the clips of shards into a prepared folder", epilog=f"Example: {example}"
    )
    unpack.add_argument("source", help="where pack wrote the shards")
    unpack.add_argument("folder", type=Path, help="the prepared folder: new, or begun before")
    unpack.add_argument("--split", default=None, help="the split: train, heldout, validation or test (default: all)")
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
    print(arguments.folder)


def _show(arguments: argparse.Namespace) -> None:
    from stillspeak.data.show import contact_sheet, speakers_table

    print(speakers_table(arguments.folder, arguments.split))
    print(contact_sheet(arguments.folder, arguments.output or arguments.folder / "sheet.png", arguments.split))


def _add_train(verbs: Verbs) -> None:
    example = "stillspeak train default --data prepared --run runs/mine --adversarial.steps 20000"
    what = "Train a preset; --section.field VALUE changes any number of it, and --sequence None drops a discriminator."
    parser = verb(verbs, "train", what, example, _train)
    parser.add_argument(
        "preset",
        help="the preset: default, paper, paper_half, l1, l1_frame, static, synchronised, sharp or tiny; or lipreader or "
        "sync, the two networks that evaluate measures with",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the prepared folder to train on, or a folder of its shards"
    )
    parser.add_argument(
        "--run", dest="folder", type=Path, required=True, help="the folder for the run, which must be new"
    )
    parser.add_argument(
        "--init", type=Path, default=None, help="the run or model to start from (default: random weights)"
    )
    example = "stillspeak resume runs/mine"
    parser = verb(verbs, "resume", "Continue a training run from its checkpoint.", example, _resume)
    parser.add_argument("folder", type=Path, help="the folder of the run")

    example = "stillspeak runs runs"
    parser = verb(verbs, "runs", "List training runs, and the settings in which they differ.", example, _runs)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of runs, or folders that hold several")


def _runs(arguments: argparse.Namespace) -> None:
    from stillspeak.training.runs import differences, find_runs, table

    runs = find_runs(arguments.folders)
    print(table(runs))
    if len(runs) > 1 and (settings := differences(runs)):
        print(f"\n{settings}")


def _train(arguments: argparse.Namespace) -> None:
    from stillspeak.config import Config
    from stillspeak.errors import RunError
    from stillspeak.judges.build import build_judge
    from stillspeak.training.loop import train
    from stillspeak.training.overrides import overridden

    config = overridden(arguments.preset, arguments.overrides)
    if isinstance(config, Config):
        train(config, arguments.data, arguments.folder, arguments.init)
    elif arguments.init is not None:
        raise RunError(f"--init is for generators; {arguments.preset} always starts new.")
    else:
        train(config, arguments.data, arguments.folder, build=build_judge)


def _resume(arguments: argparse.Namespace) -> None:
    from stillspeak.judges.build import build_judge
    from stillspeak.training.loop import resume
    from stillspeak.training.run import RunFolder

    if RunFolder(arguments.folder).is_judge:
        resume(arguments.folder, build=build_judge)
    else:
        resume(arguments.folder)


def _add_export(verbs: Verbs) -> None:
    example = "stillspeak export runs/mine -o my-model"
    parser = verb(verbs, "export", "Turn a run into a model folder, which animate can use.", example, _export)
    parser.add_argument("model", type=Path, help="the folder of a run, or a model folder to export again")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder for the model")

    parser.add_argument(
        "--mouth",
        type=float,
        default=1.0,
        help="how far the exported model opens its mouth: 1.2 opens it a fifth further than it does now (default: 1)",
    )


def _export(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import ModelError
    from stillspeak.judges.export import export_judge
    from stillspeak.training.export import export
    from stillspeak.training.run import RunFolder

    folder = RunFolder(arguments.model)
    if not (folder.exists and folder.is_judge):
        print(export(arguments.model, arguments.output, arguments.mouth))
        return
    if arguments.mouth != 1:
        raise ModelError(f"{arguments.model} holds a judge, which has no mouth to open; leave --mouth out.")
    print(export_judge(arguments.model, arguments.output))
