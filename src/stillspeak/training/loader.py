"""Batches drawn ahead of the step that needs them, and moved to the device. Ours.

Beside a CPU's step one thread draws, which leaves the cores to the step. A GPU's step is over before Python has drawn a clip:
there processes draw, each a batch of its own, and hand it over in shared memory.
"""

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from stillspeak.cores import granted_cores
from stillspeak.errors import RunError, StillspeakError
from stillspeak.training.phase import Part

Draw = Callable[[int], list[Part]]
_MOST_WORKERS = 24
_COPIES = "fork"  # clips that are at hand are a copy's too
_AHEAD = 3  # batches that each process draws before they are asked for


def loader_workers(device: torch.device) -> int:
    """Processes that draw: none beside a CPU; beside a GPU this process's cores but one. Windows cannot copy them."""
    if device.type == "cpu" or _COPIES not in multiprocessing.get_all_start_methods():
        return 0
    return max(1, min(_MOST_WORKERS, granted_cores() // trainers_here() - 1))


def trainers_here() -> int:
    """Processes that train on this host, as torchrun says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def batches(draw: Draw, first: int, end: int, device: torch.device, workers: int) -> Iterator[list[Part]]:
    """The batches of steps ``first`` to ``end``, in order, on the device. Errors of a draw come where its batch is due.

    Args:
        draw: makes a step's batch on the CPU; with workers it is called in copies of this process.
        first, end: steps.
        device: where the batches go.
        workers: processes that draw; with none a thread of this process does. ``ended_workers_said`` goes around them.
    """
    source = _in_processes(draw, first, end, device, workers) if workers else _in_a_thread(draw, first, end)
    for parts in source:
        yield [tuple(tensor.to(device, non_blocking=True) for tensor in part) for part in parts]


def _in_a_thread(draw: Draw, first: int, end: int) -> Iterator[list[Part]]:
    with ThreadPoolExecutor(1) as pool:
        waiting: deque[Future[list[Part]]] = deque()
        upcoming = first
        try:
            for _ in range(first, end):
                while upcoming < end and len(waiting) < 2:  # noqa: PLR2004 - the one that is due and the next
                    waiting.append(pool.submit(draw, upcoming))
                    upcoming += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@contextlib.contextmanager
def ended_workers_said(resume: str) -> Iterator[None]:
    """Around a training: PyTorch says that a process which draws was ended by an error at any point of a step.

    Args:
        resume: the command that goes on.

    Raises:
        RunError: in its place.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(name in str(error) for name in ("DataLoader worker", "in memory thread")):
            raise
        raise RunError(
            f"A process that draws batches was ended from outside, perhaps for want of memory; go on with: {resume}"
        ) from error


class _Steps(Dataset[list[Part] | Exception]):
    """A step's batch in shared memory, or what was raised instead: a sentence, or another process's traceback as text."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __getitem__(self, step: int) -> list[Part] | Exception:
        try:
            parts = self.draw(step)
        except StillspeakError as error:
            return error
        except Exception:
            return RuntimeError(traceback.format_exc())
        try:  # later on PyTorch would wait for it for ever
            return [tuple(tensor.share_memory_() for tensor in part) for part in parts]
        except (RuntimeError, OSError):
            return RunError(
                "There is no room for a batch in shared memory (/dev/shm): in a container give it more (--shm-size 8g), "
                "or lower adversarial.clips and picture.clips."
            )


def _in_processes(draw: Draw, first: int, end: int, device: torch.device, workers: int) -> Iterator[list[Part]]:
    if first >= end:
        return
    cv2.setNumThreads(1)  # here: a copy would wait for OpenCV's threads, which it has not
    drawn = DataLoader(
        _Steps(draw),
        batch_size=None,
        sampler=range(first, end),
        num_workers=workers,
        prefetch_factor=_AHEAD,
        pin_memory=device.type == "cuda",
        worker_init_fn=_alone,
        multiprocessing_context=_COPIES,
    )
    for parts in drawn:
        if isinstance(parts, Exception):
            raise parts
        yield parts


def _alone(_worker: int) -> None:
    """A worker's start: Ctrl-C and SIGTERM, which come to a group of processes, are left to the one that saves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
