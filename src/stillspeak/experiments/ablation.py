"""Makes Tables 2 and 3 with one command: trains or takes the rows, judges them on the same clips, and adds the paper's figures.

Every step leaves a file, and a finished step is not repeated. So after a stop at any moment, the same command goes on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillspeak.config import Config
from stillspeak.data.manifest import choose_split
from stillspeak.errors import OutputError, RunError
from stillspeak.evaluation.evaluate import evaluate, judgeable
from stillspeak.evaluation.measure import METRICS
from stillspeak.runtime.engine import DESCRIPTION, find_model
from stillspeak.training.export import export
from stillspeak.training.loop import resume, train
from stillspeak.training.overrides import overridden
from stillspeak.training.run import RunFolder
from stillspeak.whole import whole

_COLUMNS = ("psnr", "ssim", "fdbm", "cpbd", "acd", "acd_ratio", "wer", "opening_correlation", "opening_spread")
_TABLE_2, _TABLE_3 = ("ground_truth", "l1", "l1_frame", "full"), ("ground_truth", "full", "static_baseline")


@dataclass(frozen=True)
class Row:
    """Describes a row of the tables.

    Attributes:
        preset: the preset that is trained for the row.
        title: the paper's name of the row.
        paper: the paper's figures on GRID, Tables 2 and 3.
    """

    preset: str
    title: str
    paper: dict[str, float]


ROWS = {
    "ground_truth": Row("", "Ground truth videos", {"fdbm": 0.121, "cpbd": 0.281, "acd_ratio": 1.0, "wer": 0.214}),
    "l1": Row(
        "l1", "L1", {"psnr": 28.47, "ssim": 0.859, "fdbm": 0.101, "cpbd": 0.210, "acd_ratio": 1.22, "wer": 0.279}
    ),
    "l1_frame": Row(
        "l1_frame",
        "L1 + Adv img",
        {"psnr": 27.71, "ssim": 0.840, "fdbm": 0.114, "cpbd": 0.274, "acd_ratio": 1.41, "wer": 0.2794},
    ),
    "full": Row(
        "default",
        "L1 + Adv img + Adv seq",
        {"psnr": 27.98, "ssim": 0.844, "fdbm": 0.114, "cpbd": 0.277, "acd_ratio": 1.38, "wer": 0.2545},
    ),
    "static_baseline": Row(
        "static",
        "Static baseline",
        {"psnr": 27.39, "ssim": 0.831, "fdbm": 0.113, "cpbd": 0.280, "acd_ratio": 1.45, "wer": 0.372},
    ),
}


def ablate(
    data: Path,
    destination: Path,
    *,
    overrides: Sequence[str] = (),
    taken: Mapping[str, str] | None = None,
    split: str | None = None,
    speakers: list[str] | None = None,
    clips: int | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Trains and judges every row; writes ``results.json``, ``results.md``, ``table2.tex``, ``table3.tex``.

    Args:
        data: a prepared folder.
        destination: the folder for runs, models, evaluations and tables.
        overrides: options ``--section.field value`` for all rows alike, such as ``--train.hours 2``.
        taken: a model (a name, an exported folder, or a run) for each row that is not trained.
        split, speakers, clips, workers: the arguments of ``evaluate``.

    Returns:
        The content of ``results.json``: ``rows`` as ``evaluate`` makes them, ``paper``, and ``models`` of the rows.

    Raises:
        StillspeakError: as training, export and evaluation do.
    """
    taken = dict(taken or {})
    _require_models(taken)
    split = choose_split(data, split, speakers)
    judgeable(data, split, speakers, clips, workers)  # raises before a row is trained if the clips cannot be judged
    how = {"split": split, "speakers": speakers, "clips": clips, "workers": workers}
    models, found = _judged(data, destination, overrides, taken, how)
    results = {"rows": {name: found[name] for name in ROWS}, "paper": {name: row.paper for name, row in ROWS.items()}}
    results["about"] = {"data": str(data), "split": split, "overrides": list(overrides), "taken": taken}
    results["models"] = models
    _write(destination, results)
    return results


def _require_models(taken: Mapping[str, str]) -> None:
    """Raises RunError if a row does not exist, and ModelError if a given model does not."""
    if unknown := [row for row in taken if row not in ROWS or row == "ground_truth"]:
        raise RunError(f"There is no row {unknown[0]}; there are {', '.join(list(ROWS)[1:])}.")
    for given in taken.values():
        if not RunFolder(given).exists:
            find_model(given)


def _judged(
    data: Path, destination: Path, overrides: Sequence[str], taken: Mapping[str, str], how: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Returns the models of all rows, trained unless one is given, and the result of ``evaluate``, which gets ``how``."""
    models: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for name in list(ROWS)[1:]:
        model = _model(name, taken.get(name), data, destination, overrides)
        models[name] = str(model)
        judged = evaluate(model, data, destination / "evaluations" / name, **how)["rows"]
        found.setdefault("ground_truth", judged["ground_truth"])
        found[name] = judged["model"]
    return models, found


def _model(name: str, taken: str | None, data: Path, destination: Path, overrides: Sequence[str]) -> str | Path:
    """Returns the model of a row: the given one, or one that is trained here."""
    config = overridden(ROWS[name].preset, list(overrides))
    assert isinstance(config, Config)
    if taken is None:
        return _trained(config, name, data, destination)
    return export(taken, destination / "models" / name) if RunFolder(taken).exists else taken  # a run may have gone on


def _trained(config: Config, name: str, data: Path, destination: Path) -> Path:
    """Returns the exported model of a row; trains it first, or goes on training it, unless it exists already."""
    model, run = destination / "models" / name, RunFolder(destination / "runs" / name)
    if run.exists and run.config() != (config, data.resolve()):
        raise RunError(f"{run.path} was begun with other settings or data; give this ablation another folder.")
    if (model / DESCRIPTION).is_file():
        return model
    if run.began:
        resume(run.path)
    else:
        train(config, data, run.path)
    return export(run.path, model)


def _write(destination: Path, results: dict[str, Any]) -> None:
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
        "Mean over clips and 95 % interval; the paper's own figure on GRID in brackets. Its ACD is in a unit never",
        "",
    ]
    lines[-2] += " explained: hold the ratio to the real videos' against it. Its WER is LipNet's."
    for title, names in (("Table 2: ablation", _TABLE_2), ("Table 3: the static baseline", _TABLE_3)):
        lines += [f"## {title}", "", "| method | " + " | ".join(METRICS[m].title for m in _COLUMNS) + " |"]
        lines.append("|---" * (len(_COLUMNS) + 1) + "|")
        for name in names:
            cells = [_cell(results, name, metric) for metric in _COLUMNS]
            lines.append(f"| {ROWS[name].title} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def _cell(results: dict[str, Any], name: str, metric: str) -> str:
    figure, paper = results["rows"][name].get(metric), results["paper"][name].get(metric)
    if figure is None:
        return ""
    low, high = figure["ci95"]
    between = f" ({low:.3f} to {high:.3f})" if figure["n"] > 1 else ""
    return f"{figure['mean']:.3f}{between}" + (f" [{paper:g}]" if paper is not None else "")


def _latex(results: dict[str, Any], names: Sequence[str], caption: str) -> str:
    """Returns a LaTeX table (booktabs) with means and half intervals."""
    lines = [r"\begin{table}", r"\centering", r"\begin{tabular}{l" + "r" * len(_COLUMNS) + "}", r"\toprule"]
    lines += [" & ".join(["Method", *(METRICS[m].title.replace("%", r"\%") for m in _COLUMNS)]) + r" \\", r"\midrule"]
    for name in names:
        cells = []
        for metric in _COLUMNS:
            figure = results["rows"][name].get(metric)
            half = 0.0 if figure is None else (figure["ci95"][1] - figure["ci95"][0]) / 2
            cells.append("" if figure is None else rf"${figure['mean']:.3f} \pm {half:.3f}$")
        lines.append(" & ".join([ROWS[name].title, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}", ""])
