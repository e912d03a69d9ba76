"""Keeps what became of each clip during preparation: in a file beside the clip, and at the end in the list of all clips."""

import json
from pathlib import Path

from stillspeak.data.corpora import SourceClip
from stillspeak.data.manifest import MANIFEST, ClipRecord, Word, read_manifest, write_manifest
from stillspeak.data.summary import REPORT, report
from stillspeak.errors import DataError, OutputError


def record_path(destination: Path, clip: SourceClip) -> Path:
    """Returns the path of a clip's record; its video and sound lie beside it."""
    return destination / "clips" / clip.corpus / clip.speaker / f"{clip.clip}.json"


def new_record(clip: SourceClip) -> ClipRecord:
    """Begins the record of a clip with what its corpus says of it."""
    return ClipRecord(
        clip.clip, clip.corpus, clip.speaker, clip.split, spoken=clip.spoken, emotion=clip.emotion, level=clip.level,
        source_bytes=bytes_of(clip.path),
    )  # fmt: skip


def load_record(path: Path) -> ClipRecord:
    """Reads the record of a clip."""
    fields = json.loads(path.read_text("utf-8"))
    return ClipRecord(**{**fields, "words": [Word(**word) for word in fields["words"]]})


def earlier_records(destination: Path) -> list[ClipRecord]:
    """Returns the records of clips that are in the folder already; if its list is damaged, it reads the clips' own records."""
    if not (destination / MANIFEST).is_file():
        return []
    try:
        records = read_manifest(destination, dropped=True, shards=True)
    except DataError:
        return [load_record(path) for path in (destination / "clips").rglob("[!.]*.json")]
    return read_manifest(destination, dropped=True) if any(record.shard for record in records) else records


def require_same(clips: list[SourceClip], before: list[ClipRecord], destination: Path) -> None:
    """Refuses clips if the folder holds other clips with the same names.

    Raises:
        DataError: if there is such a clip.
    """
    known = {record.key: record.source_bytes for record in before}
    for clip in clips:
        size, record = known.get((clip.corpus, clip.speaker, clip.clip), 0), record_path(destination, clip)
        if size and size != bytes_of(clip.path) and record.exists():
            raise DataError(
                f"{destination} holds clip {clip.clip} of {clip.speaker}, made of a file other than {clip.path}; take "
                f"{record} away to make it anew, or prepare into another folder."
            )


def bytes_of(path: Path) -> int:
    """Returns the size of a file in bytes; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def publish_records(destination: Path, corpus: str, before: list[ClipRecord], records: list[ClipRecord]) -> None:
    """Writes the list and the report of a folder, with the earlier clips and those that were prepared in this run.

    Raises:
        OutputError: if the folder cannot be written.
    """
    for part in (destination / "clips" / corpus).rglob(".*.part*"):
        part.unlink(missing_ok=True)  # a run that was killed left it
    now = {record.key for record in records}
    everyone = [*(record for record in before if record.key not in now), *records]
    try:
        write_manifest(destination, everyone)
        (destination / REPORT).write_text(report(everyone), "utf-8", errors="surrogateescape")
    except OSError as error:
        raise OutputError(f"{destination} could not be written: {error.strerror}.") from error
