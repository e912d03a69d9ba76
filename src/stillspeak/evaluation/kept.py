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
    """Describes one clip to judge.

    Attributes:
        record: the clip.
        other: the clip whose sound is the wrong one; none if the clip is alone.
        seed: the first seed of the model's noise.
        noise_seeds: how many seeds the model is judged with, one after another.
    """

    record: ClipRecord
    other: ClipRecord | None
    seed: int
    noise_seeds: int = 1

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
        return " ".join([self.key, str(job.seed), str(job.noise_seeds), *stamps])


def list_jobs(records: list[ClipRecord], clips: int | None, seed: int, noise_seeds: int = 1) -> list[Job]:
    """Returns each clip, with the next one in the list that says something else; every clip blinks at times of its own."""
    if clips is not None:
        records = evenly(records, clips)
    jobs = []
    for index, record in enumerate(records):
        following = [*records[index + 1 :], *records[:index]]
        other = next((other for other in following if not record.text or other.text != record.text), None)
        jobs.append(Job(record, other, seed + zlib.crc32(record.path.encode()), noise_seeds))
    return jobs
