"""Compares two evaluations clip by clip: what changed, and whether it is more than chance. Ours.

Clips differ from each other far more than two models do. So the differences on the same clips have much narrower intervals than
either mean (a paired bootstrap).
"""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillspeak.errors import DataError
from stillspeak.evaluation.measure import METRICS
from stillspeak.evaluation.report import Figures, interval

_REAL = "ground_truth"


def read_clips(folder: Path) -> dict[str, Figures]:
    """Reads the figures of each clip from the ``results.parquet`` of an evaluation, by clip, row and metric.

    Raises:
        DataError: if there are no figures.
    """
    path, clips = folder / "results.parquet", dict[str, Figures]()
    try:
        for line in pq.read_table(io.BytesIO(path.read_bytes())).to_pylist():
            figures = {metric: float(line[metric]) for metric in METRICS if line.get(metric) is not None}
            clips.setdefault(line["clip"], {})[line["row"]] = figures
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} does not hold what evaluate writes: {path.name} cannot be read.") from error
    return clips


def compare(before: Path, after: Path, row: str = "model") -> str:
    """Makes a Markdown table: each metric before and after, and the mean of the clips' differences with its 95 % interval.

    It uses the clips that both evaluations have. An interval without 0 is printed in bold.

    Args:
        before: the folder that ``evaluate`` wrote for the first model.
        after: the folder that ``evaluate`` wrote for the second model.
        row: the row of the tables to compare.

    Raises:
        DataError: if a folder holds no evaluation, or the two have no clip with that row in common.
    """
    first, second = read_clips(before), read_clips(after)
    shared = [clip for clip, rows in first.items() if row in rows and row in second.get(clip, {})]
    if not shared:
        raise DataError(f"{before} and {after} have no clip with the row {row} in common.")
    lines = [
        f"{len(shared)} clips of both, row {row}. Difference: mean over clips, 95 % interval (bootstrap over clips).\n",
        "| metric | better | real | before | after | difference |",
        "|---|---|---|---|---|---|",
    ]
    for metric, (title, unit, better) in METRICS.items():
        if cells := _cells(metric, row, shared, first, second):
            lines.append(f"| {title}{f' ({unit})' if unit else ''} | {better} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(
    metric: str, row: str, shared: list[str], first: dict[str, Figures], second: dict[str, Figures]
) -> list[str]:
    """Returns real, before, after and difference of a metric over the clips that have it; nothing if no clip has it."""
    clips = [clip for clip in shared if metric in first[clip][row] and metric in second[clip][row]]
    if not clips:
        return []
    real = np.array([first[clip].get(_REAL, {}).get(metric, np.nan) for clip in clips])
    name, units = metric, np.ones(len(clips))
    if metric == "acd_ratio":  # it is a ratio of means, as in the results
        name, units = "acd", np.array([first[clip].get(_REAL, {}).get("acd", np.nan) for clip in clips])
    a, b = (np.array([rows[clip][row].get(name, np.nan) for clip in clips]) for rows in (first, second))
    real = real[~np.isnan(real)]
    return [_mean(real, np.ones(len(real))), _mean(a, units), _mean(b, units), _difference(b - a, units, len(shared))]


def _mean(values: np.ndarray, units: np.ndarray) -> str:
    mean = values.mean() / units.mean() if len(values) else np.nan
    return "" if np.isnan(mean) else f"{mean:.4f}"


def _difference(values: np.ndarray, units: np.ndarray, most: int) -> str:
    """Returns the mean difference and its interval, in bold if 0 is not in it; one clip alone has no interval."""
    mean, few = values.mean() / units.mean(), "" if len(values) == most else f"n {len(values)}"
    if np.isnan(mean):
        return ""
    if len(values) == 1:
        return f"{mean:+.4f}" + (f" ({few})" if few else "")
    low, high = interval(values, units)
    said = f"{mean:+.4f} ({low:+.4f} to {high:+.4f}{few and ', ' + few})"
    return f"**{said}**" if low > 0 or high < 0 else said
