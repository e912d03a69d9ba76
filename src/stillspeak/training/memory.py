"""Keeps the memory that a step of a training on a CPU frees for the next step. Ours.

A step allocates and frees the same tensors of tens of megabytes again and again. glibc's malloc asks the system for each of
them and gives it back, and the system clears every page anew: a fifth of a step's time (docs/training.md, Speed).
"""

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's mallopt, malloc.h


def keep_memory() -> None:
    """Lets this process keep the memory that it frees, and PyTorch put large tensors on huge pages if the system has them.

    With another C library than glibc it does only the latter. It leaves a setting of ``THP_MEM_ALLOC_ENABLE`` as it is.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch reads it at its first allocation
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)
