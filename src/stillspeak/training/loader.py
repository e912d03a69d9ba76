"""Batches drawn ahead of the step that needs them, in threads, and moved to the device. Ours."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from stillspeak.runtime.engine import usable_cores
from stillspeak.training.phase import Part

_MOST_THREADS = 12


def loader_threads(device: torch.device) -> int:
    """One on a CPU, whose cores the step needs itself; beside a GPU this process's share of the cores but one, up to twelve."""
    if device.type == "cpu":
        return 1
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes on this host, as torchrun says
    return max(1, min(_MOST_THREADS, usable_cores() // beside - 1))


def batches(
    draw: Callable[[int], list[Part]], first: int, end: int, device: torch.device, threads: int
) -> Iterator[list[Part]]:
    """The batches of steps ``first`` to ``end``, in order, on the device. Errors of a draw come where its batch is due."""

    def ready(step: int) -> list[Part]:
        parts = draw(step)
        if device.type == "cuda":
            parts = [tuple(tensor.pin_memory() for tensor in part) for part in parts]
        return parts

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[list[Part]]] = deque()
        upcoming = first
        try:
            for _ in range(first, end):
                while upcoming < end and len(waiting) <= threads:
                    waiting.append(pool.submit(ready, upcoming))
                    upcoming += 1
                parts = waiting.popleft().result()
                yield [tuple(tensor.to(device, non_blocking=True) for tensor in part) for part in parts]
        finally:
            for future in waiting:
                future.cancel()
