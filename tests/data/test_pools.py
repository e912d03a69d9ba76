"""Work handed out to processes."""

import time
from functools import partial
from pathlib import Path

from stillspeak.data.pools import run_here


def note(number: int, folder: Path) -> None:
    (folder / str(number)).touch()
    time.sleep(0.2)


def test_every_job_is_done_once(tmp_path: Path):
    assert len(list(run_here(partial(note, folder=tmp_path), range(5), 2))) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == list("01234")
    assert list(run_here(partial(note, folder=tmp_path), [], 2)) == []


def test_after_an_interrupt_no_job_begins(tmp_path: Path):
    running = run_here(partial(note, folder=tmp_path), range(9), 1)
    next(running)
    running.close()
    assert len(list(tmp_path.iterdir())) <= 2  # the one that is done, the one in hand
