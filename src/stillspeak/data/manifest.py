"""Reads and writes ``manifest.parquet``, the list of a prepared folder's clips with words, landmarks and drop reasons.

It is a Parquet file, so that any tool can read it. ``clips.py`` reads the clips themselves.
"""

import io
import warnings
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stillspeak.errors import DataError, StillspeakWarning
from stillspeak.whole import whole

Item = TypeVar("Item")
MANIFEST = "manifest.parquet"
SPLITS = ("test", "validation", "heldout", "train")  # the best split to judge with comes first
_SPEAKERS_NAMED = 8  # an error names at most so many speakers
_ROWS_AT_ONCE = 256
_WRITTEN = {"eigh": "a", "zed": "z"}  # GRID's letters, that ``spoken`` has as they are read aloud


@dataclass(frozen=True)
class Word:
    """Holds a spoken word and its time in seconds from the clip's first frame."""

    start: float
    end: float
    word: str


@dataclass(frozen=True)
class ClipRecord:
    """Describes one clip of a prepared folder.

    Attributes:
        clip, corpus, speaker, split: the names of the clip, its corpus, its speaker and its split (train, heldout, validation,
            test).
        path: the aligned video, relative to the folder; the sound lies beside it as ``.flac``.
        frames: the number of frames at 25 a second; 0 if the clip was dropped.
        seconds: the length of the sound.
        words: the words with their times; empty if unknown.
        spoken: the text as a person would read it aloud; empty if unknown.
        emotion, level: the acted emotion and its strength, if the corpus says.
        sharpness: the variance of the crops' Laplacian, mean over frames.
        landmarks: 68 points a frame in crop pixels, float32, flattened from ``(frames, 68, 2)``. It is read from a file as an
            ``array``, which takes a seventh of the memory of a list.
        dropped: the reason why the clip cannot be used; empty if it can.
        shard: the tar file that holds the clip (``shards.py``); empty if it lies in the folder itself.
        source_bytes: the size of the file that the clip was made from; 0 if unknown.
    """

    clip: str
    corpus: str
    speaker: str
    split: str
    path: str = ""
    frames: int = 0
    seconds: float = 0.0
    words: list[Word] = field(default_factory=list)
    spoken: str = ""
    emotion: str = ""
    level: str = ""
    sharpness: float = 0.0
    landmarks: Sequence[float] = ()
    dropped: str = ""
    shard: str = ""
    source_bytes: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        """Returns the names that no two clips of a folder share: corpus, speaker and clip."""
        return self.corpus, self.speaker, self.clip

    @property
    def text(self) -> str:
        """Returns what is said, as it is written, without silence."""
        timed = " ".join(word.word for word in self.words if word.word != "sil")
        return timed or " ".join(_WRITTEN.get(word, word) for word in self.spoken.split())

    def as_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values; ``asdict`` of dataclasses would copy each of ten thousand landmarks."""
        return {**vars(self), "words": [vars(word) for word in self.words], "landmarks": list(self.landmarks)}

    def points(self) -> NDArray[np.float32]:
        """Returns the landmarks as ``(frames, 68, 2)``, x and y in crop pixels."""
        return np.asarray(self.landmarks, np.float32).reshape(self.frames, 68, 2)


_WORD = pa.struct([("start", pa.float32()), ("end", pa.float32()), ("word", pa.string())])
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("clip", "corpus", "speaker", "split", "path")]
    + [("frames", pa.int32()), ("seconds", pa.float32()), ("words", pa.list_(_WORD))]
    + [(name, pa.string()) for name in ("spoken", "emotion", "level")]
    + [
        ("sharpness", pa.float32()),
        ("landmarks", pa.list_(pa.float32())),
        ("dropped", pa.string()),
        ("shard", pa.string()),
        ("source_bytes", pa.int64()),
    ]
)


def write_manifest(folder: Path, records: list[ClipRecord]) -> None:
    """Writes ``manifest.parquet`` whole or not at all, sorted by speaker and clip."""
    with whole(folder / MANIFEST) as part:
        part.write_bytes(to_parquet(records))


def to_parquet(records: list[ClipRecord]) -> bytes:
    """Returns records as the bytes of a Parquet file."""
    rows = [record.as_dict() for record in sorted(records, key=lambda record: (record.speaker, record.clip))]
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), file)
    return file.getvalue()


def from_parquet(content: bytes, name: str) -> list[ClipRecord]:
    """Reads records from the bytes of a Parquet file, which an error calls ``name``.

    Raises:
        DataError: if the file is damaged.
    """
    try:
        batches = pq.ParquetFile(io.BytesIO(content)).iter_batches(_ROWS_AT_ONCE)
        return [_record(row) for batch in batches for row in batch.to_pylist()]
    except (pa.ArrowException, OSError, KeyError, TypeError) as error:
        raise DataError(f"{name} is damaged; make it again with: stillspeak prepare") from error


def _record(row: dict[str, Any]) -> ClipRecord:
    words = [Word(**word) for word in row["words"]]
    return ClipRecord(**{**row, "words": words, "landmarks": array("f", row["landmarks"])})


def speaker_weights(records: Sequence[ClipRecord], evenness: float) -> NDArray[np.float64]:
    """Returns the chance of each clip; a speaker's chance is proportional to its number of clips to the power 1 - evenness."""
    counts = Counter(record.speaker for record in records)
    weights = np.array([float(counts[record.speaker]) ** -evenness for record in records])
    return weights / weights.sum()


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Returns at most ``count`` items, spread evenly over a list."""
    return [items[k] for k in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))]


def read_manifest(
    folder: str | Path,
    split: str | None = None,
    speakers: list[str] | None = None,
    *,
    dropped: bool = False,
    shards: bool = False,
) -> list[ClipRecord]:
    """Reads the usable clips of a prepared folder, of one split and of some speakers if they are given.

    With ``dropped`` it also returns clips that cannot be used; with ``shards`` the folder may hold shards.

    Raises:
        DataError: if the folder was never prepared, nothing matches, or it holds shards without ``shards``.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} holds no {MANIFEST}; make one with: stillspeak prepare grid SOURCE {folder}")
    records = from_parquet(_content(folder / MANIFEST), str(folder / MANIFEST))
    chosen = [
        record
        for record in records
        if (dropped or not record.dropped)
        and (split is None or record.split == split)
        and (not speakers or record.speaker in speakers)
    ]
    if not chosen:
        raise DataError(_what_there_is(folder, records, split, speakers))
    if not shards and any(record.shard for record in chosen):
        raise DataError(f"{folder} holds shards; lay them out with: stillspeak data unpack {folder} PREPARED")
    return chosen


def choose_split(folder: str | Path, split: str | None = None, speakers: list[str] | None = None) -> str:
    """Chooses the split to judge: the given one, or else the best one that the speakers have clips of.

    Test clips are best, then validation clips, then held-out clips of speakers that were trained on. Clips that were trained on
    come last. If the split is not test, a StillspeakWarning names it.

    Raises:
        DataError: as ``read_manifest`` does.
    """
    if split is not None:
        return split
    there = {record.split for record in read_manifest(folder, None, speakers, shards=True)}
    best = min(there, key=lambda name: SPLITS.index(name) if name in SPLITS else len(SPLITS))
    if best != SPLITS[0]:
        trained = " (which models were trained on)" if best == "train" else ""
        said = f"{folder} holds no clips of split {SPLITS[0]}; {best}{trained} is taken (--split chooses another)."
        warnings.warn(said, StillspeakWarning, stacklevel=2)
    return best


def _what_there_is(folder: Path, records: list[ClipRecord], split: str | None, speakers: list[str] | None) -> str:
    """Returns a sentence for a user who wants clips that a folder does not hold."""
    usable = [record for record in records if not record.dropped]
    if not usable:
        return f"{folder} holds no clips that can be used."
    asked = [f"split {split}"] * bool(split) + [f"speakers {', '.join(speakers or [])}"] * bool(speakers)
    splits = ", ".join(f"{name} ({count})" for name, count in Counter(record.split for record in usable).items())
    people = sorted({record.speaker for record in usable})
    more = f" and {len(people) - _SPEAKERS_NAMED} more" if len(people) > _SPEAKERS_NAMED else ""
    there = f"it holds the splits {splits}, speakers {', '.join(people[:_SPEAKERS_NAMED])}{more}"
    return f"{folder} holds no clips of {', '.join(asked) or 'any split'}; {there}."


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
