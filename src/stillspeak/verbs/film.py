"""Verbs that make and show films: animate, faces, inspect, serve."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillspeak.verbs import Verbs, add_proxies, proxies_of, verb

_DIGITS = 9  # of a face's number
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
    parser = verb(verbs, "animate", "Make a photo say a speech clip.", example, _animate)
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
    parser.add_argument(
        "--mouth", type=float, default=1.0, help="how far the mouth opens, 0 to 2; 1 is as far as speech says (1)"
    )
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

    names = "face", "seed", "fps", "crop", "scale", "label", "mouth"
    how: dict[str, Any] = {name: getattr(arguments, name) for name in names} | {"signature": _signature(arguments)}
    if arguments.batch is not None:
        if arguments.photo is not None or arguments.voices or arguments.output is not None:
            raise OutputError("--batch takes photos, speech and outputs from its list.")
        _animate_batch(arguments, Job("", "", "", **how))
        return
    if arguments.workers is not None or arguments.cluster:
        raise OutputError("--workers and --cluster belong to --batch.")
    if arguments.photo is None or bool(arguments.voices) == (arguments.speech is not None):
        raise OutputError("animate takes PHOTO and SPEECH, or PHOTO and --speech N:FILE for each face that talks.")
    if arguments.output is None:
        raise OutputError("animate needs -o OUTPUT, such as -o talk.mp4.")
    speech = _by_face(arguments.voices) if arguments.voices else arguments.speech
    run_job(Job(arguments.photo, speech, arguments.output, **how), lambda: load(arguments.model))
    if arguments.output != "-":
        print(arguments.output)


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
        if not number.isdecimal() or len(number) > _DIGITS or int(number) < 1 or not path:
            raise OutputError(f"--speech takes a face's number and a file, such as 2:b.wav, not {voice:.80}.")
        if int(number) in found:
            raise OutputError(f"--speech gives face {number} two files.")
        found[int(number)] = path
    return found


def _add_faces(verbs: Verbs) -> None:
    example = "stillspeak faces family.jpg -o numbered.png"
    parser = verb(verbs, "faces", "Number the faces of a photo, as --face counts them.", example, _faces)
    parser.add_argument("photo", help="a picture with faces in it; - is stdin")
    parser.add_argument("-o", "--output", type=Path, default=None, help="the picture to write (faces.png)")


def _faces(arguments: argparse.Namespace) -> None:
    from stillspeak.jobs import input_file, require_other
    from stillspeak.media.images import write_image
    from stillspeak.runtime.scene import numbered

    output = arguments.output or Path("faces.png")
    with input_file(arguments.photo) as photo:
        require_other(str(output), [photo])
        drawn, faces = numbered(photo)
    write_image(output, drawn)
    for number, face in enumerate(faces, 1):
        print(f"{number}: {face.box[2] - face.box[0]} pixels wide at {face.box[0]}, {face.box[1]}")
    print(output)


def _add_inspect(verbs: Verbs) -> None:
    example = "stillspeak inspect talk.mp4"
    parser = verb(verbs, "inspect", "Say what a file says of itself: is it synthetic, who made it.", example, _inspect)
    parser.add_argument("file", type=Path, help="any picture, video or sound")


def _inspect(arguments: argparse.Namespace) -> None:
    import json

    from stillspeak.media.inspection import inspect

    print(json.dumps(inspect(arguments.file), indent=2))


def _add_serve(verbs: Verbs) -> None:
    example = "stillspeak serve --port 8000"
    parser = verb(verbs, "serve", "Live: speech streams in, the face streams out, in the browser.", example, _serve)
    parser.add_argument("--host", default="127.0.0.1", help="to listen at (127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any that is free (8000)")
    parser.add_argument("--model", default="default", help="a shipped model's name or an exported folder (default)")
    parser.add_argument(
        "--api-key",
        default=None,
        help="that clients must know (STILLSPEAK_API_KEY)",
    )
    parser.add_argument("--sessions", type=int, default=0, help="live talks at once (two for each core)")
    parser.add_argument("--jobs", type=int, default=1, help="videos made at once (1)")
    parser.add_argument("--queue", type=int, default=8, help="videos that may wait (8)")
    parser.add_argument(
        "--keep-minutes", type=float, default=15.0, help="how long a video can be fetched after it was made (15)"
    )
    parser.add_argument(
        "--ice-server",
        action="append",
        default=[],
        metavar="SERVER",
        help="a server that helps WebRTC through routers, once for each: stun:HOST:PORT or "
        "turn:USER:PASSWORD@HOST:PORT?transport=tcp (none is asked)",
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
