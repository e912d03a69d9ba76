"""Writes Tables 2 and 3 of an ablation with the paper's own figures beside them, and says which factor each row changes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillspeak.errors import OutputError
from stillspeak.evaluation.measure import METRICS
from stillspeak.whole import whole

_COLUMNS = ("psnr", "ssim", "fdbm", "cpbd", "acd", "acd_ratio", "wer", "opening_correlation", "opening_spread")
MEASURED = ("ground_truth", "still")  # rows that no model makes
_TABLE_2, _TABLE_3 = (*MEASURED, "l1", "l1_frame", "full"), (*MEASURED, "full", "static_baseline")


@dataclass(frozen=True)
class Row:
    """Describes a row of the tables.

    Attributes:
        title: the paper's name of the row.
        factor: what is different from the row above it in Table 2, or from the full model; empty for rows without a model.
        paper: the paper's figures on GRID, Tables 2 and 3.
    """

    title: str
    factor: str
    paper: dict[str, float]


ROWS = {
    "ground_truth": Row("Ground truth videos", "", {"fdbm": 0.121, "cpbd": 0.281, "acd_ratio": 1.0, "wer": 0.214}),
    "still": Row("The photo repeated (ours)", "", {}),
    "l1": Row(
        "L1",
        "L1 on the whole face (`loss.upper` 1), and no discriminator",
        {"psnr": 28.47, "ssim": 0.859, "fdbm": 0.101, "cpbd": 0.210, "acd_ratio": 1.22, "wer": 0.279},
    ),
    "l1_frame": Row(
        "L1 + Adv img",
        "the Frame Discriminator judges, and `loss.upper` is the base's, as the paper's Figure 4 compares them",
        {"psnr": 27.71, "ssim": 0.840, "fdbm": 0.114, "cpbd": 0.274, "acd_ratio": 1.41, "wer": 0.2794},
    ),
    "full": Row(
        "L1 + Adv img + Adv seq",
        "the Sequence Discriminator judges too: the whole base",
        {"psnr": 27.98, "ssim": 0.844, "fdbm": 0.114, "cpbd": 0.277, "acd_ratio": 1.38, "wer": 0.2545},
    ),
    "static_baseline": Row(
        "Static baseline",
        "L1 + Adv img without memory: linear layers instead of the GRUs of the Context Encoder and the Noise Generator",
        {"psnr": 27.39, "ssim": 0.831, "fdbm": 0.113, "cpbd": 0.280, "acd_ratio": 1.45, "wer": 0.372},
    ),
}


def write_tables(destination: Path, results: dict[str, Any]) -> None:
    """Writes ``results.json``, ``results.md``, ``table2.tex`` and ``table3.tex``; rows that are not judged yet are left out.

    Raises:
        OutputError: if the folder cannot be written.
    """
    files = {
        "results.json": json.dumps(results, indent=2) + "\n",
        "results.md": _markdown(results),
        "table2.tex": _latex(results, _TABLE_2, "Ablation (the paper's Table 2)."),
        "table3.tex": _latex(results, _TABLE_3, "Against the static baseline (the paper's Table 3)."),
    }
    try:
        for name, text in files.items():
            with whole(destination / name) as part:
                part.write_text(text, "utf-8")
    except OSError as error:
        raise OutputError(f"{destination} cannot be written: {error.strerror}.") from error


def _markdown(results: dict[str, Any]) -> str:
    lines = ["# The paper's Tables 2 and 3, on these clips", ""]
    lines += [f"- {name}: {value}" for name, value in results["about"].items() if value]
    lines += [
        "",
        "A cell gives the mean over clips and the 95 % interval over clips. Where a row was trained from several seeds, the "
        "mean is over them too, and s.d. is the standard deviation between trainings. Square brackets hold the paper's own "
        "figure on GRID. The paper never explained the unit of its ACD: compare the ratio to real videos. Its WER comes from "
        "LipNet.",
        "",
        *_factors(results),
        "",
    ]
    for title, names in (("Table 2: ablation", _TABLE_2), ("Table 3: the static baseline", _TABLE_3)):
        lines += [f"## {title}", "", "| method | " + " | ".join(METRICS[m].title for m in _COLUMNS) + " |"]
        lines.append("|---" * (len(_COLUMNS) + 1) + "|")
        for name in _judged(results, names):
            cells = [_cell(results, name, metric) for metric in _COLUMNS]
            lines.append(f"| {ROWS[name].title} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _judged(results: dict[str, Any], names: Sequence[str]) -> list[str]:
    return [name for name in names if name in results["rows"]]


def _factors(results: dict[str, Any]) -> list[str]:
    """Returns a table that says of each row what it changes, how often it was trained, its size and how much it learnt."""
    taken = results["about"]["taken"]
    base = f"In all rows the adversarial stage trains every part of `{results['about']['base']}` on whole clips, and z_n is "
    base += "taught no blinks. Beside that, a row changes what the table says and nothing else."
    lines = [base, "", "| method | what it changes | trainings | generator parameters | steps (frames) of its stages |"]
    lines.append("|---" * 5 + "|")
    for name, learnt in results["trained"].items():
        factor = f"taken from `{taken[name]}`" if name in taken else ROWS[name].factor
        stages = ", ".join(
            f"{stage['phase']} {stage['steps']:,} ({stage['frames']:,})"
            for stage in learnt.get("stages", ())
            if stage["steps"]
        )
        size = f"{learnt['parameters'] / 1e6:.2f} M" if learnt else ""
        lines.append(f"| {ROWS[name].title} | {factor} | {len(results['models'][name])} | {size} | {stages} |")
    return lines


def _cell(results: dict[str, Any], name: str, metric: str) -> str:
    figure, paper = results["rows"][name].get(metric), results["paper"][name].get(metric)
    if figure is None:
        return ""
    low, high = figure["ci95"]
    spread = f"; s.d. {figure['repeats_sd']:.3f}" if "repeats_sd" in figure else ""
    between = f" ({low:.3f} to {high:.3f}{spread})" if figure["n"] > 1 else f" ({spread[2:]})" if spread else ""
    return f"{figure['mean']:.3f}{between}" + (f" [{paper:g}]" if paper is not None else "")


def _latex(results: dict[str, Any], names: Sequence[str], caption: str) -> str:
    """Returns a LaTeX table (booktabs) with means and half intervals."""
    lines = [r"\begin{table}", r"\centering", r"\begin{tabular}{l" + "r" * len(_COLUMNS) + "}", r"\toprule"]
    lines += [" & ".join(["Method", *(METRICS[m].title.replace("%", r"\%") for m in _COLUMNS)]) + r" \\", r"\midrule"]
    for name in _judged(results, names):
        cells = []
        for metric in _COLUMNS:
            figure = results["rows"][name].get(metric)
            half = 0.0 if figure is None else (figure["ci95"][1] - figure["ci95"][0]) / 2
            cells.append("" if figure is None else rf"${figure['mean']:.3f} \pm {half:.3f}$")
        lines.append(" & ".join([ROWS[name].title, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}", ""])
