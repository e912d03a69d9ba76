"""Lists the clips of each corpus as it is published: GRID, TCD-TIMIT, CREMA-D, LRW, and any folder of videos.

A reader lists clips with their speaker, split and words; it opens no video. The splits of GRID and TCD-TIMIT are those of the
paper, section 4.1 and Table 4. LRW has its own. For the others their functions say.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stillspeak.data.manifest import Word
from stillspeak.errors import DataError
from stillspeak.streams import as_text

# Paper, Table 4.
GRID_TRAINING = frozenset({1, 3, 5, 6, 7, 8, 10, 12, 14, 16, 17, 22, 26, 28, 32})
GRID_VALIDATION = frozenset({9, 20, 23, 27, 29, 30, 34})
GRID_TEST = frozenset({2, 4, 11, 13, 15, 18, 19, 25, 31, 33})
TCD_TIMIT_VALIDATION = frozenset({34, 36, 44, 45, 49, 54, 58})
TCD_TIMIT_TEST = frozenset({8, 9, 15, 18, 25, 28, 33, 41, 55, 56})
TCD_TIMIT_TRAINING = frozenset(range(1, 60)) - TCD_TIMIT_VALIDATION - TCD_TIMIT_TEST
HELDOUT_ONE_IN = 20  # ours: if a training speaker has many clips, one in so many is kept from training
HELDOUT_FROM = 100  # ours: if a speaker has fewer clips, all of them are trained on
_ONE_IN = 10  # ours: one in so many speakers of CREMA-D or a folder is for validation, and one for the test
_FOLDER_SPEAKERS = 10  # ours: a folder with fewer speakers is all for training
_ALIGN_UNITS_A_SECOND = 25000  # GRID's alignment files
_LRW_SECONDS = 1.16  # the word is in the middle of every LRW clip
_PAUSES = frozenset({"sil", "sp"})
_LETTERS = {"a": "eigh", "z": "zed"}  # GRID's letters that an English text would say otherwise
# What each of the six letters of a GRID clip's name stands for; the fourth is a letter of the alphabet but w.
_GRID_NAME = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    dict(
        zip("z123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
    ),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
_VIDEO_SUFFIXES = frozenset({".mpg", ".mp4", ".avi", ".mov", ".mkv", ".flv", ".webm", ".m4v"})
_TCD_TIMIT_SPEAKER = re.compile(r"\d\d[MF]|lipspkr\d", re.IGNORECASE)
_NOBODY = "unnamed"
CREMA_D_SENTENCES = {
    "IEO": "it's eleven o'clock",
    "TIE": "that is exactly what happened",
    "IOM": "i'm on my way to the meeting",
    "IWW": "i wonder what this is about",
    "TAI": "the airplane is almost full",
    "MTI": "maybe tomorrow it will be cold",
    "IWL": "i would like a new alarm clock",
    "ITH": "i think i have a doctor's appointment",
    "DFA": "don't forget a jacket",
    "ITS": "i think i've seen this before",
    "TSI": "the surface is slick",
    "WSI": "we'll stop in a couple of minutes",
}
CREMA_D_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
CREMA_D_LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}


@dataclass(frozen=True)
class SourceClip:
    """Describes a clip as a corpus publishes it.

    Attributes:
        clip, corpus, speaker, split: the names of the clip, its corpus, its speaker and its split.
        path: the video.
        words: the words with their times, if the corpus has them.
        spoken: the text as a person would read it aloud; empty if unknown.
        emotion, level: CREMA-D's acted emotion and how strong it is.
    """

    clip: str
    corpus: str
    speaker: str
    split: str
    path: Path
    words: tuple[Word, ...] = ()
    spoken: str = ""
    emotion: str = ""
    level: str = ""


def grid_split(speaker: str, clip: str, clips_of_speaker: int) -> str:
    """Returns the split of a GRID clip: Table 4 by speaker, and "heldout" for one in 20 clips of a large training speaker.

    A speaker whose number is unknown is for validation, and is never trained on.
    """
    number = int(speaker[1:]) if speaker[1:].isdigit() else -1
    if number in GRID_TEST:
        return "test"
    if number not in GRID_TRAINING:
        return "validation"
    return _held_out(clip, clips_of_speaker)


def _held_out(clip: str, clips_of_speaker: int) -> str:
    """Returns train or heldout by a checksum of the clip's name, so that it is the same everywhere."""
    held_out = clips_of_speaker >= HELDOUT_FROM and zlib.crc32(clip.encode()) % HELDOUT_ONE_IN == 0
    return "heldout" if held_out else "train"


def grid(source: Path) -> Iterator[SourceClip]:
    """Clips of a GRID folder: ``s1/*.mpg`` or ``.mp4`` at any depth, word times in ``align/s1/*.align`` where they are.

    A clip without word times says what its name stands for.
    """
    for folder in sorted(path for path in source.iterdir() if path.is_dir() and path.name != "align"):
        videos = _videos(folder)
        for video in videos:
            words = tuple(_grid_words(source / "align" / folder.name / f"{video.stem}.align"))
            sentence = [word.word for word in words if word.word not in _PAUSES] or grid_sentence(video.stem)
            spoken = " ".join(_LETTERS.get(word, word) for word in sentence)
            split = grid_split(folder.name, video.stem, len(videos))
            yield SourceClip(video.stem, "grid", folder.name, split, video, words, spoken)


def grid_sentence(clip: str) -> list[str]:
    """Returns the six words that a GRID clip's name stands for, ``bgbb2p`` for one; none if it is no such name."""
    words = [slot.get(letter, "") for slot, letter in zip(_GRID_NAME, clip, strict=False)]
    return words if len(clip) == len(_GRID_NAME) and all(words) else []


def tcd_timit(source: Path) -> Iterator[SourceClip]:
    """Lists the clips of TCD-TIMIT: ``volunteers/01M/Clips/straightcam/*.mp4``, with transcripts in TIMIT's form beside them.

    Table 4 gives the split by the volunteer's number. It does not list the three lipspeakers, whose split is "lipspeakers".
    The clips of the camera at 30 degrees are left out.
    """
    for video in _videos(source):
        if "30degcam" in video.parts:
            continue
        places = video.relative_to(source.parent).parts[:-1]
        speaker = next((part for part in places if _TCD_TIMIT_SPEAKER.fullmatch(part)), _NOBODY)
        spoken = _timit_text(video.with_suffix(".txt"))
        yield SourceClip(video.stem, "tcd-timit", speaker, tcd_timit_split(speaker), video, spoken=spoken)


def tcd_timit_split(speaker: str) -> str:
    """Returns the split of a TCD-TIMIT speaker such as 08F by Table 4. A speaker with an unknown number is never trained on."""
    number = int(speaker[:2]) if speaker[:2].isdigit() else -1
    if speaker.lower().startswith("lipspkr"):
        return "lipspeakers"
    if number in TCD_TIMIT_TRAINING:
        return "train"
    return "test" if number in TCD_TIMIT_TEST else "validation"


def crema_d(source: Path) -> Iterator[SourceClip]:
    """Lists the clips of CREMA-D, ``VideoFlash/1001_DFA_ANG_XX.flv``. Actors ending in 8 validate, those in 9 test (ours)."""
    for video in _videos(source):
        parts = video.stem.split("_")
        if len(parts) != 4 or not parts[0].isdigit():  # noqa: PLR2004 - actor, sentence, emotion, level
            continue
        actor, sentence, emotion, level = parts
        split = {8: "validation", 9: "test"}.get(int(actor) % _ONE_IN, "train")
        yield SourceClip(
            video.stem,
            "crema-d",
            actor,
            split,
            video,
            spoken=CREMA_D_SENTENCES.get(sentence, ""),
            emotion=CREMA_D_EMOTIONS.get(emotion, emotion.lower()),
            level=CREMA_D_LEVELS.get(level, level.lower()),
        )


def lrw(source: Path) -> Iterator[SourceClip]:
    """Lists the clips of LRW, ``ABOUT/train/ABOUT_00001.mp4`` and ``.txt``, with LRW's own splits.

    LRW does not name its speakers, so the word takes the speaker's place, and training draws evenly over words.
    """
    splits = {"train": "train", "val": "validation", "test": "test"}
    for video in _videos(source):
        if video.parent.name not in splits:
            continue
        word = video.parent.parent.name
        words = tuple(_lrw_words(video.with_suffix(".txt"), word.lower()))
        yield SourceClip(video.stem, "lrw", word, splits[video.parent.name], video, words, word.lower())


def folder(source: Path) -> Iterator[SourceClip]:
    """Lists the clips of any tree of videos: the first sub-folder names the speaker, and ``NAME.txt`` beside a video its words.

    The splits are ours: with 10 speakers or more, one in 10 validates and one in 10 tests, drawn by a checksum of the speaker's
    name; one clip in 20 of a large training speaker is held out.
    """
    videos = _videos(source)
    names = [as_text(_speaker_of(video.relative_to(source))) for video in videos]
    clips_of = Counter(names)
    for video, speaker in zip(videos, names, strict=True):
        place = as_text("_".join(video.relative_to(source).with_suffix("").parts[1 if speaker != _NOBODY else 0 :]))
        drawn = zlib.crc32(speaker.encode()) % _ONE_IN if len(clips_of) >= _FOLDER_SPEAKERS else -1
        split = {0: "validation", 1: "test"}.get(drawn, _held_out(place, clips_of[speaker]))
        yield SourceClip(place, "folder", speaker, split, video, spoken=_text(video.with_suffix(".txt")))


def _speaker_of(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else _NOBODY


CORPORA: dict[str, Callable[[Path], Iterator[SourceClip]]] = {
    "grid": grid,
    "tcd-timit": tcd_timit,
    "crema-d": crema_d,
    "lrw": lrw,
    "folder": folder,
}
_LAYOUTS = {
    "grid": "s1/*.mpg",
    "tcd-timit": "volunteers/01M/Clips/straightcam/*.mp4",
    "crema-d": "VideoFlash/1001_DFA_ANG_XX.flv",
    "lrw": "ABOUT/train/ABOUT_00001.mp4",
    "folder": "SPEAKER/*.mp4",
}


def source_clips(corpus: str, source: Path, made: Path | None = None) -> list[SourceClip]:
    """Lists all clips of a corpus, but none that lies in the folder ``made``.

    Raises:
        DataError: if the corpus is unknown, the folder is missing or has no such clips, or two clips of a speaker share a name.
    """
    if corpus not in CORPORA:
        raise DataError(f"{corpus} is no corpus known here; known: {', '.join(CORPORA)}.")
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    clips = [clip for clip in CORPORA[corpus](source) if made is None or not clip.path.is_relative_to(made)]
    if not clips:
        raise DataError(f"{source} holds no {corpus} videos; files such as {source}/{_LAYOUTS[corpus]} are expected.")
    seen: dict[tuple[str, str], Path] = {}
    for clip in clips:
        other = seen.setdefault((clip.speaker, clip.clip), clip.path)
        if other != clip.path:
            raise DataError(f"{other} and {clip.path} would be one clip; take one of them away.")
    return clips


def _videos(place: Path) -> list[Path]:
    """Lists all videos of a folder and its sub-folders, sorted."""
    return sorted(path for path in place.rglob("*") if path.suffix.lower() in _VIDEO_SUFFIXES)


def _text(path: Path) -> str:
    """Reads a text file as one line; empty if there is no file."""
    return " ".join(path.read_text("utf-8", errors="replace").split()) if path.is_file() else ""


def _lines(path: Path) -> list[list[str]]:
    """Reads the lines of a file, split at spaces; nothing if there is no file."""
    return [line.split() for line in path.read_text("utf-8", errors="replace").splitlines()] if path.is_file() else []


def _grid_words(path: Path) -> Iterator[Word]:
    for parts in _lines(path):
        if len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit():  # noqa: PLR2004 - start, end, word
            yield Word(int(parts[0]) / _ALIGN_UNITS_A_SECOND, int(parts[1]) / _ALIGN_UNITS_A_SECOND, parts[2])


def _timit_text(path: Path) -> str:
    """Reads a transcript of TIMIT (the first sample, the last sample, the sentence), or a plain text."""
    said = _text(path).split()
    timed = len(said) > 2 and said[0].isdigit() and said[1].isdigit()  # noqa: PLR2004 - start, end, words
    return " ".join(said[2:] if timed else said)


def _lrw_words(path: Path, word: str) -> Iterator[Word]:
    for parts in _lines(path):
        if len(parts) > 1 and parts[0].lower() == "duration:" and parts[1].replace(".", "", 1).isdigit():
            half = float(parts[1]) / 2
            yield Word(_LRW_SECONDS / 2 - half, _LRW_SECONDS / 2 + half, word)
