"""Dubs one film from files, as the command line asks for it."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from stillspeak.animate import Animator
from stillspeak.dub import Dub
from stillspeak.errors import MediaError, OutputError, StillspeakWarning
from stillspeak.jobs import input_file, require_edited_film, require_other, telling
from stillspeak.media.audio import open_sound
from stillspeak.media.film import open_film
from stillspeak.media.kinds import PICTURE, SOUND, VIDEO, kind_of, require_sound
from stillspeak.media.signing import Signature
from stillspeak.runtime.report import Report


@dataclass(frozen=True)
class DubJob:
    """Describes a film to dub: its files and its settings.

    Attributes:
        film: the name of a file, or ``-`` for stdin.
        speech: the name of a file, or ``-`` for stdin; or the name of a file for each person who speaks, by number.
        output: the name of the film to write.
        face, extend, seed, mouth: the arguments of ``Animator.dub``.
        keep_sound, label, signature: the arguments of ``Dub.save``.
    """

    film: str
    speech: str | Mapping[int, str]
    output: str
    face: str = "largest"
    extend: str = "hold"
    seed: int = 0
    mouth: float = 1.0
    keep_sound: float = 0.0
    label: bool = False
    signature: Signature | None = None


def run_dub(
    job: DubJob,
    load: Callable[[], Animator],
    quiet: bool = False,
    tell: Callable[[int, int | None], None] | None = None,
) -> Report:
    """Dubs a film; returns which seconds were dubbed, and why others were not.

    Args:
        job: the film to dub.
        load: returns the model; it is called after the files were checked.
        quiet: whether the progress bars are left out.
        tell: is called after each frame with the number of frames that were looked at or written, and with that of all.

    Raises:
        StillspeakError: if an input cannot be used or the output cannot be written.
    """
    _check(job)
    with _files(job) as (film, speeches):
        require_other(job.output, [film, *speeches.values()])
        _require_kinds(film, speeches)
        opened = open_film(film)
        for path in speeches.values():
            require_sound(path)
            open_sound(path)
        animator = load()
        speech = speeches if isinstance(job.speech, Mapping) else speeches[1]
        with tqdm(total=opened.frames, desc="looking", unit="frame", disable=quiet or None, delay=2) as bar:
            look = telling(bar, tell, 0, 2 * opened.frames)
            dub = animator.dub(
                opened, speech, face=job.face, extend=job.extend, seed=job.seed, mouth=job.mouth, tell=look
            )
        _write(job, dub, quiet, tell)
        return dub.report


def _write(job: DubJob, dub: Dub, quiet: bool, tell: Callable[[int, int | None], None] | None) -> None:
    told = [*dub.notes]
    for note in told:
        warnings.warn(note, StillspeakWarning, stacklevel=3)
    looked, total = len(dub.cast.times), dub.expected_frames()
    with tqdm(total=total, desc="drawing", unit="frame", disable=quiet or None, delay=2) as bar:
        drawn = telling(bar, tell, looked, looked + total)
        dub.save(job.output, keep_sound=job.keep_sound, label=job.label, signature=job.signature, tell=drawn)
    for note in dub.notes[len(told) :]:
        warnings.warn(note, StillspeakWarning, stacklevel=3)


def _check(job: DubJob) -> None:
    """Raises OutputError or MediaError if a setting is wrong, or two do not go together."""
    require_edited_film("dubbed", job.output, job.seed, job.mouth, job.signature)
    if isinstance(job.speech, Mapping) and job.face != "largest":
        raise OutputError("--speech N:FILE says which people speak; leave --face out.")


def _require_kinds(film: Path, speeches: Mapping[int, Path]) -> None:
    """Raises MediaError if film and speech are swapped, or the film is a sound."""
    kind = kind_of(film)
    if kind == SOUND and any(kind_of(path) in (VIDEO, PICTURE) for path in speeches.values()):
        raise MediaError(f"{film} is a sound: the film comes first, then the speech.")
    if kind == SOUND:
        raise MediaError(f"{film} is a sound and not a film.")


@contextmanager
def _files(job: DubJob) -> Iterator[tuple[Path, dict[int, Path]]]:
    """Yields the film, and the speeches by the number of the person."""
    speeches = dict(job.speech) if isinstance(job.speech, Mapping) else {1: job.speech}
    if [job.film, *speeches.values()].count("-") > 1:
        raise MediaError("Only one input can come through stdin.")
    with ExitStack() as kept:
        film = kept.enter_context(input_file(job.film))
        yield film, {number: kept.enter_context(input_file(name)) for number, name in speeches.items()}
