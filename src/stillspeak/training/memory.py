"""Memory between the steps of a training on a CPU: what a step gives back is kept for the next one. Ours.

A step allocates and frees the same tensors of tens of megabytes again and again. glibc's malloc asks the system for each of
them and gives it back, and the system clears every page anew: a fifth of a step's time (docs/training.md, Speed).
"""

import ctypes
import os
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of glibc's mallopt, malloc.h


def keep_memory() -> None:
    """From now on this process keeps what it frees, and PyTorch puts large tensors on huge pages where the system has them.

    Where the C library is another one than glibc, only the latter. A setting of ``THP_MEM_ALLOC_ENABLE`` is left as it is.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # PyTorch reads it at its first allocation
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)
