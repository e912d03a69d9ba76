"""Lists the clips that an evaluation judges, and keeps the figures of each, so that it goes on where it was stopped."""

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from stillspeak.data.manifest import ClipRecord, evenly
from stillspeak.errors import OutputError
from stillspeak.evaluation import report
from stillspeak.whole import make_folder, whole


@dataclass(frozen=True)
class Job:
    """Describes one clip to judge, with the clip whose sound serves as the wrong sound (None if there is no other)."""

    record: ClipRecord
    other: ClipRecord | None
    seed: int

    @property
    def name(self) -> str:
        """Returns the names of speaker and clip."""
        return f"{self.record.speaker}/{self.record.clip}"


class Done:
    """Keeps the clips judged so far in ``clips/SPEAKER/CLIP.json``, each with what it was judged with."""

    def __init__(self, destination: Path, key: str, data: Path) -> None:
        self.folder, self.key, self.data = destination / "clips", key, data
        make_folder(self.folder)

    def figures(self, job: Job) -> report.Figures | None:
        """Returns the figures of a clip if it was judged with the same model, judges and program, or None."""
        try:
            kept = json.loads(self._path(job).read_text("utf-8"))
            return kept["figures"] if kept["key"] == self._key(job) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, job: Job, figures: report.Figures) -> None:
        """Writes the figures of a clip. Raises OutputError if they cannot be written."""
        path = self._path(job)
        make_folder(path.parent)
        try:
            with whole(path) as part:
                part.write_text(json.dumps({"key": self._key(job), "figures": figures}), "utf-8")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from error

    def _path(self, job: Job) -> Path:
        return self.folder / job.record.speaker / f"{job.record.clip}.json"

    def _key(self, job: Job) -> str:
        files = [job.record.path, *([job.other.path] if job.other else [])]
        paths = [path for file in files for path in (self.data / file, (self.data / file).with_suffix(".flac"))]
        stamps = [f"{path} {path.stat().st_mtime_ns}" if path.is_file() else str(path) for path in paths]
        return " ".join([self.key, str(job.seed), *stamps])


def list_jobs(records: list[ClipRecord], clips: int | None, seed: int) -> list[Job]:
    """Returns a job for each clip, with the next clip in the list that says something else, and a seed of its own."""
    if clips is not None:
        records = evenly(records, clips)
    jobs = []
    for index, record in enumerate(records):
        following = [*records[index + 1 :], *records[:index]]
        other = next((other for other in following if not record.text or other.text != record.text), None)
        jobs.append(Job(record, other, seed + zlib.crc32(record.path.encode())))
    return jobs
