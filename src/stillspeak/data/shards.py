"""Packs a prepared folder into WebDataset tar shards, and unpacks them: object storage prefers few large files.

The shards may lie at any address that fsspec knows: a folder, ``s3://bucket/grid``, ``gs://...``. The members of a clip share
its path up to the first dot (``clips/grid/s1/bbaf2n.mp4``, ``.flac``, ``.voice1.flac``, ``.json``); the JSON comes last, as
WebDataset readers expect.
"""

import hashlib
import io
import json
import math
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from fsspec.core import url_to_fs
from tqdm import tqdm

from stillspeak.data.manifest import MANIFEST, ClipRecord, from_parquet, read_manifest, to_parquet, write_manifest
from stillspeak.data.portraits import PORTRAITS
from stillspeak.data.sentences import SENTENCES, Sentences
from stillspeak.data.summary import REPORT, report
from stillspeak.data.voices import with_copies
from stillspeak.errors import DataError
from stillspeak.whole import whole

FileSystem = Any  # fsspec's own types say that a binary file may be text
_BESIDE = (REPORT, PORTRAITS)  # these files of a prepared folder are copied unchanged
_NAME = re.compile(r"[a-z]+-\d{6,}\.tar", re.ASCII)  # the name of a shard, as ``_planned`` makes it
_READ_ALOUD = "sentences.tar"  # holds sentences.npz and the sounds that it names


@dataclass(frozen=True)
class _Shard:
    """Plans a tar file: its name, and its clips with their files."""

    name: str
    clips: list[tuple[ClipRecord, list[Path]]]

    @property
    def digest(self) -> str:
        """Returns a digest of the shard's files, as they are now."""
        stamps = [
            (str(path), path.stat().st_size, path.stat().st_mtime_ns) for _, files in self.clips for path in files
        ]
        return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def pack(folder: Path, destination: str, shard_mb: float = 256) -> list[str]:
    """Packs a prepared folder into shards of one split each; the same folder gives the same bytes.

    If it is stopped, the next call goes on: a shard appears when it is whole, and a shard that exists is not written again.

    Args:
        folder: a prepared folder.
        destination: the place for the shards, ``manifest.parquet`` and ``report.md``: a folder or any address fsspec knows.
        shard_mb: the size in megabytes from which the next shard begins.

    Returns:
        The names of the shards.

    Raises:
        DataError: if the folder was never prepared, a clip's file is missing, or the destination cannot be written or holds
            clips that the folder does not hold.
    """
    if not 0 < shard_mb < math.inf:
        raise DataError(f"--shard-mb must be above 0, not {shard_mb:g}.")
    records = read_manifest(folder, dropped=True)
    shards = list(_planned(folder, records, round(shard_mb * 1e6)))
    fs, root = _place(destination)
    placed = {record.path: shard.name for shard in shards for record, _ in shard.clips}
    before = _require_own(fs, root, destination, records)
    packed = [replace(record, shard=placed.get(record.path, "")) for record in records]
    try:
        fs.makedirs(root, exist_ok=True)
        for shard in tqdm(shards, unit="shard", disable=None, delay=2):
            _write(shard, folder, fs, root)
        _put_beside(folder, fs, root)
        _put(fs, f"{root}/{MANIFEST}", to_parquet(packed))
        for stale in before - {shard.name for shard in shards}:  # else a reader of all tars would find clips twice
            for path in (f"{root}/{stale}", f"{root}/{stale}.sha256"):
                if fs.exists(path):
                    fs.rm(path)
    except OSError as error:
        raise DataError(f"{destination} cannot be written: {error.strerror or error}.") from error
    return [shard.name for shard in shards]


def _put_beside(folder: Path, fs: FileSystem, root: str) -> None:
    """Copies the files beside the clips of a prepared folder to the place of its shards."""
    for name in _BESIDE:
        if (folder / name).is_file():
            _put(fs, f"{root}/{name}", (folder / name).read_bytes())
    if (folder / SENTENCES).is_file():
        _write_sentences(folder, fs, f"{root}/{_READ_ALOUD}")


def unpack(source: str, folder: Path, split: str | None = None) -> list[ClipRecord]:
    """Turns shards, or one split of them, into a prepared folder; clips that it holds already are not fetched again.

    Returns:
        The folder's records, with those that it held before.

    Raises:
        DataError: if there are no shards, one is damaged, or the folder cannot be written.
    """
    fs, root = _place(source)
    try:
        manifest = fs.cat_file(f"{root}/{MANIFEST}")
    except OSError as error:
        raise DataError(
            f"{source} holds no {MANIFEST}; make shards with: stillspeak data pack PREPARED {source}"
        ) from error
    records = [r for r in from_parquet(manifest, f"{source}/{MANIFEST}") if split in (None, r.split)]
    if not any(record.shard for record in records):
        raise DataError(f"{source} holds no shards of split {split or 'any'}.")
    before = read_manifest(folder, dropped=True) if (folder / MANIFEST).is_file() else []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(fs, root, folder, records)
        if fs.exists(f"{root}/{PORTRAITS}"):
            _into(folder / PORTRAITS, io.BytesIO(fs.cat_file(f"{root}/{PORTRAITS}")))
        if fs.exists(f"{root}/{_READ_ALOUD}"):
            _read(fs, f"{root}/{_READ_ALOUD}", folder)
        known = {record.key for record in before}
        loose = [*before, *(replace(record, shard="") for record in records if record.key not in known)]
        write_manifest(folder, loose)
        (folder / REPORT).write_text(report(loose), "utf-8", errors="surrogateescape")
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"A shard of {source} is damaged: {error}.") from error
    except OSError as error:
        raise DataError(f"{source} cannot be unpacked to {folder}: {error.strerror or error}.") from error
    return loose


def _fetch(fs: FileSystem, root: str, folder: Path, records: list[ClipRecord]) -> None:
    """Unpacks the shards of which the folder lacks clips. Raises TarError if a shard lacks one of its clips."""
    shards: dict[str, list[ClipRecord]] = {}
    for record in records:
        if record.shard:
            shards.setdefault(record.shard, []).append(record)
    for name, clips in tqdm(sorted(shards.items()), unit="shard", disable=None, delay=2):
        notes = [(folder / record.path).with_suffix(".json") for record in clips]
        if not all(path.is_file() for path in notes):
            _read(fs, f"{root}/{name}", folder)
        if missing := [path for path in notes if not path.is_file()]:
            raise tarfile.TarError(f"{name} lacks {missing[0].stem}")


def _require_own(fs: FileSystem, root: str, destination: str, records: list[ClipRecord]) -> set[str]:
    """Refuses a place with shards of other clips, which would be lost; returns the names of the shards that it holds."""
    try:
        there = from_parquet(fs.cat_file(f"{root}/{MANIFEST}"), f"{destination}/{MANIFEST}")
    except (OSError, DataError):  # there is no manifest, or nobody can read it
        return set()
    own = {record.key for record in records}
    if others := [record for record in there if record.key not in own]:
        raise DataError(
            f"{destination} holds shards of other clips, such as {others[0].path}; pack to a place of their own."
        )
    return {record.shard for record in there if _NAME.fullmatch(record.shard)}


def _place(address: str) -> tuple[FileSystem, str]:
    try:
        fs, root = url_to_fs(address)
    except (ImportError, ValueError, OSError) as error:  # fsspec names the package that is missing
        raise DataError(f"{address} cannot be reached: {error}.") from error
    return fs, root.rstrip("/")


def _planned(folder: Path, records: list[ClipRecord], limit: int) -> Iterator[_Shard]:
    """Plans the shards of a folder: each holds clips of one split, in the manifest's order."""
    kept = [record for record in records if not record.dropped]
    for split in sorted({record.split for record in kept}):
        clips: list[tuple[ClipRecord, list[Path]]] = []
        size = number = 0
        for record in kept:
            if record.split != split:
                continue
            video = folder / record.path
            files = [video, *with_copies(video.with_suffix(".flac"))]
            if missing := [path for path in files if not path.is_file()]:
                raise DataError(f"{missing[0]} is missing; make it again with: stillspeak prepare")
            clips.append((record, files))
            size += sum(path.stat().st_size for path in files)
            if size >= limit:
                yield _Shard(f"{split}-{number:06}.tar", clips)
                clips, size, number = [], 0, number + 1
        if clips:
            yield _Shard(f"{split}-{number:06}.tar", clips)


def _write(shard: _Shard, folder: Path, fs: FileSystem, root: str) -> None:
    """Writes a shard and its digest beside it, unless the same shard is there already."""
    note = f"{root}/{shard.name}.sha256"
    digest = shard.digest.encode()
    if fs.exists(note) and fs.exists(f"{root}/{shard.name}") and fs.cat_file(note) == digest:
        return
    with fs.transaction, fs.open(f"{root}/{shard.name}", "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
        for record, files in shard.clips:
            for path in files:
                with path.open("rb") as content:
                    _add(tar, str(path.relative_to(folder)), path.stat().st_size, content)
            text = json.dumps(record.as_dict()).encode()
            _add(tar, str(Path(record.path).with_suffix(".json")), len(text), io.BytesIO(text))
    _put(fs, note, digest)


def _write_sentences(folder: Path, fs: FileSystem, path: str) -> None:
    """Writes the sentences that were read aloud into a tar of their own; its last member says that it is whole."""
    paths = [sound for own in Sentences(folder).paths for sound in with_copies(own)]
    with fs.transaction, fs.open(path, "wb") as file, tarfile.open(fileobj=file, mode="w|") as tar:
        for sound in [*paths, folder / SENTENCES]:
            with sound.open("rb") as content:
                _add(tar, str(sound.relative_to(folder)), sound.stat().st_size, content)


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    """Adds a member without owner and time, so that the same clips give the same bytes."""
    member = tarfile.TarInfo(name)
    member.size = size
    tar.addfile(member, content)


def _put(fs: FileSystem, path: str, content: bytes) -> None:
    with fs.transaction, fs.open(path, "wb") as file:
        file.write(content)


def _read(fs: FileSystem, path: str, folder: Path) -> None:
    """Writes the members of a shard into a folder; the JSON of a clip comes last and says that the clip is whole."""
    top = folder.resolve()
    with fs.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            place = (top / member.name).resolve()
            content = tar.extractfile(member)
            if content is None or not place.is_relative_to(top):
                raise tarfile.TarError(f"{member.name} is no file of a prepared folder")
            place.parent.mkdir(parents=True, exist_ok=True)
            _into(place, content)


def _into(place: Path, content: IO[bytes]) -> None:
    """Writes a file whole or not at all."""
    with whole(place) as part, part.open("wb") as out:
        while block := content.read(1 << 20):
            out.write(block)
