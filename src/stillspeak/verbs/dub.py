"""Defines the verb that dubs films: dub."""

import argparse
from typing import Any

from stillspeak.verbs import Verbs, add_model, add_noise_and_mouth, verb
from stillspeak.verbs.film import add_marks, by_face, signature_of


def add(verbs: Verbs) -> None:
    """Adds the verb of this file to the parser."""
    example = "stillspeak dub film.mp4 speech.wav -o dubbed.mp4"
    parser = verb(verbs, "dub", "Let a person of a film say something else.", example, _dub)
    parser.add_argument("film", help="a video in which a person faces the camera; - reads it from stdin")
    parser.add_argument(
        "speech", nargs="?", default=None, help="any sound file, or a video with sound; - reads it from stdin"
    )
    parser.add_argument(
        "--speech",
        dest="voices",
        action="append",
        default=[],
        metavar="N:FILE",
        help="let person N say FILE; give the option once for each who speaks (default: the person of --face says SPEECH)",
    )
    parser.add_argument("-o", "--output", required=True, help="the film to write: .mp4, .mov, .mkv or .webm")
    parser.add_argument(
        "--face",
        default="largest",
        help="who speaks: largest, the person who is seen most, or a number as `stillspeak faces FILM` counts "
        "(default: largest)",
    )
    parser.add_argument(
        "--extend",
        default="hold",
        choices=("hold", "loop", "pingpong", "end"),
        help="what follows if the speech is longer than the film: its last frame stays, it begins again, it runs backwards and "
        "forwards, or the speech is cut (default: hold)",
    )
    parser.add_argument(
        "--keep-sound",
        type=float,
        default=0.0,
        metavar="GAIN",
        help="how loud the filmed sound stays under the speech; 1 keeps it as it is (default: 0)",
    )
    add_noise_and_mouth(parser)
    add_model(parser)
    add_marks(parser)


def _dub(arguments: argparse.Namespace) -> None:
    from stillspeak.animate import load
    from stillspeak.dub_jobs import DubJob, run_dub
    from stillspeak.errors import OutputError

    if bool(arguments.voices) == (arguments.speech is not None):
        raise OutputError("dub takes FILM and SPEECH, or FILM and --speech N:FILE for each person who talks.")
    speech = by_face(arguments.voices) if arguments.voices else arguments.speech
    names = "face", "extend", "seed", "mouth", "keep_sound", "label"
    how: dict[str, Any] = {name: getattr(arguments, name) for name in names} | {"signature": signature_of(arguments)}
    report = run_dub(DubJob(arguments.film, speech, arguments.output, **how), lambda: load(arguments.model))
    for sentence in report.sentences():
        print(sentence)
    print(arguments.output)
