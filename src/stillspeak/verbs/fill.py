"""Defines the verb that repairs recordings: fill."""

import argparse
from typing import Any

from stillspeak.verbs import Verbs, add_model, add_noise_and_mouth, verb
from stillspeak.verbs.film import add_marks, signature_of


def add(verbs: Verbs) -> None:
    """Adds the verb of this file to the parser."""
    example = "stillspeak fill call.mp4 -o repaired.mp4"
    what = "Draw the frames of a recording that are missing, frozen or black while its sound goes on."
    parser = verb(verbs, "fill", what, example, _fill)
    parser.add_argument("film", help="a video with sound in which a person faces the camera; - reads it from stdin")
    parser.add_argument("-o", "--output", required=True, help="the film to write: .mp4, .mov, .mkv or .webm")
    parser.add_argument(
        "--gaps",
        default=None,
        metavar="FROM-TO,...",
        help="the seconds whose frames are drawn, such as 1.2-1.8,4-5 (default: gaps are searched)",
    )
    add_noise_and_mouth(parser)
    add_model(parser)
    add_marks(parser)


def _fill(arguments: argparse.Namespace) -> None:
    from stillspeak.animate import load
    from stillspeak.fill_jobs import FillJob, run_fill

    names = "gaps", "seed", "mouth", "label"
    how: dict[str, Any] = {name: getattr(arguments, name) for name in names} | {"signature": signature_of(arguments)}
    for sentence in run_fill(FillJob(arguments.film, arguments.output, **how), lambda: load(arguments.model)):
        print(sentence)
    print(arguments.output)
