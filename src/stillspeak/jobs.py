"""Makes one video from files, as the command line asks for it."""

import contextlib
import re
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stillspeak.animate import Animator
from stillspeak.errors import MediaError, OutputError
from stillspeak.media.audio import open_sound, sound_seconds
from stillspeak.media.film import frame_at
from stillspeak.media.images import read_alpha, read_image
from stillspeak.media.kinds import require_order, require_picture, require_sound
from stillspeak.media.label import labelled
from stillspeak.media.pictures import keeps_alpha, open_writer, writes_over
from stillspeak.media.signing import Signature
from stillspeak.media.writer import FILM_SUFFIXES
from stillspeak.runtime.engine import require_gain
from stillspeak.temporary import temporary_folder
from stillspeak.whole import discard, part_file

_FPS_LIMITS = (1, 120)
_NTSC = (24, 30, 60)  # television plays each of these rates 1001 / 1000 slower
_CLOSE = 0.01
_RATE = re.compile(r"\d{1,6}(\.\d{1,6})?|\d{1,6}/\d{1,6}", re.ASCII)


@dataclass(frozen=True)
class Job:
    """Describes a video to make: its files and its settings.

    Attributes:
        photo: the name of a file, or ``-`` for stdin.
        speech: the name of a file, or ``-`` for stdin; or the name of a file for each face that speaks, by the face's number.
        output: the name of the file to write, of a kind that ``open_writer`` knows.
        face, seed, fps, crop, scale, mouth: the arguments of ``Animator.frames``.
        teeth: the photo that ``Animator.frames`` takes the teeth from: the name of a file, ``-``, or None.
        frame: the second at which the photo is taken from ``photo``, which is a film then; None if it is a picture.
        label: whether every frame shows the words "AI-generated".
        signature: the key that signs the file (C2PA); None for no signature.
    """

    photo: str
    speech: str | Mapping[int, str]
    output: str
    face: str = "largest"
    seed: int = 0
    fps: str | None = None
    crop: bool = False
    scale: float | None = None
    label: bool = False
    mouth: float = 1.0
    teeth: str | None = None
    frame: float | None = None
    signature: Signature | None = None


def run_job(
    job: Job, load: Callable[[], Animator], quiet: bool = False, tell: Callable[[int, int | None], None] | None = None
) -> None:
    """Makes a video.

    Args:
        job: the video to make.
        load: returns the model; it is called after the files were checked.
        quiet: whether the progress bar is left out.
        tell: is called after each frame with the number of frames written, and with that of all frames if it is known.

    Raises:
        StillspeakError: if an input cannot be used or the output cannot be written.
    """
    rate = _checked_rate(job)
    with _files(job) as (photos, speeches):
        image, teeth = _readable_photos(job, photos, speeches.values())
        alpha = None if job.crop or job.frame is not None else read_alpha(photos[0])
        animator = load()
        fps = rate or Fraction(animator.fps)
        speech = speeches if isinstance(job.speech, Mapping) else speeches[1]
        named = {name: getattr(job, name) for name in ("seed", "face", "crop", "scale", "mouth")}
        with warnings.catch_warnings(record=True) as noted:  # shown below: an error comes first, and alone
            warnings.simplefilter("always")
            frames = animator.frames(image, speech, fps=fps, teeth=teeth, **named)
        sound = speech if isinstance(speech, Path) else [*speech.values()]
        first = next(frames)
        if alpha is not None:
            alpha = np.asarray(cv2.resize(alpha, first.shape[1::-1]), np.uint8)
        with open_writer(job.output, fps, sound, alpha, job.signature) as writer:
            for warning in noted:
                warnings.warn(warning.message, stacklevel=2)
            total = _frames(speeches, fps)
            shown = tqdm(chain([first], frames), total=total, unit="frame", disable=quiet or None, delay=2)
            for number, frame in enumerate(shown, 1):
                writer.write(labelled(frame) if job.label else frame)
                if tell is not None:
                    tell(number, total)


def _checked_rate(job: Job) -> Fraction | None:
    """Returns the frame rate that a job names, or None. Raises OutputError if a setting is wrong, or two do not go together."""
    if job.seed < 0:
        raise OutputError(f"--seed must not be negative, got {job.seed}.")
    require_gain(job.mouth)
    several = isinstance(job.speech, Mapping)
    if several and job.face != "largest":
        raise OutputError("--speech N:FILE says which faces speak; leave --face out.")
    if job.crop and (job.face == "all" or several):
        raise OutputError("A crop shows one face: choose it by its number, and give one speech.")
    if job.signature is not None:
        job.signature.check(job.output)
    return frame_rate(job.fps) if job.fps is not None else None


def _readable_photos(
    job: Job, photos: Sequence[Path], speeches: Collection[Path]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Returns the pixels of the photo, and those of the photo for the teeth if there is one.

    Raises:
        MediaError: if a file cannot be used. This is checked before anything heavy is loaded.
    """
    require_other(job.output, [*photos, *speeches])
    for path in speeches:
        require_order(photos[0], path)
        require_sound(path)
    for path in photos[job.frame is not None :]:
        require_picture(path)
    if job.frame is None:
        image = read_image(photos[0], opaque=job.crop or not keeps_alpha(job.output))
    else:
        image = frame_at(photos[0], job.frame)
    teeth = read_image(photos[1]) if len(photos) > 1 else None
    for path in speeches:
        open_sound(path)
    return image, teeth


def require_edited_film(what: str, output: str, seed: int, mouth: float, signature: Signature | None) -> None:
    """Checks, before anything heavy is loaded, what every edited film needs.

    Args:
        what: what the film is called in a sentence: ``dubbed`` or ``repaired``.
        output: the name of the film to write.
        seed, mouth, signature: the settings.

    Raises:
        OutputError, MediaError: if a setting is wrong, or the file cannot be written there.
    """
    if seed < 0:
        raise OutputError(f"--seed must not be negative, got {seed}.")
    require_gain(mouth)
    path = Path(output)
    if path.suffix.lower() not in FILM_SUFFIXES and not path.is_dir():
        raise OutputError(f"A {what} film must end in {', '.join(FILM_SUFFIXES)}, not {path.name}.")
    discard(part_file(path))  # this raises if the folder cannot be written
    if signature is not None:
        signature.check(output)


def telling(
    bar: "tqdm[NoReturn]", tell: Callable[[int, int | None], None] | None = None, before: int = 0, total: int = 0
) -> Callable[[int], None]:
    """Returns what takes the number of frames that are done, and moves a progress bar.

    ``tell`` is told that number too, together with ``before``, the frames of the step before, and with ``total``.
    """

    def told(number: int) -> None:
        bar.update(number - bar.n)
        if tell is not None:
            tell(before + number, total)

    return told


def frame_rate(text: str) -> Fraction:
    """Reads a frame rate as users write it: ``25``, ``29.97`` (which means 30000/1001), ``30000/1001``.

    Raises:
        OutputError: if the text is no number, or not from 1 to 120.
    """
    try:
        rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    except ZeroDivisionError:
        rate = Fraction(0)
    if not _FPS_LIMITS[0] <= rate <= _FPS_LIMITS[1]:
        raise OutputError(f"The frame rate must lie between {_FPS_LIMITS[0]} and {_FPS_LIMITS[1]}, not {text:.20}.")
    slower = [Fraction(1000 * base, 1001) for base in _NTSC]
    return next((ntsc for ntsc in slower if 0 < abs(rate - ntsc) < _CLOSE), rate)


def require_other(output: str, inputs: Iterable[Path]) -> None:
    """Raises OutputError if an output is one of the inputs, which writing it would destroy."""
    if any(writes_over(output, path) for path in inputs):
        raise OutputError(f"{output} is one of the inputs; give the output another name.")


@contextlib.contextmanager
def _files(job: Job) -> Iterator[tuple[list[Path], dict[int, Path]]]:
    """Yields the files of a job: its photos (the second one is for the teeth), and its speeches by the number of the face."""
    speeches = dict(job.speech) if isinstance(job.speech, Mapping) else {1: job.speech}
    photos = [job.photo] if job.teeth is None else [job.photo, job.teeth]
    if [*photos, *speeches.values()].count("-") > 1:
        raise MediaError("Only one input can come through stdin.")
    with contextlib.ExitStack() as kept:
        read = [kept.enter_context(input_file(name)) for name in photos]
        yield read, {number: kept.enter_context(input_file(name)) for number, name in speeches.items()}


@contextlib.contextmanager
def input_file(name: str) -> Iterator[Path]:
    """Yields the path of an input. What comes through stdin (``-``) or a named pipe is first copied to a temporary file.

    Raises:
        MediaError: if nothing comes through the pipe.
        TemporaryFolderError: if there is no room for the copy.
    """
    if name != "-" and not _is_pipe(name):
        yield Path(name)
        return
    with temporary_folder() as folder, contextlib.ExitStack() as opened:
        pipe = sys.stdin.buffer if name == "-" else opened.enter_context(Path(name).open("rb"))
        path = folder / "piped"
        with path.open("wb") as copy:
            while block := pipe.read(1 << 20):
                copy.write(block)
        if not path.stat().st_size:
            raise MediaError(f"Nothing came through {'stdin' if name == '-' else name}.")
        yield path


def _is_pipe(name: str) -> bool:
    try:
        return Path(name).is_fifo()
    except OSError:  # whoever opens the file says what is wrong with it
        return False


def _frames(speeches: Mapping[int, Path], fps: Fraction) -> int | None:
    """Estimates how many frames there will be, for the progress bar; None if no length is known."""
    lengths = [sound_seconds(path) for path in speeches.values()]
    known = [seconds for seconds in lengths if seconds]
    return int(max(known) * fps) if known else None
