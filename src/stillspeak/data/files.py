"""Finds the files of a clip, loose in a prepared folder or inside one of its shards.

A tar file keeps its members whole and side by side. So any clip of a shard can be read by itself, in any order, without a copy
of the corpus. Where the members begin is looked up when the shard is first used.
"""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from stillspeak.data.manifest import ClipRecord
from stillspeak.errors import DataError, MediaError
from stillspeak.temporary import temporary_folder


class _Member(NamedTuple):
    name: str
    start: int
    size: int


def large_path(video: Path) -> Path:
    """Returns the path of a performer's frames at three times the crop's size, which lie beside the aligned video."""
    return video.with_suffix(".large.mp4")


class Files:
    """Finds the files of the clips of a prepared folder, or of a folder of shards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shards: dict[str, dict[str, list[_Member]]] = {}
        self._reading = Lock()

    @contextmanager
    def of(self, record: ClipRecord) -> Iterator[Path]:
        """Yields the path of a clip's aligned video, with its sounds beside it, for the time of a ``with``.

        Raises:
            DataError: if its shard is missing, damaged or of another folder.
        """
        if not record.shard:
            yield self.folder / record.path
            return
        shard = self.folder / record.shard
        try:
            with temporary_folder() as place:
                for member, content in self._contents(shard, record):
                    (place / member.name).write_bytes(content)
                yield place / Path(record.path).name
        except MediaError as error:
            raise DataError(f"{record.clip} in {shard} is damaged.") from error
        except OSError as error:
            raise DataError(f"{record.clip} of {shard} cannot be laid out for reading: {error.strerror}.") from error

    def _contents(self, shard: Path, record: ClipRecord) -> Iterator[tuple[_Member, bytes]]:
        """Yields the files of a clip in a shard."""
        try:
            members = self._members(shard).get(_key(Path(record.path)), [])
            if not members:
                raise DataError(f"{shard} does not hold {record.clip}, as its manifest says.")
            with shard.open("rb") as tar:
                for member in members:
                    tar.seek(member.start)
                    content = tar.read(member.size)
                    if len(content) < member.size:
                        raise tarfile.TarError("it ends too early")
                    yield member, content
        except (OSError, tarfile.TarError) as error:
            raise DataError(f"{shard} cannot be read: {error}.") from error

    def _members(self, shard: Path) -> dict[str, list[_Member]]:
        """Returns where the files of each clip of a shard begin."""
        with self._reading:
            if shard.name not in self._shards:
                members: dict[str, list[_Member]] = {}
                with tarfile.open(shard, "r:") as tar:
                    for member in tar:
                        path = Path(member.name)
                        members.setdefault(_key(path), []).append(_Member(path.name, member.offset_data, member.size))
                self._shards[shard.name] = members
            return self._shards[shard.name]


def _key(path: Path) -> str:
    """Returns the part of the path that the members of one clip share."""
    return str(path.parent / path.name.split(".")[0])
