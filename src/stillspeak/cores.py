"""Counts the cores that this process may use, by its affinity, the quota of its container and ``OMP_NUM_THREADS``. Ours.

A container with a quota sees all cores of its host; threads for all of them would wait for each other most of the time.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_THREADS = re.compile(r"\s*(\d{1,6})\s*(,.*)?", re.ASCII)  # OpenMP takes a number, or one for each level of nesting


def usable_cores(root: Path = _ROOT) -> int:
    """Returns how many threads may work at once: as many as ``granted_cores``, or fewer if ``OMP_NUM_THREADS`` says so.

    Args:
        root: the root of the file system that tells of quotas.
    """
    variable = _THREADS.fullmatch(os.environ.get("OMP_NUM_THREADS", ""))
    threads = int(variable[1]) if variable else 0
    granted = granted_cores(root)
    return min(granted, threads) if threads else granted


def granted_cores(root: Path = _ROOT) -> int:
    """Returns how many cores the system grants this process, at least 1; a part of a core counts as one.

    Args:
        root: the root of the file system that tells of quotas.
    """
    try:
        seen = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call, and some sandboxes refuse it
        seen = os.cpu_count() or 1
    return max(1, min([seen, *(math.ceil(cores) for cores in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yields the cores that each control group from this process's own up to the root allows. Only Linux has any."""
    for folder in _control_groups(root):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # there is no such file, or it says "max"
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
            yield int(quota) / int(period)
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period"))
            if int(quota) > 0:
                yield int(quota) / int(period)


def _control_groups(root: Path) -> Iterator[Path]:
    """Yields the folders of this process's control groups (versions 1 and 2) that limit the processor, and all above them."""
    paths = _own_paths(root)
    for kind, top, mounted in _mounts(root):
        path = PurePosixPath(paths.get(kind, "/"))
        own = path.relative_to(top) if path.is_relative_to(top) else PurePosixPath()
        if ".." in own.parts:  # the process was moved to a group that it cannot see
            own = PurePosixPath()
        for step in (own, *own.parents):
            yield root / mounted.lstrip("/") / step


def _own_paths(root: Path) -> dict[str, str]:
    """Returns the path of this process's control group by the kind of its tree: ``cgroup2``, or ``cgroup`` for version 1."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _mounts(root: Path) -> Iterator[tuple[str, str, str]]:
    """Yields the kind, the top and the mount point of every tree that limits the processor; see mountinfo in proc(5)."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        places, about = before.split(), after.split()
        if len(places) < 5 or len(about) < 3:  # noqa: PLR2004 - fields of proc(5)
            continue
        if about[0] == "cgroup2" or (about[0] == "cgroup" and "cpu" in about[2].split(",")):
            yield about[0], places[3], places[4]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
