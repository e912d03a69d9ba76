"""Work handed out to processes."""

import shlex
import subprocess
from functools import partial
from pathlib import Path

from stillspeak.data.pools import run_here

WORK = partial(subprocess.run, check=True)  # a process that is spawned can import it


def jobs(folder: Path, count: int) -> list[list[str]]:
    """Commands that leave a file and take a while."""
    return [["sh", "-c", f"touch {shlex.quote(str(folder / str(number)))}; sleep 0.2"] for number in range(count)]


def test_every_job_is_done_once(tmp_path: Path):
    assert len(list(run_here(WORK, jobs(tmp_path, 5), 2))) == 5  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == list("01234")
    assert list(run_here(WORK, [], 2)) == []  # type: ignore[arg-type]


def test_after_an_interrupt_no_job_begins(tmp_path: Path):
    running = run_here(WORK, jobs(tmp_path, 9), 1)  # type: ignore[arg-type]
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) <= 2  # the one that is done, the one in hand
