"""Defines the verbs that make and show films: animate, faces, inspect, serve."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillspeak.verbs import Verbs, add_address, add_model, add_noise_and_mouth, add_proxies, proxies_of, verb

_DIGITS = 9  # the most digits that a face's number may have
_WEEK_MINUTES = 7 * 24 * 60

if TYPE_CHECKING:
    from stillspeak.jobs import Job
    from stillspeak.media.signing import Signature


def add(verbs: Verbs) -> None:
    """Adds the verbs of this file to the parser."""
    _add_animate(verbs)
    _add_faces(verbs)
    _add_inspect(verbs)
    _add_serve(verbs)


def _add_animate(verbs: Verbs) -> None:
    example = "stillspeak animate face.jpg speech.wav -o talk.mp4"
    parser = verb(verbs, "animate", "Make a video in which the face of a photo says a speech clip.", example, _animate)
    _add_files(parser)
    _add_look(parser)
    add_marks(parser)
    _add_list(parser)


def _add_files(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that name the files and the model."""
    parser.add_argument("photo", nargs="?", default=None, help="a picture with a face; - reads it from stdin")
    parser.add_argument(
        "--frame",
        type=float,
        default=None,
        metavar="SECONDS",
        help="take the photo from a film, PHOTO: the frame that it shows after so many seconds (default: PHOTO is a picture)",
    )
    parser.add_argument(
        "speech", nargs="?", default=None, help="any sound file, or a video with sound; - reads it from stdin"
    )
    parser.add_argument(
        "--speech",
        dest="voices",
        action="append",
        default=[],
        metavar="N:FILE",
        help="let face N say FILE; give the option once for each face that speaks (default: the face of --face says SPEECH)",
    )
    parser.add_argument(
        "-o",
        "--output",
        default=None,
        help="the file to write, required without --batch: .mp4, .mov, .mkv, .webm, .gif, frame_%%05d.png, "
        "or - for raw RGB on stdout",
    )
    add_model(parser)


def _add_look(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say which face speaks, and how the film looks."""
    parser.add_argument(
        "--crop", action="store_true", help="write the model's own 96 x 128 frames instead of the photo"
    )
    parser.add_argument(
        "--face",
        default="largest",
        help="which face speaks: largest, all, or a number as `stillspeak faces` counts, from 1 (default: largest)",
    )
    add_noise_and_mouth(parser)
    parser.add_argument(
        "--fps", default=None, help="frames a second, such as 25, 29.97 or 30000/1001 (default: the model's own)"
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=None,
        help="the factor by which the photo is enlarged (default: 1, or less if a side is longer than 3840 pixels)",
    )
    parser.add_argument(
        "--teeth",
        default=None,
        help="another photo of the same person, whose open smile shows the teeth (default: the model paints them)",
    )


def add_marks(parser: argparse.ArgumentParser) -> None:
    """Adds the options that mark the film as synthetic."""
    parser.add_argument("--label", action="store_true", help='write "AI-generated" into a corner of the picture')
    parser.add_argument(
        "--sign-key",
        type=Path,
        default=None,
        help="the PEM file of a private key, which signs a C2PA manifest (default: no manifest)",
    )
    parser.add_argument(
        "--sign-certificates",
        type=Path,
        default=None,
        help="the PEM file of the key's certificate chain; --sign-key needs it (default: no manifest)",
    )


def _add_list(parser: argparse.ArgumentParser) -> None:
    """Adds the options that make many films from a list."""
    parser.add_argument(
        "--batch",
        type=Path,
        default=None,
        help="make every video of a CSV file with the columns photo,speech,output and, if you like, face,seed,fps,... "
        "(default: one video)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=None,
        help="with --batch: how many videos are made at once (default: half of the cores)",
    )
    parser.add_argument(
        "--cluster",
        default="",
        help="with --batch: the address of a Ray cluster; local starts one on this machine (default: no cluster)",
    )


def _animate(arguments: argparse.Namespace) -> None:
    from stillspeak.animate import load
    from stillspeak.errors import OutputError
    from stillspeak.jobs import Job, run_job

    names = "face", "seed", "fps", "crop", "scale", "label", "mouth", "teeth", "frame"
    how: dict[str, Any] = {name: getattr(arguments, name) for name in names} | {"signature": signature_of(arguments)}
    if arguments.batch is not None:
        if arguments.photo is not None or arguments.voices or arguments.output is not None:
            raise OutputError("--batch takes photos, speech and outputs from its list.")
        if arguments.teeth == "-":
            raise OutputError("--teeth of a list is a file, for every row reads it; it cannot come through stdin.")
        _animate_batch(arguments, Job("", "", "", **how))
        return
    if arguments.workers is not None or arguments.cluster:
        raise OutputError("--workers and --cluster belong to --batch.")
    if arguments.photo is None or bool(arguments.voices) == (arguments.speech is not None):
        raise OutputError("animate takes PHOTO and SPEECH, or PHOTO and --speech N:FILE for each face that talks.")
    if arguments.output is None:
        raise OutputError("animate needs -o OUTPUT, such as -o talk.mp4.")
    speech = by_face(arguments.voices) if arguments.voices else arguments.speech
    run_job(Job(arguments.photo, speech, arguments.output, **how), lambda: load(arguments.model))
    if arguments.output != "-":
        print(arguments.output)


def _animate_batch(arguments: argparse.Namespace, defaults: "Job") -> None:
    from stillspeak.batch import run_batch

    rows = run_batch(arguments.batch, arguments.model, arguments.workers, arguments.cluster, defaults)
    print(f"{len(rows)} videos")


def signature_of(arguments: argparse.Namespace) -> "Signature | None":
    """Returns the key that ``--sign-key`` names, or None. Raises OutputError if only one of its two options is given."""
    from stillspeak.errors import OutputError
    from stillspeak.media.signing import Signature

    if (arguments.sign_key is None) != (arguments.sign_certificates is None):
        raise OutputError("--sign-key and --sign-certificates belong together.")
    return None if arguments.sign_key is None else Signature(arguments.sign_key, arguments.sign_certificates)


def by_face(voices: list[str]) -> dict[int, str]:
    """Reads arguments like ``2:b.wav`` into files by the number of the face."""
    from stillspeak.errors import OutputError

    found: dict[int, str] = {}
    for voice in voices:
        number, _, path = voice.partition(":")
        if not number.isdecimal() or len(number) > _DIGITS or int(number) < 1 or not path:
            raise OutputError(f"--speech takes a face's number and a file, such as 2:b.wav, not {voice:.80}.")
        if int(number) in found:
            raise OutputError(f"--speech gives face {number} two files.")
        found[int(number)] = path
    return found


def _add_faces(verbs: Verbs) -> None:
    example = "stillspeak faces family.jpg -o numbered.png"
    what = "Draw a number on every face of a photo or a film, as --face counts them."
    parser = verb(verbs, "faces", what, example, _faces)
    parser.add_argument("photo", help="the photo or film: a picture or a video with faces; - reads it from stdin")
    parser.add_argument("-o", "--output", type=Path, default=None, help="the picture to write (default: faces.png)")


def _faces(arguments: argparse.Namespace) -> None:
    from stillspeak.jobs import input_file, require_other
    from stillspeak.media.film import open_film
    from stillspeak.media.images import write_image
    from stillspeak.media.kinds import VIDEO, kind_of
    from stillspeak.runtime.cast import look_through
    from stillspeak.runtime.scene import numbered
    from stillspeak.runtime.strip import described, strip

    output = arguments.output or Path("faces.png")
    with input_file(arguments.photo) as photo:
        require_other(str(output), [photo])
        if kind_of(photo) == VIDEO:
            cast = look_through(open_film(photo))
            drawn, said = strip(cast), described(cast)
        else:
            drawn, faces = numbered(photo)
            edges = ((face.box[0], face.box[1], face.box[2] - face.box[0]) for face in faces)
            said = [f"{number}: {wide} pixels wide at {x}, {y}" for number, (x, y, wide) in enumerate(edges, 1)]
    write_image(output, drawn)
    for sentence in said:
        print(sentence)
    print(output)


def _add_inspect(verbs: Verbs) -> None:
    example = "stillspeak inspect talk.mp4"
    parser = verb(
        verbs, "inspect", "Print whether a file says that it is synthetic, and who made it.", example, _inspect
    )
    parser.add_argument("file", type=Path, help="the file: any picture, video or sound")


def _inspect(arguments: argparse.Namespace) -> None:
    import json

    from stillspeak.media.inspection import inspect

    print(json.dumps(inspect(arguments.file), indent=2))


def _add_serve(verbs: Verbs) -> None:
    example = "stillspeak serve --port 8000"
    parser = verb(verbs, "serve", "Serve the model to browsers, which send speech and show the face.", example, _serve)
    add_address(parser)
    add_model(parser)
    parser.add_argument(
        "--api-key",
        default=None,
        help="the key that clients must send (default: the variable STILLSPEAK_API_KEY; without it anybody may ask)",
    )
    parser.add_argument(
        "--sessions", type=int, default=0, help="how many live talks may run at once (default: two a core)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many videos are made at once (default: 1)")
    parser.add_argument("--queue", type=int, default=8, help="how many videos may wait their turn (default: 8)")
    parser.add_argument(
        "--keep-minutes",
        type=float,
        default=15.0,
        help="minutes for which a finished video can be fetched (default: 15)",
    )
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="SERVER",
        help="a STUN or TURN server that helps WebRTC through routers: stun:HOST:PORT or "
        "turn:USER:PASSWORD@HOST:PORT?transport=tcp; give the option once for each (default: none)",
    )
    add_proxies(parser)


def _serve(arguments: argparse.Namespace) -> None:
    from stillspeak.errors import OutputError
    from stillspeak.serving.server import serve
    from stillspeak.serving.settings import Settings
    from stillspeak.temporary import temporary_folder

    if arguments.jobs < 1 or min(arguments.sessions, arguments.queue) < 0:
        raise OutputError("--jobs must be at least 1, --sessions and --queue at least 0.")
    if not 0 < arguments.keep_minutes <= _WEEK_MINUTES:
        raise OutputError(f"--keep-minutes must lie above 0 and be at most {_WEEK_MINUTES}, a week.")
    if arguments.api_key == "":
        raise OutputError("--api-key is empty; leave it out if anybody may ask.")
    with temporary_folder():
        pass  # uploads will lie there
    key = os.environ.get("STILLSPEAK_API_KEY", "") if arguments.api_key is None else arguments.api_key
    settings = Settings(
        arguments.model,
        key,
        arguments.sessions,
        arguments.jobs,
        arguments.queue,
        keep_minutes=arguments.keep_minutes,
        ice_servers=tuple(arguments.ice_server),
        proxies=proxies_of(arguments),
    )
    serve(settings, arguments.host, arguments.port)
