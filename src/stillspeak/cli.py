"""The command line: verbs, their arguments, and one sentence with exit code 2 for what cannot work.

Thin: each verb imports its room when it runs, so ``--help`` answers at once.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillspeak.errors import StillspeakError
from stillspeak.media.provenance import package_version

if TYPE_CHECKING:
    from stillspeak.jobs import Job
    from stillspeak.media.signing import Signature

_EXTRAS = {"ray": "cluster", "c2pa": "sign"} | dict.fromkeys(
    ("fastapi", "uvicorn", "prometheus_client", "multipart"), "serve"
)


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
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stillspeak",
        description="A photo and a speech clip in, a video of that person saying it out.",
        epilog="Example: stillspeak animate face.jpg speech.wav -o talk.mp4",
    )
    parser.add_argument("--version", action="version", version=f"stillspeak {package_version()}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_animate(verbs)
    _add_faces(verbs)
    _add_inspect(verbs)
    _add_prepare(verbs)
    _add_data(verbs)
    _add_train(verbs)
    _add_export(verbs)
    _add_evaluate(verbs)
    _add_serve(verbs)
    _add_bench(verbs)
    _add_ablate(verbs)
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    what: str,
    example: str,
    run: Callable[[argparse.Namespace], None],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=what, description=what, epilog=f"Example: {example}")
    parser.set_defaults(run=run)
    return parser


def _add_animate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak animate face.jpg speech.wav -o talk.mp4"
    parser = _verb(verbs, "animate", "Make a photo say a speech clip.", example, _animate)
    parser.add_argument("photo", nargs="?", default=None, help="a picture with a face in it; - is stdin")
    parser.add_argument("speech", nargs="?", default=None, help="any sound file, or a video with sound; - is stdin")
    parser.add_argument(
        "--speech",
        dest="voices",
        action="append",
        default=[],
        metavar="N:FILE",
        help="what face N says; for each of several",
    )
    parser.add_argument(
        "-o", "--output", default=None, help="mp4, mov, mkv, webm, gif, frame_%%05d.png, or - for raw RGB to stdout"
    )
    parser.add_argument("--model", default="default", help="a shipped model's name or an exported folder (default)")
    parser.add_argument("--crop", action="store_true", help="the model's own 96 x 128 frames and not the photo")
    parser.add_argument("--face", default="largest", help="largest, all, or a face's number, best first, from 1")
    parser.add_argument("--seed", type=int, default=0, help="of the noise behind blinks and brows (0)")
    parser.add_argument("--fps", default=None, help="frames a second: 25, 29.97, 30000/1001 (the model's own)")
    parser.add_argument("--scale", type=float, default=None, help="of the photo (1; less if longer than 3840 pixels)")
    parser.add_argument("--label", action="store_true", help='writes "AI-generated" in a corner, for anybody to see')
    parser.add_argument("--sign-key", type=Path, default=None, help="PEM of a private key: signs a C2PA manifest")
    parser.add_argument("--sign-certificates", type=Path, default=None, help="PEM of its certificate chain")
    parser.add_argument(
        "--batch", type=Path, default=None, help="a CSV of many: photo,speech,output[,face,seed,fps,...]"
    )
    parser.add_argument("--workers", type=int, default=None, help="with --batch: videos side by side (half the cores)")
    parser.add_argument("--cluster", default="", help="with --batch: a Ray cluster's address; local starts one here")


def _animate(arguments: argparse.Namespace) -> None:
    from stillspeak.animate import load
    from stillspeak.errors import OutputError
    from stillspeak.jobs import Job, run_job

    how = arguments.face, arguments.seed, arguments.fps, arguments.crop, arguments.scale, arguments.label
    signature = _signature(arguments)
    if arguments.batch is not None:
        if arguments.photo is not None or arguments.voices or arguments.output is not None:
            raise OutputError("--batch takes photos, speech and outputs from its list.")
        _animate_batch(arguments, Job("", "", "", *how, signature))
        return
    if arguments.photo is None or bool(arguments.voices) == (arguments.speech is not None):
        raise OutputError("animate takes PHOTO and SPEECH, or PHOTO and --speech N:FILE for each face that talks.")
    if arguments.output is None:
        raise OutputError("animate needs -o OUTPUT, such as -o talk.mp4.")
    speech = _by_face(arguments.voices) if arguments.voices else arguments.speech
    run_job(Job(arguments.photo, speech, arguments.output, *how, signature), lambda: load(arguments.model))


def _animate_batch(arguments: argparse.Namespace, defaults: "Job") -> None:
    from stillspeak.batch import run_batch

    rows = run_batch(arguments.batch, arguments.model, arguments.workers, arguments.cluster, defaults)
    print(f"{len(rows)} videos")


def _signature(arguments: argparse.Namespace) -> "Signature | None":
    from stillspeak.errors import OutputError
    from stillspeak.media.signing import Signature

    if (arguments.sign_key is None) != (arguments.sign_certificates is None):
        raise OutputError("--sign-key and --sign-certificates belong together.")
    return None if arguments.sign_key is None else Signature(arguments.sign_key, arguments.sign_certificates)


def _by_face(voices: list[str]) -> dict[int, str]:
    """Files by the number of the face, of arguments like ``2:b.wav``."""
    from stillspeak.errors import OutputError

    found: dict[int, str] = {}
    for voice in voices:
        number, _, path = voice.partition(":")
        if not number.isdecimal() or int(number) < 1 or not path:
            raise OutputError(f"--speech takes a face's number and a file, such as 2:b.wav, not {voice}.")
        if int(number) in found:
            raise OutputError(f"--speech gives face {number} two files.")
        found[int(number)] = path
    return found


def _add_faces(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak faces family.jpg -o numbered.png"
    parser = _verb(verbs, "faces", "Number the faces of a photo, as --face counts them.", example, _faces)
    parser.add_argument("photo", type=Path, help="a picture with faces in it")
    parser.add_argument("-o", "--output", type=Path, default=None, help="the picture to write (faces.png)")


def _faces(arguments: argparse.Namespace) -> None:
    from stillspeak.media.faces import write_image
    from stillspeak.runtime.scene import numbered

    drawn, faces = numbered(arguments.photo)
    output = arguments.output or Path("faces.png")
    write_image(output, drawn)
    for number, face in enumerate(faces, 1):
        print(f"{number}: {face.box[2] - face.box[0]} pixels wide at {face.box[0]}, {face.box[1]}")
    print(output)


def _add_inspect(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak inspect talk.mp4"
    parser = _verb(verbs, "inspect", "Say what a file says of itself: is it synthetic, who made it.", example, _inspect)
    parser.add_argument("file", type=Path, help="any picture, video or sound")


def _inspect(arguments: argparse.Namespace) -> None:
    import json

    from stillspeak.media.inspection import inspect

    print(json.dumps(inspect(arguments.file), indent=2))


def _add_prepare(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak prepare grid GRID_FOLDER prepared"
    parser = _verb(verbs, "prepare", "Turn a raw corpus into aligned training clips; resumable.", example, _prepare)
    parser.add_argument(
        "corpus", help="grid, tcd-timit, crema-d, lrw, folder (any tree of videos), or portraits (photos for training)"
    )
    parser.add_argument("source", type=Path, help="the corpus as published")
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
    how = arguments.workers, arguments.voices, arguments.readings, arguments.cluster
    prepare(arguments.corpus, arguments.source, arguments.destination, *how)
    print((arguments.destination / "report.md").read_text())


def _add_data(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak data show prepared -o sheet.png"
    parser = _verb(verbs, "data", "Look at a prepared folder, draw one, or move it as shards.", example, _show)
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


def _draw(arguments: argparse.Namespace) -> None:
    from stillspeak.data.synthetic import draw_corpus

    draw_corpus(arguments.folder, arguments.speakers, arguments.clips, arguments.seed)
    print((arguments.folder / "report.md").read_text())


def _pack(arguments: argparse.Namespace) -> None:
    from stillspeak.data.shards import pack

    shards = pack(arguments.folder, arguments.destination, arguments.shard_mb)
    print(f"{arguments.destination}: {len(shards)} shards")


def _unpack(arguments: argparse.Namespace) -> None:
    from stillspeak.data.shards import unpack

    clips = unpack(arguments.source, arguments.folder, arguments.split)
    print(f"{arguments.folder}: {len(clips)} clips")


def _show(arguments: argparse.Namespace) -> None:
    from stillspeak.data.show import contact_sheet, speakers_table

    print(speakers_table(arguments.folder, arguments.split))
    print(contact_sheet(arguments.folder, arguments.output or arguments.folder / "sheet.png", arguments.split))


def _add_train(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak train default --data prepared --run runs/mine --train.steps 20000"
    parser = _verb(verbs, "train", "Train a preset; any field can be set with --section.field value.", example, _train)
    parser.add_argument(
        "preset",
        help="default, paper, l1, l1_frame, static, synchronised or tiny; lipreader or sync: the judges of evaluate",
    )
    parser.add_argument("--data", type=Path, required=True, help="a prepared folder")
    parser.add_argument("--run", dest="folder", type=Path, required=True, help="the run's folder; must be new")
    parser.add_argument("--init", type=Path, default=None, help="a run or exported model to start from")
    example = "stillspeak resume runs/mine"
    parser = _verb(verbs, "resume", "Go on with a training run where its checkpoint stands.", example, _resume)
    parser.add_argument("folder", type=Path, help="the run's folder")

    example = "stillspeak runs runs"
    parser = _verb(verbs, "runs", "List training runs, and where some of them differ.", example, _runs)
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

    if RunFolder(arguments.folder).is_judge:
        JudgeTrainer(RunFolder(arguments.folder)).run()
    else:
        resume(arguments.folder)


def _add_export(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak export runs/mine -o my-model"
    parser = _verb(verbs, "export", "Turn a run into a model folder for animate.", example, _export)
    parser.add_argument("model", type=Path, help="a run, or a model folder to export again")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the model")

    parser.add_argument("--towards", type=Path, default=None, help="blend with this run or model")
    parser.add_argument("--share", type=float, default=0.5, help="of --towards: 0 is none of it, 1 nothing else (0.5)")
    parser.add_argument("--part", default="all", help="that is blended: all, sound or picture (all)")


def _export(arguments: argparse.Namespace) -> None:
    if arguments.towards is not None:
        _export_blend(arguments)
        return
    from stillspeak.training.export import export
    from stillspeak.training.judge_loop import export_judge
    from stillspeak.training.run import RunFolder

    folder = RunFolder(arguments.model)
    judge = folder.exists and folder.is_judge
    print(export_judge(arguments.model, arguments.output) if judge else export(arguments.model, arguments.output))


def _export_blend(arguments: argparse.Namespace) -> None:
    from stillspeak.training.blend import read_blend
    from stillspeak.training.export import export_trained

    trained = read_blend(arguments.model, arguments.towards, arguments.share, arguments.part)
    print(export_trained(trained, arguments.output))


def _add_evaluate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak evaluate default --data prepared --split validation -o results"
    parser = _verb(verbs, "evaluate", "Judge a model over prepared clips, or any two videos.", example, _evaluate)
    parser.add_argument("model", nargs="?", default=None, help="a shipped model's name or an exported folder")
    parser.add_argument("--data", type=Path, default=None, help="a prepared folder")
    parser.add_argument("--split", default="test", choices=("train", "heldout", "validation", "test"), help="(test)")
    parser.add_argument("--speakers", default="", help="only these, with commas between")
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

    if arguments.video is not None:
        made, real = arguments.video
        evaluate_videos(made, real, arguments.output, arguments.text)
    elif arguments.model is None or arguments.data is None:
        raise DataError("evaluate needs a MODEL and --data PREPARED, or --video MADE REAL.")
    else:
        speakers = [name.strip() for name in arguments.speakers.split(",") if name.strip()]
        evaluate(
            arguments.model,
            arguments.data,
            arguments.output,
            split=arguments.split,
            speakers=speakers or None,
            clips=arguments.clips,
            workers=arguments.workers,
            seed=arguments.seed,
        )
    print((arguments.output / "results.md").read_text())


def _add_serve(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak serve --port 8000"
    parser = _verb(verbs, "serve", "Live: speech streams in, the face streams out, in the browser.", example, _serve)
    parser.add_argument("--host", default="127.0.0.1", help="to listen at (127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any that is free (8000)")
    parser.add_argument("--model", default="default", help="a shipped model's name or an exported folder (default)")
    parser.add_argument(
        "--api-key",
        default=os.environ.get("STILLSPEAK_API_KEY", ""),
        help="that clients must know (STILLSPEAK_API_KEY)",
    )
    parser.add_argument("--sessions", type=int, default=0, help="live talks at once (two for each core)")
    parser.add_argument("--jobs", type=int, default=1, help="videos made at once (1)")
    parser.add_argument("--queue", type=int, default=8, help="videos that may wait (8)")


def _serve(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import OutputError
    from stillspeak.serving.server import serve
    from stillspeak.serving.service import Settings

    if arguments.jobs < 1 or min(arguments.sessions, arguments.queue) < 0:
        raise OutputError("--jobs must be at least 1, --sessions and --queue at least 0.")
    how = arguments.model, arguments.api_key, arguments.sessions, arguments.jobs, arguments.queue
    serve(Settings(*how), arguments.host, arguments.port)


def _add_bench(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak bench --paper"
    parser = _verb(verbs, "bench", "The paper's timings on this machine: a frame, and 75 of them.", example, _bench)
    parser.add_argument(
        "--paper", action="store_true", help="the paper's sizes in PyTorch, and its figures beside them"
    )
    parser.add_argument("--preset", default="default", help="without --paper: a preset to time in PyTorch (default)")
    parser.add_argument("--model", default="default", help="a shipped model's name or an exported folder (default)")


def _bench(arguments: argparse.Namespace) -> None:
    from stillspeak.experiments.timing import measure, table

    print(table(measure("paper" if arguments.paper else arguments.preset, arguments.model)))


def _add_ablate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    example = "stillspeak ablate --data prepared -o ablation --train.hours 2"
    what = "The paper's Tables 2 and 3: trains l1, l1_frame, full and static, judges them; resumable."
    parser = _verb(verbs, "ablate", what, example, _ablate)
    parser.add_argument("--data", type=Path, required=True, help="a prepared folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of runs, models, evaluations, tables")
    parser.add_argument(
        "--take",
        action="append",
        default=[],
        metavar="ROW=MODEL",
        help="l1, l1_frame, full or static_baseline as it is",
    )
    parser.add_argument("--split", default="test", choices=("train", "heldout", "validation", "test"), help="(test)")
    parser.add_argument("--speakers", default="", help="only these, with commas between")
    parser.add_argument("--clips", type=int, default=None, help="at most so many, evenly from the whole list")
    parser.add_argument("--workers", type=int, default=None, help="processes that judge (one a core)")


def _ablate(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import RunError
    from stillspeak.experiments.ablation import ablate

    if wrong := [given for given in arguments.take if "=" not in given]:
        raise RunError(f"--take wants ROW=MODEL, such as full=default, not {wrong[0]}.")
    speakers = [name.strip() for name in arguments.speakers.split(",") if name.strip()]
    ablate(
        arguments.data,
        arguments.output,
        overrides=arguments.overrides,
        taken=dict(given.split("=", 1) for given in arguments.take),
        split=arguments.split,
        speakers=speakers or None,
        clips=arguments.clips,
        workers=arguments.workers,
    )
    print((arguments.output / "results.md").read_text())


if __name__ == "__main__":
    sys.exit(main())
