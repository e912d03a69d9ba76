"""Many videos from a list: a pool of processes or a Ray cluster, resumable; a bad row never stops the rest."""

import csv
import functools
import hashlib
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stillspeak.animate import Animator, load
from stillspeak.data.pools import run_here, run_on_cluster
from stillspeak.errors import MediaError, OutputError, StillspeakError, StillspeakWarning
from stillspeak.jobs import Job, run_job
from stillspeak.media.pictures import first_png, writes_over
from stillspeak.runtime.engine import find_model, model_digest, usable_cores

_NEEDED = ("photo", "speech", "output")
_OPTIONAL = ("face", "seed", "fps", "crop", "scale", "label")
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")


@dataclass(frozen=True)
class Row:
    """A line of the list.

    Attributes:
        line: its number, counted as an editor counts.
        job: what is asked for.
        state: the file that says how it went.
        model: what the model that makes it is made of, as a digest.
    """

    line: int
    job: Job
    state: Path
    model: str = ""

    @property
    def key(self) -> str:
        """Says what was asked for, of which files, of which model."""
        inputs = [Path(self.job.photo), Path(str(self.job.speech))]
        stamps = [(path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else None for path in inputs]
        asked = json.dumps([asdict(self.job), stamps, self.model], default=str)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    @property
    def done(self) -> bool:
        """Whether the video is there, made from what the row says now."""
        said = self.said()
        return self.output.is_file() and said.get("key") == self.key and not said.get("error")

    @property
    def output(self) -> Path:
        """A file that is there when the video is: of PNG files the first."""
        path = Path(self.job.output)
        return path.with_name(first_png(path.name)) if path.suffix.lower() == ".png" else path

    def said(self) -> dict[str, str]:
        """How it went."""
        try:
            said = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}


def run_batch(
    path: Path, model: str, workers: int | None = None, cluster: str = "", defaults: Job | None = None
) -> list[Row]:
    """Makes all videos of a list that are not there yet.

    Args:
        path: a CSV file with the columns photo, speech and output, and any of face, seed, fps, crop, scale, label; its paths
            are relative to its folder.
        model: as of ``load``.
        workers: videos that are made side by side; by default one for every two cores.
        cluster: address of a Ray cluster; ``local`` starts one here; empty is a pool of processes.
        defaults: for columns that are missing or empty.

    Returns:
        The rows.

    Raises:
        MediaError: if the list cannot be read, or a row of it makes no sense.
        OutputError: after the last row, if some failed; it says which, and why.
    """
    if workers is not None and workers < 1:
        raise OutputError(f"--workers must be at least 1, not {workers}.")
    digest = model_digest(find_model(model))
    rows = [replace(row, model=digest) for row in read_rows(path, defaults)]
    workers = workers or max(1, usable_cores() // 2)
    work = functools.partial(_make, model=model, threads=max(1, usable_cores() // workers))
    waiting = [row for row in rows if not row.done]
    for row in waiting:
        _forget(row)
    bar = tqdm(total=len(rows), initial=len(rows) - len(waiting), unit="video")
    try:
        for _ in run_on_cluster(work, waiting, cluster, workers) if cluster else run_here(work, waiting, workers):
            bar.update()
    except BrokenProcessPool:  # a process was ended from outside: nobody knows over which row
        _one_by_one(work, [row for row in waiting if row.said().get("key") != row.key])
    finally:
        bar.close()
    _require_all(rows)
    return rows


def _one_by_one(work: "functools.partial[None]", rows: Iterable[Row]) -> None:
    """Each row in a process of its own, so that one that ends its process is known."""
    for row in rows:
        try:
            list(run_here(work, [row], 1))
        except BrokenProcessPool:
            _note(row, "the process was ended from outside, perhaps for want of memory.", 0.0, row.key)


def _require_all(rows: list[Row]) -> None:
    failed = [f"line {row.line}: {row.said().get('error') or 'it was not made.'}" for row in rows if not row.done]
    if failed:
        raise OutputError(
            f"{len(failed)} of {len(rows)} videos were not made; the others are there. " + " ".join(failed)
        )


def read_rows(path: Path, defaults: Job | None = None) -> list[Row]:
    """The rows of a list. Raises MediaError as ``run_batch``."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in _NEEDED if name not in (table.fieldnames or [])]
            names = list(table.fieldnames or [])
            unknown = [name for name in names if name not in _NEEDED + _OPTIONAL or names.count(name) > 1]
            if missing or unknown:
                raise MediaError(
                    f"{path} needs the columns photo, speech, output, and may have {', '.join(_OPTIONAL)}, each once."
                )
            rows = [_row(table.line_num, cells, path, defaults) for cells in table]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MediaError(
            f"{path} is not a list that can be read: {getattr(error, 'strerror', None) or error}."
        ) from error
    if not rows:
        raise MediaError(f"{path} has no row.")
    if piped := next((row for row in rows if Path(row.job.output).name == "-"), None):
        raise MediaError(f"Line {piped.line} of {path} writes to stdout, which a list cannot.")
    _require_apart(path, rows)
    return rows


def _require_apart(path: Path, rows: list[Row]) -> None:
    """Refuses a list in which one video would take the place of another, or of what is read."""
    outputs = Counter(Path(row.job.output).resolve() for row in rows)
    for row in rows:
        if outputs[Path(row.job.output).resolve()] > 1:
            raise MediaError(f"{path} writes {row.job.output} more than once.")
    read = {file.resolve() for row in rows for file in (Path(row.job.photo), Path(str(row.job.speech)))}
    beside: dict[Path, list[Path]] = {}
    for file in read:
        beside.setdefault(file.parent, []).append(file)
    for row in rows:
        output = Path(row.job.output).resolve()
        numbered = output.suffix.lower() == ".png"
        if output in read or (
            numbered and any(writes_over(str(output), file) for file in beside.get(output.parent, []))
        ):
            raise MediaError(f"Line {row.line} of {path} writes over {row.job.output}, which is read.")


def _row(line: int, cells: dict[str | None, Any], path: Path, defaults: Job | None) -> Row:
    if None in cells:  # where the csv module puts what is left over
        raise MediaError(f"Line {line} of {path} has a column too many; quote names with commas in them.")
    given = {name: (cells.get(name) or "").strip() for name in _NEEDED + _OPTIONAL}
    if empty := [name for name in _NEEDED if not given[name]]:
        raise MediaError(f"Line {line} of {path} has no {empty[0]}.")
    photo, speech, output = (str(path.parent / given[name]) for name in _NEEDED)
    job = replace(defaults or Job("", "", ""), photo=photo, speech=speech, output=output)
    try:
        if given["face"]:
            job = replace(job, face=given["face"])
        if given["seed"]:
            job = replace(job, seed=int(given["seed"]))
        if given["fps"]:
            job = replace(job, fps=given["fps"])
        if given["scale"]:
            job = replace(job, scale=float(given["scale"]))
        for name in ("crop", "label"):
            if given[name]:
                job = replace(job, **{name: _yes(given[name])})
    except ValueError as error:
        raise MediaError(f"Line {line} of {path} makes no sense: {error}.") from error
    return Row(
        line,
        job,
        path.with_name(f".{path.name}.state") / f"{hashlib.sha256(job.output.encode()).hexdigest()[:16]}.json",
    )


def _yes(cell: str) -> bool:
    if cell.lower() not in _YES + _NO:
        raise ValueError(f"{cell} is neither yes nor no")
    return cell.lower() in _YES


def _make(row: Row, model: str, threads: int) -> None:
    """Makes one video and notes how it went; a row that fails stops no other."""
    began, key = time.monotonic(), row.key  # of the files as they are now: they may change while it is made
    error, notes = "", list[str]()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StillspeakWarning)
            run_job(row.job, lambda: _animator(model, threads), quiet=True)
        notes = [str(one.message) for one in caught if issubclass(one.category, StillspeakWarning)]
    except StillspeakError as failure:
        error = str(failure)
    except Exception as failure:  # a fault of ours: it is this row's alone
        error = f"an error in stillspeak itself: {type(failure).__name__}: {failure}."
    _note(row, error, time.monotonic() - began, key, notes)


def _note(row: Row, error: str, seconds: float, key: str, notes: Sequence[str] = ()) -> None:
    try:
        row.state.parent.mkdir(exist_ok=True)
        part = row.state.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"key": key, "error": error, "seconds": round(seconds, 3), "notes": [*notes]}))
        part.replace(row.state)
    except OSError as failure:
        raise OutputError(f"{row.state} cannot be written: {failure.strerror}.") from failure


def _forget(row: Row) -> None:
    """What an earlier run said of a row is not said of this one."""
    try:
        row.state.unlink(missing_ok=True)
    except OSError as failure:
        raise OutputError(f"{row.state} cannot be written: {failure.strerror}.") from failure


@cache
def _animator(model: str, threads: int) -> Animator:
    return load(model, threads=threads)
