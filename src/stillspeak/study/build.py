"""Makes the videos of a user study. Paper, section 4.4.

A Turing test asks of each video whether it is real or generated. A preference test asks which of two videos is more natural. A
study is a folder: ``study.json`` describes it, ``videos/`` holds its videos under random names, and ``answers.sqlite`` is
added when the study is served.
"""

import json
import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter
from tqdm import tqdm

from stillspeak.animate import Animator, load
from stillspeak.data.manifest import ClipRecord, choose_split, evenly, read_manifest
from stillspeak.errors import DataError, OutputError
from stillspeak.media.audio import Sound
from stillspeak.study.videos import REAL, by_all_methods, write_shown

Kind = Literal["turing", "preference"]
GENERATED_SHOWN, REAL_SHOWN, PAIRS_SHOWN = 6, 4, 30  # section 4.4
STUDY, VIDEOS, ANSWERS = "study.json", "videos", "answers.sqlite"


@dataclass(frozen=True)
class Film:
    """Describes one video of a study.

    Attributes:
        name: the random name of its file.
        clip: the speaker and the clip that it shows.
        method: ``real``, or the name of the model that made it.
        check: for an attention check, the answer that is written in the picture; empty for all other videos.
    """

    name: str
    clip: str
    method: str
    check: str = ""


@dataclass(frozen=True)
class Information:
    """Holds what the researcher tells visitors before they agree to take part. The page leaves out what is empty.

    Attributes:
        researcher: who does the study, and for whom.
        contact: where a visitor can ask.
        purpose: what the study is for.
        duration: how long a visit takes.
        withdrawal: how a visitor takes their answers back afterwards.

    Raises:
        DataError: if one of them is not text.
    """

    researcher: str = ""
    contact: str = ""
    purpose: str = ""
    duration: str = ""
    withdrawal: str = ""

    def __post_init__(self) -> None:
        for name, text in asdict(self).items():
            try:
                text.encode()
            except UnicodeEncodeError as error:  # a console with another encoding
                raise DataError(f"The {name} of a study must be text in UTF-8.") from error

    @property
    def missing(self) -> list[str]:
        """Returns the names of the attributes that are empty."""
        return [name for name, text in asdict(self).items() if not text]


@dataclass(frozen=True)
class Study:
    """Holds a study as ``study.json`` describes it.

    Attributes:
        kind: ``turing`` or ``preference``.
        methods: the names of the models; a preference test has two.
        films: all videos.
        shown: how many generated and how many real videos a visitor sees in a Turing test; in a preference test the first
            number counts pairs.
        name: a random name, by which answers are known to belong to this study.
        information: what visitors are told before they agree to take part.
    """

    kind: Kind
    methods: list[str]
    films: list[Film]
    shown: tuple[int, int]
    name: str
    information: Information = Information()

    @property
    def answers(self) -> tuple[str, str]:
        """Returns the two answers that a visitor can give."""
        return ("real", "generated") if self.kind == "turing" else ("left", "right")

    def film(self, name: str) -> Film:
        """Returns the video that has a name. Raises DataError if there is none."""
        try:
            return self._by_name[name]
        except KeyError as error:
            raise DataError(f"The study has no video {name}.") from error

    @cached_property
    def _by_name(self) -> dict[str, Film]:
        return {film.name: film for film in self.films}


def build_study(
    kind: Kind,
    data: Path,
    destination: Path,
    models: Mapping[str, str | Path],
    *,
    split: str | None = None,
    speakers: list[str] | None = None,
    clips: int | None = None,
    shown: tuple[int, int] | None = None,
    seed: int = 0,
    information: Information | None = None,
) -> Study:
    """Makes the videos of a study, and writes ``study.json`` last.

    Args:
        kind: ``turing`` or ``preference``.
        data: a prepared folder. Its clips are the real videos; their first frames and sounds are what the models get.
        destination: a folder that holds no study yet.
        models: names of shipped models, or exported folders, each under the name that the report gives it.
        split, speakers, clips: which clips to take, as ``evaluate`` does; by default twice as many as a visitor sees.
        shown: what ``Study.shown`` says; by default the paper's 6 and 4, or 30 pairs.
        seed: the seed of the videos' names, and of the models' noise, which is another one for each clip.
        information: what visitors are told before they agree to take part.

    Raises:
        DataError: if there are too few clips, or too few or too many models for this kind of study.
        StillspeakError: if a model cannot be loaded or a clip cannot be read.
    """
    shown = shown or ((GENERATED_SHOWN, REAL_SHOWN) if kind == "turing" else (PAIRS_SHOWN, 0))
    _require_settings(kind, models, destination, shown, seed)
    chosen = _chosen(data, split, speakers, clips, sum(shown))
    animators = {name: load(model) for name, model in models.items()}
    with _kept_whole(destination) as films:
        _make_films(films, kind, data, destination, chosen, animators, seed)
        study = Study(kind, [*models], films, shown, secrets.token_hex(8), information or Information())
        (destination / STUDY).write_text(json.dumps(asdict(study), indent=2) + "\n", "utf-8")
    return study


def _chosen(
    data: Path, split: str | None, speakers: list[str] | None, clips: int | None, needed: int
) -> list[ClipRecord]:
    """Chooses the clips of a study of which a visitor sees ``needed`` different ones. Raises DataError if there are too few."""
    split = choose_split(data, split, speakers)
    records = read_manifest(data, split, speakers)
    if clips is not None and clips < needed:
        raise DataError(f"A visitor sees {needed} different clips; --clips {clips} is too few.")
    if len(records) < needed:
        raise DataError(f"A visitor sees {needed} different clips; {data} holds {len(records)} of split {split}.")
    return evenly(records, 2 * needed if clips is None else clips)


@contextmanager
def _kept_whole(destination: Path) -> Iterator[list[Film]]:
    """Yields a list for the videos that are made inside; if one of them fails, removes the files of all."""
    films: list[Film] = []
    try:
        (destination / VIDEOS).mkdir(parents=True, exist_ok=True)
        yield films
    except BaseException as error:
        for film in films:
            (destination / VIDEOS / film.name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise OutputError(f"{destination} cannot be written: {error.strerror}.") from error
        raise


def _make_films(
    films: list[Film],
    kind: Kind,
    data: Path,
    destination: Path,
    chosen: Sequence[ClipRecord],
    animators: Mapping[str, Animator],
    seed: int,
) -> None:
    """Writes every clip by every method, and the attention checks; appends each video to ``films`` before it is written."""
    names = _names(seed)
    for record in tqdm(chosen, unit="clip", disable=None, delay=2):
        made, sound = by_all_methods(data, record, animators, seed)
        if kind == "preference":
            del made[REAL]
        for method, frames in made.items():
            films.append(Film(next(names), f"{record.speaker}/{record.clip}", method))
            write_shown(destination / VIDEOS / films[-1].name, frames, sound, synthetic=method != REAL)
        if record is chosen[0]:
            films += _checks(kind, destination, names, next(iter(made.values())), sound)


def read_study(folder: Path) -> Study:
    """Reads the study of a folder. Raises DataError if there is none, or if it is damaged."""
    try:
        study = TypeAdapter(Study).validate_json((folder / STUDY).read_text("utf-8"))
    except (OSError, ValueError) as error:  # pydantic's errors are ValueErrors
        raise DataError(f"{folder} holds no study; make one with: stillspeak study build") from error
    lost = [film.name for film in study.films if not (folder / VIDEOS / film.name).is_file()]
    if lost or not any(film.check for film in study.films):
        raise DataError(f"The study in {folder} is damaged: {lost[0] if lost else 'its attention check'} is missing.")
    return study


def _require_settings(
    kind: str, models: Mapping[str, str | Path], destination: Path, shown: tuple[int, int], seed: int
) -> None:
    """Raises DataError or OutputError if no study can be built with these settings in this folder."""
    if kind == "preference" and len(models) != 2:  # noqa: PLR2004 - a pair
        raise DataError(f"A preference test sets two models beside each other, not {len(models)}.")
    if not models or REAL in models or "check" in models:
        raise DataError(f"A study needs models with names other than {REAL} and check.")
    if (destination / STUDY).exists() or (destination / ANSWERS).exists():
        raise OutputError(f"{destination} holds a study already; its answers belong to its videos.")
    if min(shown) < 0 or sum(shown) < 1 or seed < 0:
        raise DataError(f"A visitor must see at least one video and the seed be at least 0, not {shown} and {seed}.")


def _names(seed: int) -> Iterator[str]:
    """Yields random names of files."""
    source = random.Random(seed)
    while True:
        yield f"{source.getrandbits(64):016x}.mp4"


def _checks(kind: Kind, destination: Path, names: Iterator[str], frames: NDArray[np.uint8], sound: Sound) -> list[Film]:
    """Writes attention checks: videos that tell the visitor what to answer. A Turing test gets one for each answer."""
    asked = (
        {"real": "REAL", "generated": "GENERATED"} if kind == "turing" else {"this": "THIS ONE", "other": "THE OTHER"}
    )
    films = []
    for answer, words in asked.items():
        films.append(Film(next(names), "", "check", answer))
        write_shown(destination / VIDEOS / films[-1].name, frames, sound, words=f"choose {words}")
    return films
