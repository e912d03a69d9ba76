"""Draws batches ahead of the step that needs them, and moves them to the device. Ours.

On a CPU one thread draws, which leaves the cores to the step. A GPU's step is over before Python has drawn a clip. So several
processes draw, each a batch of its own, and pass it on in shared memory.
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
_COPIES = "fork"  # a forked process also has the clips that are in memory
_AHEAD = 3  # each process draws so many batches ahead


def loader_workers(device: torch.device) -> int:
    """Returns how many processes draw: none on a CPU or on Windows, which cannot fork; with a GPU one for each core but one."""
    if device.type == "cpu" or _COPIES not in multiprocessing.get_all_start_methods():
        return 0
    return max(1, min(_MOST_WORKERS, granted_cores() // trainers_here() - 1))


def trainers_here() -> int:
    """Returns how many processes train on this host, as torchrun says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def batches(draw: Draw, first: int, end: int, device: torch.device, workers: int) -> Iterator[list[Part]]:
    """Yields the batches of steps ``first`` to ``end``, in order, on the device. It raises an error of a draw at its batch.

    Args:
        draw: makes a step's batch on the CPU; with workers it runs in copies of this process.
        first, end: the first step, and the step after the last.
        device: the device for the batches.
        workers: how many processes draw; with 0 a thread of this process draws. Wrap them in ``ended_workers_said``.
    """
    source = _in_processes(draw, first, end, device, workers) if workers else _in_a_thread(draw, first, end)
    for parts in source:
        yield [tuple(_placed(tensor, device) for tensor in part) for part in parts]


def _placed(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Returns a tensor on the device; lengths (int32) stay on the CPU, for a step that read them from a GPU would wait."""
    return tensor if tensor.dtype == torch.int32 else tensor.to(device, non_blocking=True)


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
    """Translates PyTorch's error about a drawing process that was ended, which comes at any point of a step.

    Args:
        resume: the command that continues the training.

    Raises:
        RunError: instead of PyTorch's error.
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
    """Gives a step's batch in shared memory, or the error instead: a sentence, or another process's traceback as text."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw

    def __getitem__(self, step: int) -> list[Part] | Exception:
        try:
            parts = self.draw(step)
        except StillspeakError as error:
            return error
        except Exception:
            return RuntimeError(traceback.format_exc())
        try:  # an error that escaped here would let PyTorch wait for ever
            return [tuple(tensor.share_memory_() for tensor in part) for part in parts]
        except (RuntimeError, OSError):
            return RunError(
                "There is no room for a batch in shared memory (/dev/shm): in a container give it more (--shm-size 8g), "
                "or lower adversarial.clips and picture.clips."
            )


def _in_processes(draw: Draw, first: int, end: int, device: torch.device, workers: int) -> Iterator[list[Part]]:
    if first >= end:
        return
    cv2.setNumThreads(1)  # set before the fork, for a copy would wait for OpenCV's threads, which it lacks
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
    """Lets a worker ignore Ctrl-C and SIGTERM, which come to all processes, so that only the one that saves handles them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
