"""Makes Tables 2 and 3 with one command: trains or takes the rows, judges them on the same clips, and adds the paper's figures.

A row is a variant of one base preset. It differs from the base in what ``tables.py`` says of it, and in nothing else. Every step
leaves a file, and a finished step is not repeated. So after a stop at any moment, the same command goes on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stillspeak import variants
from stillspeak.config import AdversarialStage, Config
from stillspeak.data.manifest import choose_split
from stillspeak.errors import RunError, StoppedError
from stillspeak.evaluation import report
from stillspeak.evaluation.evaluate import evaluate, judgeable
from stillspeak.evaluation.measure import METRICS
from stillspeak.experiments.tables import MEASURED, ROWS, write_tables
from stillspeak.presets import PRESETS
from stillspeak.runtime.engine import DESCRIPTION, find_model
from stillspeak.training.export import export
from stillspeak.training.loop import resume, train
from stillspeak.training.overrides import changed
from stillspeak.training.run import RunFolder
from stillspeak.training.weights import GENERATOR, read_generator

_VARIANTS: dict[str, Callable[[Config], Config]] = {
    "l1": variants.l1,
    "l1_frame": variants.l1_frame,
    "full": lambda base: base,
    "static_baseline": variants.static,
}


@dataclass
class _Found:
    """Holds what is judged so far: models, and figures of each clip, by row and training seed."""

    models: dict[str, dict[int, str]] = field(default_factory=dict)
    clips: dict[str, dict[str, report.Figures]] = field(default_factory=dict)  # row -> clip -> its row -> figures


def ablate(
    data: Path,
    destination: Path,
    *,
    base: str = "default",
    repeats: int = 1,
    overrides: Sequence[str] = (),
    taken: Mapping[str, str] | None = None,
    split: str | None = None,
    speakers: list[str] | None = None,
    clips: int | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Trains and judges every row; writes ``results.json``, ``results.md``, ``table2.tex``, ``table3.tex`` after each.

    Args:
        data: a prepared folder.
        destination: the folder for runs, models, evaluations and tables.
        base: the preset that all rows are variants of.
        repeats: how often each row is trained, each time from another training seed.
        overrides: options ``--section.field value`` for all rows alike, such as ``--train.hours 2``.
        taken: a model (a name, an exported folder, or a run) for each row that is not trained.
        split, speakers, clips, workers: the arguments of ``evaluate``.

    Returns:
        The content of ``results.json``: ``rows`` as ``evaluate`` makes them, ``paper``, ``about``, ``models`` and ``trained``.

    Raises:
        StillspeakError: as training, export and evaluation do.
    """
    taken = dict(taken or {})
    _require(taken, repeats)
    configs = rows_of(base, overrides)
    split = choose_split(data, split, speakers)
    judgeable(data, split, speakers, clips, workers)  # raises before a row is trained if the clips cannot be judged
    seeds = [configs["full"].train.seed + number for number in range(repeats)]
    about = {"base": base, "training seeds": seeds, "data": str(data), "split": split}
    about |= {"overrides": list(overrides), "taken": taken}
    chosen = {"split": split, "speakers": speakers, "clips": clips, "workers": workers}
    return _trained_and_judged(configs, about, data, destination, chosen)


def _trained_and_judged(
    configs: Mapping[str, Config], about: dict[str, Any], data: Path, destination: Path, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """Trains and judges the rows seed by seed, and writes the tables after each; returns the last results."""
    found, results, taken = _Found(), {}, about["taken"]
    first, *_ = about["training seeds"]
    for seed in about["training seeds"]:
        for row, config in configs.items():
            if row in taken and seed != first:
                continue
            seeded = replace(config, train=replace(config.train, seed=seed))
            model = _model(f"{row}-seed{seed}", taken.get(row), seeded, data, destination)
            folder = destination / "evaluations" / f"{row}-seed{seed}"
            evaluate(model, data, folder, **chosen)
            _add(found, row, seed, model, folder)
            results = _results(found, about)
            write_tables(destination, results)
    return results


def rows_of(base: str, overrides: Sequence[str] = ()) -> dict[str, Config]:
    """Returns the config of every row that is trained: a variant of one base preset, with options for all alike.

    Raises:
        RunError: if there is no such preset, a setting is none, or the base has not all that the rows leave out.
    """
    if base not in PRESETS:
        raise RunError(f"There is no preset {base} to take as a base; there are: {', '.join(PRESETS)}.")
    full = changed(variants.open_to_adversaries(PRESETS[base]()), list(overrides))
    if full.frame is None or full.sequence is None or not full.generator.recurrent:
        wants = "a Frame Discriminator, a Sequence Discriminator and memory, which its rows leave out"
        raise RunError(f"The base of an ablation needs {wants}; {base} has not all of them.")
    if not full.stages_of(AdversarialStage):
        raise RunError("The base of an ablation needs an adversarial stage: set adversarial.steps above 0.")
    return {row: replace(variant(full), name=f"{base}_{row}") for row, variant in _VARIANTS.items()}


def _require(taken: Mapping[str, str], repeats: int) -> None:
    """Raises RunError if rows are trained less than once or one does not exist, and ModelError if a given model does not."""
    if repeats < 1:
        raise RunError(f"--repeats must be at least 1, not {repeats}.")
    if unknown := [row for row in taken if row not in _VARIANTS]:
        raise RunError(f"There is no row {unknown[0]}; there are {', '.join(_VARIANTS)}.")
    for given in taken.values():
        if not RunFolder(given).exists:
            find_model(given)


def _model(name: str, taken: str | None, config: Config, data: Path, destination: Path) -> str | Path:
    """Returns the model of a row: the given one, or one that is trained here."""
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
    with _said_to_go_on():
        if run.began:
            resume(run.path)
        else:
            train(config, data, run.path)
    return export(run.path, model)


@contextmanager
def _said_to_go_on() -> Iterator[None]:
    """Says of a training that the user stops that the ablation goes on as a whole."""
    try:
        yield
    except StoppedError as stopped:
        raise StoppedError(
            "Stopped and saved; the same command goes on, and keeps the rows that are done."
        ) from stopped


def _add(found: _Found, row: str, seed: int, model: str | Path, evaluation: Path) -> None:
    """Adds what ``evaluate`` wrote of a model to what is found; a row's trainings are seeds of one model."""
    found.models.setdefault(row, {})[seed] = str(model)
    clips = found.clips.setdefault(row, {})
    for line in pq.read_table(evaluation / "results.parquet").to_pylist():
        figures = {metric: line[metric] for metric in METRICS if line[metric] is not None}
        name = report.seed_row(seed) if line["row"] == "model" else line["row"]
        clips.setdefault(line["clip"], {}).setdefault(name, figures)


def _results(found: _Found, about: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of ``results.json`` for the rows that are judged so far."""
    rows: dict[str, Any] = {}
    for row, clips in found.clips.items():
        judged = report.summary({clip: report.over_seeds(figures) for clip, figures in clips.items()})
        for name in MEASURED:
            rows.setdefault(name, judged[name])
        rows[row] = judged["model"]
        for cell in rows[row].values():
            if "seeds_sd" in cell:
                cell["repeats_sd"] = cell.pop("seeds_sd")
    return {
        "rows": {name: rows[name] for name in ROWS if name in rows},
        "paper": {name: row.paper for name, row in ROWS.items()},
        "about": dict(about),
        "models": {row: [*models.values()] for row, models in found.models.items()},
        "trained": {row: _learnt(next(iter(models.values()))) for row, models in found.models.items()},
    }


def _learnt(model: str) -> dict[str, Any]:
    """Returns how large a model is, and how much each of its stages learnt; of a model without weights nothing is known."""
    weights = find_model(model) / GENERATOR
    if not weights.is_file():
        return {}
    trained = read_generator(weights)
    stages = [{name: stage[name] for name in ("phase", "steps", "frames")} for stage in trained.history]
    return {"parameters": sum(prod(tensor.shape) for tensor in trained.weights.values()), "stages": stages}
