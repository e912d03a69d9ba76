"""Repairs one recording from files, as the command line asks for it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

from tqdm import tqdm

from stillspeak.animate import Animator
from stillspeak.errors import MediaError, StillspeakWarning
from stillspeak.jobs import input_file, require_edited_film, require_other, telling
from stillspeak.media.film import open_film
from stillspeak.media.gaps import read_gaps
from stillspeak.media.kinds import SOUND, kind_of
from stillspeak.media.signing import Signature


@dataclass(frozen=True)
class FillJob:
    """Describes a recording to repair: its files and its settings.

    Attributes:
        film: the name of a file, or ``-`` for stdin.
        output: the name of the film to write.
        gaps, seed, mouth: the arguments of ``Animator.fill``.
        label, signature: the arguments of ``Fill.save``.
    """

    film: str
    output: str
    gaps: str | None = None
    seed: int = 0
    mouth: float = 1.0
    label: bool = False
    signature: Signature | None = None


def run_fill(job: FillJob, load: Callable[[], Animator], quiet: bool = False) -> list[str]:
    """Repairs a recording; returns sentences that say what was found and drawn.

    Args:
        job: the recording to repair.
        load: returns the model; it is called after the files were checked.
        quiet: whether the progress bars are left out.

    Raises:
        StillspeakError: if an input cannot be used or the output cannot be written.
    """
    _check(job)
    with input_file(job.film) as path:
        require_other(job.output, [path])
        if kind_of(path) == SOUND:
            raise MediaError(f"{path} is a sound and not a film.")
        film = open_film(path)
        with tqdm(total=film.frames, desc="looking", unit="frame", disable=quiet or None, delay=2) as bar:
            fill = load().fill(film, job.gaps, seed=job.seed, mouth=job.mouth, tell=telling(bar))
        with tqdm(total=len(fill.times), desc="drawing", unit="frame", disable=quiet or None, delay=2) as bar:
            fill.save(job.output, label=job.label, signature=job.signature, tell=telling(bar))
        for note in fill.notes:
            warnings.warn(note, StillspeakWarning, stacklevel=2)
        return fill.sentences()


def _check(job: FillJob) -> None:
    """Raises OutputError or MediaError if a setting is wrong."""
    require_edited_film("repaired", job.output, job.seed, job.mouth, job.signature)
    if job.gaps is not None:
        read_gaps(job.gaps)
