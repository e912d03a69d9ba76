"""Runs jobs in processes of this machine or on a Ray cluster. Both call the same pure function once for each job.

Every machine of a cluster needs the package and must see the source and the destination under the same paths.
"""

import pickle
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from typing import Any

import cv2
from tqdm import tqdm

from stillspeak.cores import granted_cores
from stillspeak.errors import DataError

Work = Callable[[Any], None]  # can be pickled: a function of a module, or a partial of one
_REACHED_SECONDS = 10


def require_counts(workers: int | None, voices: int, readings: int) -> None:
    """Raises DataError if a number of processes or of copies of a sound is too small."""
    if workers is not None and workers < 1:
        raise DataError(f"--workers must be at least 1, not {workers}.")
    if voices < 0 or readings < 0:
        raise DataError(f"--voices and --readings must be at least 0, not {voices} and {readings}.")


def work_through(work: Work, jobs: Sequence[Any], unit: str, workers: int | None = None, cluster: str = "") -> None:
    """Does all jobs, on a cluster if an address is given, and shows a progress bar that counts them in ``unit``.

    Raises:
        DataError: if a process is ended from outside, or the cluster cannot be reached.
    """
    running = run_on_cluster(work, jobs, cluster, workers) if cluster else run_here(work, jobs, workers)
    try:
        for _ in tqdm(running, total=len(jobs), unit=unit):
            pass
    except BrokenProcessPool as error:
        said = "A process was ended from outside, perhaps for want of memory; what was prepared is kept: run it again"
        raise DataError(f"{said}, with fewer --workers.") from error


def run_here(work: Work, jobs: Sequence[Any], workers: int | None = None) -> Iterator[None]:
    """Does all jobs in a pool of processes, one a core by default; yields as each is done.

    No job waits inside the pool, because a pool begins waiting jobs even after an interrupt. So it finishes only those in hand.
    """
    workers, waiting = workers or granted_cores(), iter(jobs)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_one_thread) as pool:
        running = {pool.submit(work, job) for job in islice(waiting, workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(work, job) for job in islice(waiting, len(done))}
            for one in done:
                yield one.result()


def run_on_cluster(work: Work, jobs: Sequence[Any], address: str, workers: int | None = None) -> Iterator[None]:
    """Does all jobs under Ray Data; yields as each is done.

    Args:
        work: the function that does a job.
        jobs: the jobs; ``work`` is called with each.
        address: the address of the cluster, as ``ray.init`` takes it; ``local`` starts one on this machine.
        workers: how many jobs run at once at most; by default as many as the cluster has cores.

    Raises:
        DataError: if the cluster cannot be reached.
    """
    import ray
    import ray.data

    _require_listener(address)
    ray.data.DataContext.get_current().enable_progress_bars = False
    own = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, **own)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise DataError(f"The cluster at {address} cannot be reached: {str(error).splitlines()[0]}") from error
    try:
        rows = ray.data.from_items([{"job": pickle.dumps(job)} for job in jobs])
        done = rows.map(_Worker(work), num_cpus=1, concurrency=workers)
        for _ in done.iter_rows():
            yield None
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    """Refuses ``HOST:PORT`` and ``ray://HOST:PORT`` if nobody listens there; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # local, auto
    try:
        socket.create_connection((host, int(port)), _REACHED_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise DataError(f"The cluster at {address} cannot be reached: {error}.") from error


class _Worker:
    """Takes a row of Ray Data, does its job, and returns an empty row."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def __call__(self, row: dict[str, bytes]) -> dict[str, bool]:
        _one_thread()
        self.work(pickle.loads(row["job"]))
        return {"done": True}


def _one_thread() -> None:
    cv2.setNumThreads(1)
