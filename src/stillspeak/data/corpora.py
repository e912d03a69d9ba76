"""Readers that know each corpus as it is published. GRID so far. Paper, section 4.1 and Table 4.

A reader lists clips with their speaker, split and words; it opens no video.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stillspeak.data.manifest import Word
from stillspeak.errors import DataError

# Paper, Table 4.
GRID_TRAINING = frozenset({1, 3, 5, 6, 7, 8, 10, 12, 14, 16, 17, 22, 26, 28, 32})
GRID_VALIDATION = frozenset({9, 20, 23, 27, 29, 30, 34})
GRID_TEST = frozenset({2, 4, 11, 13, 15, 18, 19, 25, 31, 33})
HELDOUT_ONE_IN = 20  # ours: of a training speaker with many clips, one in so many is kept from training
HELDOUT_FROM = 100  # ours: fewer clips than this are all trained on
_ALIGN_UNITS_A_SECOND = 25000  # GRID's alignment files
_PAUSES = frozenset({"sil", "sp"})
_LETTERS = {"a": "eigh", "z": "zed"}  # GRID's letters that an English text would say otherwise
_VIDEO_SUFFIXES = frozenset({".mpg", ".mp4", ".avi", ".mov", ".mkv"})


@dataclass(frozen=True)
class SourceClip:
    """A clip as a corpus publishes it."""

    clip: str
    corpus: str
    speaker: str
    split: str
    path: Path
    words: tuple[Word, ...] = ()
    spoken: str = ""  # the words as any reader would say them, letters spelled out; empty if unknown


def grid_split(speaker: str, clip: str, clips_of_speaker: int) -> str:
    """The split of a GRID clip: Table 4 by speaker, with one in 20 of a large training speaker held out ("heldout").

    The held-out sentences are drawn by a checksum of the clip's name, so they are the same everywhere. A speaker whose
    number is unknown is validation: it must never be trained on.
    """
    number = int(speaker[1:]) if speaker[1:].isdigit() else -1
    if number in GRID_TEST:
        return "test"
    if number not in GRID_TRAINING:
        return "validation"
    held_out = clips_of_speaker >= HELDOUT_FROM and zlib.crc32(clip.encode()) % HELDOUT_ONE_IN == 0
    return "heldout" if held_out else "train"


def grid(source: Path) -> Iterator[SourceClip]:
    """Clips of a GRID folder: ``s1/*.mpg`` or ``.mp4``, word times in ``align/s1/*.align`` where they are there.

    Raises:
        DataError: if no speaker folder holds a video.
    """
    found = False
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and path.name != "align"):
        videos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES)
        for video in videos:
            found = True
            words = tuple(_grid_words(source / "align" / folder.name / f"{video.stem}.align"))
            split = grid_split(folder.name, video.stem, len(videos))
            spoken = " ".join(_LETTERS.get(word.word, word.word) for word in words if word.word not in _PAUSES)
            yield SourceClip(video.stem, "grid", folder.name, split, video, words, spoken)
    if not found:
        raise DataError(f"{source} holds no GRID videos; speaker folders such as {source}/s1/*.mpg are expected.")


def _grid_words(path: Path) -> Iterator[Word]:
    if not path.is_file():
        return
    for line in path.read_text(errors="replace").splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit():  # noqa: PLR2004 - start, end, word
            yield Word(int(parts[0]) / _ALIGN_UNITS_A_SECOND, int(parts[1]) / _ALIGN_UNITS_A_SECOND, parts[2])
