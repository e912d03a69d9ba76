"""Writes the figures of many clips as JSON, Markdown and Parquet, with means and 95 % intervals. Paper, Tables 2 and 3."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stillspeak.errors import OutputError
from stillspeak.evaluation.measure import METRICS
from stillspeak.streams import as_text
from stillspeak.whole import whole

ROWS = ("ground_truth", "model", "no_noise", "still", "shuffled_audio")
_SEED = "seed "  # a row of one seed of the model's noise begins so
_RESAMPLES, _BLOCK = 10_000, 500
# Paper, Tables 2 and 3. ACD is in the paper's own unit, 1e-4; WER is LipNet's.
_PAPER = """\
| the paper's rows | PSNR | SSIM | FDBM | CPBD | ACD / 1e-4 | WER | chosen by users |
|---|---|---|---|---|---|---|---|
| GRID, ground truth videos | | | 0.121 | 0.281 | 0.74 | 21.40 % | |
| GRID, L1 (Table 2) | 28.47 | 0.859 | 0.101 | 0.210 | 0.90 | 27.90 % | |
| GRID, L1 + Adv img (Table 2) | 27.71 | 0.840 | 0.114 | 0.274 | 1.04 | 27.94 % | |
| GRID, L1 + Adv img + Adv seq (Tables 2, 3) | 27.98 | 0.844 | 0.114 | 0.277 | 1.02 | 25.45 % | 79.77 % |
| GRID, static baseline (Table 3) | 27.39 | 0.831 | 0.113 | 0.280 | 1.07 | 37.2 % | 20.22 % |
| TCD-TIMIT, proposed (Table 3) | 23.54 | 0.697 | 0.102 | 0.253 | 2.06 | | 77.03 % |
| TCD-TIMIT, static baseline (Table 3) | 23.01 | 0.654 | 0.097 | 0.252 | 2.29 | | 22.97 % |
"""
_NOTES = """\
What can be compared: CPBD and FDBM of aligned 96 x 128 crops, and ratios (ACD over the real video's: the paper's is 1.38).
What cannot: ACD itself (another embedding; the paper's scale, 1e-4, was never explained); WER itself (the paper's reader is
LipNet, ours saw fewer speakers: hold each WER against that of the real videos read by the same reader); PSNR and SSIM across
different speakers and clips. The paper's test speakers are ten; which clips are judged here is said above.
"""
Figures = dict[str, dict[str, float]]  # row -> metric -> figure, of one clip


def interval(values: np.ndarray, units: np.ndarray | None = None) -> tuple[float, float]:
    """Returns the 95 % interval of the mean, or of its ratio to the mean of ``units``: 10,000 bootstraps (Efron 1979)."""
    random, means = np.random.default_rng(0), []
    for _ in range(_RESAMPLES // _BLOCK):
        drawn = random.integers(0, len(values), (_BLOCK, len(values)))
        means.append(values[drawn].mean(axis=1) / (1.0 if units is None else units[drawn].mean(axis=1)))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def seed_row(seed: int) -> str:
    """Returns the name of the model's row with one seed of its noise."""
    return f"{_SEED}{seed}"


def over_seeds(figures: Figures) -> Figures:
    """Adds the row ``model``: the mean of the rows of each seed. A single seed's own row is left out."""
    seeds = [values for row, values in figures.items() if row.startswith(_SEED)]
    shared = [metric for metric in METRICS if all(metric in values for values in seeds)]
    mean = {metric: float(np.mean([values[metric] for values in seeds])) for metric in shared}
    kept = {row: values for row, values in figures.items() if len(seeds) > 1 or not row.startswith(_SEED)}
    return {"ground_truth": figures["ground_truth"], "model": mean, **kept}


def summary(clips: Mapping[str, Figures]) -> dict[str, dict[str, Any]]:
    """Returns ``mean``, ``ci95`` and ``n`` by row and metric, over the clips that have the figure.

    ``acd_ratio`` is the ratio of the means, as the paper's figures would give it, and not the mean of the clips' ratios.
    Where the model was judged with several seeds of noise, ``seeds_sd`` is the standard deviation, over seeds, of the mean over
    clips.
    """
    rows = list(dict.fromkeys(row for figures in clips.values() for row in figures if not row.startswith(_SEED)))
    table: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda name: ROWS.index(name) if name in ROWS else len(ROWS)):
        table[row] = {}
        for metric in METRICS:
            having = [figures for figures in clips.values() if metric in figures.get(row, {})]
            values, units = np.array([figures[row][metric] for figures in having]), None
            if not having:
                continue
            if metric == "acd_ratio":
                values, units = (
                    np.array([figures[name]["acd"] for figures in having]) for name in (row, "ground_truth")
                )
            mean = float(values.mean() / (1.0 if units is None else units.mean()))
            table[row][metric] = {"mean": mean, "ci95": list(interval(values, units)), "n": len(values)}
    for metric, cell in table.get("model", {}).items():
        means = _seed_means(clips, metric)
        cell |= {"seeds_sd": float(np.std(means, ddof=1))} if len(means) > 1 else {}
    return table


def _seed_means(clips: Mapping[str, Figures], metric: str) -> list[float]:
    """The mean over clips of a metric, for the first seed of each clip, the second, and so on."""
    seeds = [[values for row, values in figures.items() if row.startswith(_SEED)] for figures in clips.values()]
    return [
        float(np.mean([values[metric] for values in seed if metric in values] or [np.nan]))
        for seed in zip(*seeds, strict=True)
    ]


def write(folder: Path, clips: Mapping[str, Figures], about: dict[str, Any]) -> dict[str, Any]:
    """Writes ``results.json``, ``results.md``, ``results.parquet``; returns what the JSON holds.

    Args:
        folder: the folder for the files, which must exist.
        clips: the figures of each clip, by ``speaker/clip``.
        about: what was judged and by which judges; it goes into the JSON beside ``rows``, and on top of the Markdown.

    Raises:
        OutputError: if the folder cannot be written.
    """
    results = {"rows": summary(clips), **about}
    rows = [
        {"clip": as_text(clip), "row": row, **{metric: values.get(metric) for metric in METRICS}}
        for clip, figures in clips.items()
        for row, values in figures.items()
    ]
    schema = pa.schema([("clip", pa.string()), ("row", pa.string()), *((metric, pa.float64()) for metric in METRICS)])
    try:
        with whole(folder / "results.json") as part:
            part.write_bytes((json.dumps(results, indent=2) + "\n").encode())
        with whole(folder / "results.md") as part:
            part.write_bytes(markdown(results).encode("utf-8", "surrogateescape"))
        with whole(folder / "results.parquet") as part, part.open("wb") as file:  # pyarrow takes no names beyond text
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return results


def markdown(results: dict[str, Any]) -> str:
    """Returns the tables for people: a line for each metric, a column for each row, the judges' accuracy, the paper's tables."""
    rows: dict[str, dict[str, Any]] = results["rows"]
    lines = ["# Results", "", *(f"- {name}: {_said(value)}" for name, value in results.items() if name != "rows"), ""]
    lines += ["Mean over clips, 95 % interval (bootstrap over clips), number of clips where it is not all.", ""]
    lines += ["| metric | better | " + " | ".join(rows) + " |", "|---|---|" + "---|" * len(rows)]
    most = max((cell["n"] for figures in rows.values() for cell in figures.values()), default=0)
    for metric, (title, unit, better) in METRICS.items():
        cells = [_cell(figures.get(metric), most) for figures in rows.values()]
        if any(cells):
            lines.append(f"| {title}{f' ({unit})' if unit else ''} | {better} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + f"\n\n## Beside the paper\n\n{_PAPER}\n{_NOTES}"


def _cell(cell: dict[str, Any] | None, most: int) -> str:
    if cell is None:
        return ""
    low, high = cell["ci95"]
    count = "" if cell["n"] == most else f", n {cell['n']}"
    if cell["n"] == 1:  # one clip says nothing of others
        return f"{cell['mean']:.3f}" + (f" ({count[2:]})" if count else "")
    seeds = f"; s.d. over seeds {cell['seeds_sd']:.3f}" if "seeds_sd" in cell else ""
    return f"{cell['mean']:.3f} ({low:.3f} to {high:.3f}{count}{seeds})"


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_said(inner)}" for name, inner in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
