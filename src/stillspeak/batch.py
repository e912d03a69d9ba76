"""Makes the videos of a list, in a pool of processes or on a Ray cluster.

It goes on where it was stopped, and a row that fails stops no other row.
"""

import functools
import json
import time
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cache
from pathlib import Path

from tqdm import tqdm

from stillspeak.animate import Animator, load
from stillspeak.cores import usable_cores
from stillspeak.data.pools import run_here, run_on_cluster
from stillspeak.errors import OutputError, StillspeakError, StillspeakWarning
from stillspeak.job_list import Row, read_rows
from stillspeak.jobs import Job, run_job
from stillspeak.runtime.engine import find_model, model_digest
from stillspeak.whole import discard, part_file, publish


def run_batch(
    path: Path, model: str, workers: int | None = None, cluster: str = "", defaults: Job | None = None
) -> list[Row]:
    """Makes every video of a list that does not exist yet.

    Args:
        path: a CSV file with the columns photo, speech and output, and any of face, seed, fps, crop, scale, label, mouth,
            teeth; its paths are relative to its folder.
        model: the name of a shipped model, or the folder of an exported one.
        workers: how many videos are made at once; by default one for every two cores.
        cluster: the address of a Ray cluster; ``local`` starts one here; an empty one uses a pool of processes.
        defaults: the settings for columns that are missing or empty.

    Returns:
        All rows of the list.

    Raises:
        MediaError: if the list cannot be read, or a row of it makes no sense.
        OutputError: after the last row, if rows failed; the sentence names them and says why.
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
    except BrokenProcessPool:  # a process was ended from outside, and nobody knows at which row
        _one_by_one(work, [row for row in waiting if row.said().get("key") != row.key])
    finally:
        bar.close()
    _require_all(rows)
    return rows


def _one_by_one(work: "functools.partial[None]", rows: Iterable[Row]) -> None:
    """Makes each row in a process of its own, so that a row whose process dies is known."""
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


def _make(row: Row, model: str, threads: int) -> None:
    """Makes one video and notes how it went; a row that fails stops no other."""
    began, key = time.monotonic(), row.key  # taken first: a file may change while the video is made
    error, notes = "", list[str]()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StillspeakWarning)
            run_job(row.job, lambda: _animator(model, threads), quiet=True)
        notes = [str(warning.message) for warning in caught if issubclass(warning.category, StillspeakWarning)]
    except StillspeakError as failure:
        error = str(failure)
    except Exception as failure:  # a fault of ours: it is this row's alone
        error = f"an error in stillspeak itself: {type(failure).__name__}: {failure}."
    _note(row, error, time.monotonic() - began, key, notes)


def _note(row: Row, error: str, seconds: float, key: str, notes: Sequence[str] = ()) -> None:
    try:
        row.state.parent.mkdir(exist_ok=True)
        part = part_file(row.state)  # another process may make the same list
        state = {"key": key, "error": error, "seconds": round(seconds, 3), "notes": [*notes]}
        try:
            part.write_text(json.dumps(state), encoding="utf-8")
            publish(part, row.state)
        finally:
            discard(part)
    except OSError as failure:
        raise OutputError(f"{row.state} cannot be written: {failure.strerror}.") from failure


def _forget(row: Row) -> None:
    """Removes the state that an earlier run noted for a row."""
    try:
        row.state.unlink(missing_ok=True)
    except OSError as failure:
        raise OutputError(f"{row.state} cannot be written: {failure.strerror}.") from failure


@cache
def _animator(model: str, threads: int) -> Animator:
    return load(model, threads=threads)
