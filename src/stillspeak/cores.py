"""How many cores this process may use: the affinity, the quota of its container, ``OMP_NUM_THREADS``. Ours.

A container with a quota sees all cores of its host; threads for all of them would wait for each other most of the time.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
_THREADS = re.compile(r"\s*(\d{1,6})\s*(,.*)?", re.ASCII)  # OpenMP: a number, or one for each level of nesting


def usable_cores(root: Path = _ROOT) -> int:
    """Threads that may work at once: the cores of ``granted_cores``, or fewer if ``OMP_NUM_THREADS`` says so.

    Args:
        root: of the file system that tells of quotas.
    """
    said = _THREADS.fullmatch(os.environ.get("OMP_NUM_THREADS", ""))
    wanted = int(said[1]) if said else 0
    granted = granted_cores(root)
    return min(granted, wanted) if wanted else granted


def granted_cores(root: Path = _ROOT) -> int:
    """Cores that the system grants this process, at least 1; part of a core counts as one.

    Args:
        root: of the file system that tells of quotas.
    """
    try:
        seen = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # macOS and Windows have no such call, and some sandboxes refuse it
        seen = os.cpu_count() or 1
    return max(1, min([seen, *(math.ceil(cores) for cores in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Cores by every quota on the way from this process's own control groups up to the root. Linux alone has any."""
    for folder in _control_groups(root):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # none there, or "max"
            quota, period = (folder / "cpu.max").read_text("utf-8").split()
            yield int(quota) / int(period)
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = ((folder / f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period"))
            if int(quota) > 0:
                yield int(quota) / int(period)


def _control_groups(root: Path) -> Iterator[Path]:
    """The folders of this process's control groups that limit the processor, versions 1 and 2, and all above them."""
    paths = _own_paths(root)
    for kind, top, mounted in _mounts(root):
        path = PurePosixPath(paths.get(kind, "/"))
        own = path.relative_to(top) if path.is_relative_to(top) else PurePosixPath()
        if ".." in own.parts:  # the process was moved out of what it can see
            own = PurePosixPath()
        for step in (own, *own.parents):
            yield root / mounted.lstrip("/") / step


def _own_paths(root: Path) -> dict[str, str]:
    """The path of this process's control group by the kind of its tree: ``cgroup2``, or ``cgroup`` of version 1."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _mounts(root: Path) -> Iterator[tuple[str, str, str]]:
    """The kind, the top and the place of every tree that limits the processor. proc(5), mountinfo."""
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
