"""Trains, resumes and exports a judge: lip reader or sync scorer. The generator's loop is in ``loop.py``.

A run folder as any other; the last checkpoint is what is exported, with its figures on clips never trained on.
"""

import contextlib
import copy
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stillspeak.config import ContextConfig, JudgeConfig
from stillspeak.data.clips import Clips
from stillspeak.errors import DataError, ModelError, RunError
from stillspeak.evaluation.words import GRID_WORDS
from stillspeak.judges.lessons import Judge, LipReading, Syncing, graphs, make_network
from stillspeak.judges.lipreader import LipReader
from stillspeak.judges.sync import SyncScorer
from stillspeak.media.spectrum import RATE_HZ
from stillspeak.runtime.engine import DESCRIPTION, FORMAT
from stillspeak.runtime.judge import JudgeModel
from stillspeak.temporary import temporary_folder
from stillspeak.training.card import judge_card
from stillspeak.training.checkpoint import pack_optimiser, unpack_optimiser
from stillspeak.training.export import OPSET, install, store_in_half
from stillspeak.training.interrupts import held_interrupts
from stillspeak.training.memory import keep_memory
from stillspeak.training.run import RunFolder
from stillspeak.training.tensors import seeded
from stillspeak.training.trouble import all_numbers, not_finite
from stillspeak.training.warm_start import cosine

SPLITS = ("heldout", "validation", "test")
_TOLERANCE = 0.05  # of log-probabilities and embeddings: half-precision storage against PyTorch
Say = Callable[[str], None]


def make_judge(config: JudgeConfig, network: LipReader | SyncScorer, data: Path) -> Judge:
    """How a network learns from a prepared folder. Raises DataError if there are no training clips."""
    context = ContextConfig(rate_hz=RATE_HZ)

    @cache
    def clips(split: str) -> Clips:
        return Clips(data, split, context)

    kind = LipReading if isinstance(network, LipReader) else Syncing
    return kind(config.train, network, clips)  # type: ignore[arg-type]


@dataclass
class Progress:
    """How far a run is, and what it was trained on.

    Attributes:
        speakers: training clips of each.
        corpora: they are of.
        step: steps done.
        seconds: they took.
        figures: by split, from the last check.
        checked: the step of that check.
    """

    speakers: dict[str, int]
    corpora: list[str]
    step: int = 0
    seconds: float = 0.0
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    checked: int = 0


def restore(network: nn.Module, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Progress:
    """Fills a network from a checkpoint; returns how far it was. Raises RunError if it is of another network."""
    prefix = "network."
    try:
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        return Progress(**json.loads(metadata["progress"]))
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RunError("The checkpoint does not belong to the run's config.toml.") from error


class JudgeTrainer:
    """A judge's run in memory.

    Args:
        folder: the run's folder, already created.
        say: where plain lines go.

    Raises:
        RunError, DataError: if the run cannot start.
    """

    def __init__(self, folder: RunFolder, say: Say = print) -> None:
        self.folder, self.say = folder, say
        self.config, data = folder.judge_config()
        train = self.config.train
        if train.threads:
            torch.set_num_threads(train.threads)
        keep_memory()
        torch.manual_seed(train.seed)
        self.network = make_network(self.config.network)
        self.judge = make_judge(self.config, self.network, data)
        self.adam = torch.optim.AdamW(self.network.parameters(), train.learning_rate, weight_decay=train.weight_decay)
        records = self.judge.mouths.clips.records
        self.progress = Progress(
            speakers=dict(Counter(record.speaker for record in records)),
            corpora=sorted({record.corpus for record in records}),
        )
        saved = folder.load()
        if saved is not None:
            self.progress = restore(self.network, *saved)
            unpack_optimiser("optimiser.", self.adam, saved[0])

    def run(self) -> None:
        """Trains to the end. An interrupt lets the step finish, saves, and raises RunError."""
        train, saved_at = self.config.train, time.monotonic()
        with held_interrupts() as interrupted, ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(self._draw, self.progress.step)
            while self.progress.step < train.steps:
                started, batch = time.monotonic(), upcoming.result()
                upcoming = pool.submit(self._draw, self.progress.step + 1)
                scalars = self._learn(batch)
                self.progress.step += 1
                self.progress.seconds += time.monotonic() - started
                last = self.progress.step == train.steps
                if last or self.progress.step % train.log_every == 0:
                    self._log(scalars, time.monotonic() - started)
                due = last or self.progress.step % train.check_every == 0
                if due or interrupted() or time.monotonic() - saved_at > train.save_every_seconds:
                    self.save()
                    saved_at = time.monotonic()
                if due:
                    self._check()
                    self.save()
                if interrupted() and not last:
                    raise RunError(f"Stopped and saved; go on with: {self.folder.command('resume')}")
            if self.progress.checked != self.progress.step:  # it was ended during the last check
                self._check()
                self.save()
        self.say(f"done: {self.folder.command('export', '-o', f'{self.folder.path}/export')}")

    def save(self) -> None:
        """Writes the checkpoint. Raises RunError, and keeps the one before, if a weight is no number any more."""
        if not all_numbers(self.network.parameters()):
            raise RunError(
                f"Step {self.progress.step}: a weight is not a number; the last checkpoint is good. Lower the learning rate in "
                f"config.toml and: {self.folder.command('resume')}"
            )
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        progress = {"progress": json.dumps(asdict(self.progress))}
        self.folder.save(tensors | pack_optimiser("optimiser.", self.adam), progress)

    def _draw(self, step: int) -> Any:
        return self.judge.draw(np.random.default_rng([self.config.train.seed, step]))

    def _learn(self, batch: Any) -> dict[str, float]:
        train = self.config.train
        torch.manual_seed(seeded(train.seed, self.progress.step).initial_seed())  # dropout, so that a resume is exact
        self.network.train()
        self.adam.param_groups[0]["lr"] = train.learning_rate * cosine(self.progress.step, train.steps)
        scalars = self.judge.loss(batch, self.progress.step / train.steps)
        self.adam.zero_grad()
        scalars["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        values = {name: float(value.detach()) for name, value in {**scalars, "gradient": norm}.items()}
        if not_finite(values):
            raise RunError(
                f"Step {self.progress.step}: the loss is not a number; the last checkpoint is good. Lower the learning rate in "
                f"config.toml and: {self.folder.command('resume')}"
            )
        self.adam.step()
        return values

    def _log(self, values: dict[str, float], pace: float) -> None:
        rounded = {name: round(value, 5) for name, value in values.items()}
        self.folder.log({"step": self.progress.step, "seconds": round(self.progress.seconds, 1), **rounded})
        left = round(self.progress.seconds / self.progress.step * (self.config.train.steps - self.progress.step))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in rounded.items())
        self.say(
            f"{self.progress.step}/{self.config.train.steps}  {pace:.2f} s/step  eta {left // 60}:{left % 60:02}  {shown}"
        )

    def _check(self) -> None:
        self.network.eval()
        self.progress.figures, self.progress.checked = split_figures(self.judge), self.progress.step
        self.folder.log({"step": self.progress.step, **self.progress.figures})
        for split, figures in self.progress.figures.items():
            self.say(f"  {split}: " + "  ".join(f"{name} {value:.3g}" for name, value in figures.items()))


def split_figures(judge: Judge) -> dict[str, dict[str, float]]:
    """The judge's own figures on every split it was not trained on, as far as there are clips."""
    table = {}
    for split in SPLITS:
        try:
            figures = judge.figures(split)
        except DataError:
            continue
        if figures:
            table[split] = {name: round(value, 4) for name, value in figures.items()}
    return table


def train_judge(config: JudgeConfig, data: Path, run: Path, say: Say = print) -> None:
    """Starts a judge's run in the folder ``run``. Raises RunError or DataError with a sentence if it cannot."""
    folder = RunFolder(run)
    with contextlib.ExitStack() as held:
        folder.make()
        held.enter_context(folder.held())
        with folder.created(config, data):
            trainer = JudgeTrainer(folder, say)
            trainer.save()
        trainer.run()


def export_judge(run: str | Path, destination: str | Path) -> Path:
    """A judge's run -> ONNX graphs, ``model.json`` with its own accuracy, ``CARD.md``.

    Raises:
        RunError, ModelError: if nothing was trained, or the graphs do not give what PyTorch gives.
        OutputError: if the destination cannot be written.
    """
    run_folder = RunFolder(run)
    config, _ = run_folder.judge_config()
    saved = run_folder.load()
    network = make_network(config.network).eval()
    progress = restore(network, *saved) if saved is not None else None
    if progress is None or not progress.step:
        raise RunError(f"{run} has not been trained yet; train on: stillspeak resume {run}")
    with temporary_folder() as folder:
        for name, (module, entry, out, example) in graphs(network).items():
            _write_graph(module, entry, out, example, folder / f"{name}.onnx")
        description = {
            "format": FORMAT,
            "name": config.name,
            "words": list(GRID_WORDS) if isinstance(network, LipReader) else [],
            "accuracy": progress.figures,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", "utf-8")
        (folder / "CARD.md").write_text(_card(config, progress), "utf-8")
        _check_graphs(network, folder)
        return install(folder, Path(destination))


def _card(config: JudgeConfig, progress: Progress) -> str:
    hours = progress.seconds / 3600
    work = f"{progress.step} steps of {config.train.clips} clips, {hours:.2f} hours on the CPU"
    return judge_card(config.name, progress.corpora, progress.speakers, work, progress.figures)


def _write_graph(module: nn.Module, entry: str, out: str, example: torch.Tensor, path: Path) -> None:
    axis = 1 if example.shape[0] == 1 else 0  # time of a clip, or the number of windows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            copy.deepcopy(module).eval(), (example,), str(path), input_names=[entry], output_names=[out],
            dynamic_axes={entry: {axis: "count"}, out: {axis: "count"}}, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
    store_in_half(path)


@torch.no_grad()
def _check_graphs(network: LipReader | SyncScorer, folder: Path) -> None:
    model = JudgeModel(folder, tuple(graphs(network)))
    for name, (module, entry, _, example) in graphs(network).items():
        count = 9 if example.shape[0] == 1 else 3
        shape = (1, count, *example.shape[2:]) if example.shape[0] == 1 else (count, *example.shape[1:])
        value = torch.rand(shape, generator=seeded(7)) * 2 - 1
        worst = float(np.abs(model.run(name, {entry: value.numpy()}) - module(value).numpy()).max())
        if worst > _TOLERANCE:
            raise ModelError(f"The exported {name} graph differs from PyTorch by {worst:.3f}.")
