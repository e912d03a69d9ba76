"""Lists and compares runs for ``stillspeak runs``. It reads only config.toml and metrics.jsonl, and needs no PyTorch."""

import contextlib
import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stillspeak.errors import RunError

CONFIG, METRICS = "config.toml", "metrics.jsonl"
_FIGURES = (  # the columns of the table; each shows the last value
    ("heldout_opening_correlation", "held-out opening"),
    ("validation_opening_correlation", "validation opening"),
    ("validation_opening_spread", "spread"),
    ("psnr", "PSNR"),
    ("l1", "L1"),
)


def find_runs(folders: list[Path]) -> list[Path]:
    """Finds the run folders among some folders and directly in them, sorted by name.

    Raises:
        RunError: if there is no run.
    """
    found = []
    for folder in folders:
        inside = sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))
        found += [folder] if (folder / CONFIG).is_file() else inside
    if not found:
        raise RunError(f"There is no training run in {', '.join(map(str, folders))}.")
    return found


def read_config(run: Path) -> dict[str, Any]:
    """Reads a run's config as one table with keys such as ``train.steps``. Raises RunError if it is damaged."""
    try:
        return flat(tomllib.loads((run / CONFIG).read_text("utf-8", errors="surrogateescape")))
    except (OSError, ValueError) as error:
        raise RunError(f"{run / CONFIG} is damaged: {error}.") from error


def last_values(run: Path) -> dict[str, Any]:
    """Returns the last value of everything a run has logged; lines that are cut off or damaged are passed over."""
    values: dict[str, Any] = {}
    path = run / METRICS
    for line in path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []:
        with contextlib.suppress(ValueError):
            said = json.loads(line)
            values |= said if isinstance(said, dict) else {}
    return values


def table(runs: list[Path]) -> str:
    """Returns runs as a Markdown table: preset, steps, hours, last figures."""
    titles = ["run", "preset", "phase", "step", "frames", "hours", *(title for _, title in _FIGURES)]
    rows = [titles, ["---"] * len(titles)]
    for run in runs:
        values = last_values(run)
        hours = _number(values.get("seconds"), 2, 3600)
        how_far = [str(values.get(key, "-")) for key in ("phase", "step", "frames")]
        figures = [_number(values.get(key), 3) for key, _ in _FIGURES]
        rows.append([str(run), str(read_config(run).get("name", "?")), *how_far, hours, *figures])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _number(value: object, places: int, unit: float = 1.0) -> str:
    return f"{value / unit:.{places}f}" if isinstance(value, int | float) else "-"


def differences(runs: list[Path]) -> str:
    """Returns the settings in which runs differ, as a Markdown table; empty if they do not differ."""
    configs = [read_config(run) for run in runs]
    keys = sorted({key for config in configs for key in config})
    differing = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
    if not differing:
        return ""
    rows = [["setting", *map(str, runs)], ["---"] * (len(runs) + 1)]
    rows += [[key, *(str(config.get(key, "-")) for config in configs)] for key in differing]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns a table of tables as one, ``train.seed`` and so on; stages go by their kinds, ``sound.steps`` and so on."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key == "stages":
            for name, stage in zip(numbered([stage["kind"] for stage in value]), value, strict=True):
                found |= flat({field: of for field, of in stage.items() if field != "kind"}, f"{name}.")
        else:
            found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def numbered(names: Sequence[str]) -> list[str]:
    """Returns each name, and from the second of its kind on with a number behind it: ``picture``, ``picture2``."""
    before = Counter[str]()
    different = []
    for name in names:
        before[name] += 1
        different.append(name if before[name] == 1 else f"{name}{before[name]}")
    return different
