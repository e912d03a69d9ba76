"""Turns a judge's run into the folder that ``evaluate`` uses: ONNX graphs, ``model.json`` and ``CARD.md``."""

import copy
import json
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from stillspeak.errors import ModelError, RunError
from stillspeak.evaluation.words import GRID_WORDS
from stillspeak.judge_config import JudgeConfig
from stillspeak.judges.build import Figures, make_network
from stillspeak.judges.lipreader import LipReader
from stillspeak.judges.sync import SyncScorer
from stillspeak.media.mouths import MOUTH_PX, WINDOW_FRAMES
from stillspeak.media.spectrum import BANDS, WINDOW_STEPS
from stillspeak.runtime.engine import DESCRIPTION, FORMAT
from stillspeak.runtime.judge import JudgeModel
from stillspeak.temporary import temporary_folder
from stillspeak.training.card import listed_corpora, listed_speakers
from stillspeak.training.checkpoint import without_prefix
from stillspeak.training.export import OPSET, install, store_in_half
from stillspeak.training.run import RunFolder
from stillspeak.training.tensors import seeded
from stillspeak.training.weights import Stage

_TOLERANCE = 0.05  # of log-probabilities and embeddings: half-precision storage against PyTorch
Graphs = dict[str, tuple[nn.Module, str, str, Tensor]]  # name: module, input, output, an example input


class TrainedJudge(NamedTuple):
    """Holds what the training of a judge leaves behind.

    Attributes:
        config: the settings of the run.
        network: the network as the last step left it.
        history: the stages of its training.
        figures: what it can do on clips that it never learnt from, by split.
    """

    config: JudgeConfig
    network: LipReader | SyncScorer
    history: list[Stage]
    figures: Figures


def read_judge(run: Path) -> TrainedJudge:
    """Reads a judge from its run. Raises RunError if nothing was trained, or the checkpoint is of another network."""
    folder = RunFolder(run)
    config, _ = folder.judge_config()
    saved, network = folder.load(), make_network(config.network).eval()
    if saved is None:
        raise _untrained(run)
    tensors, metadata = saved
    try:
        network.load_state_dict(without_prefix(f"network.{config.network.kind}.", tensors))
        history, figures = json.loads(metadata["history"]), json.loads(metadata["figures"])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"The checkpoint of {run} does not belong to its config.toml.") from error
    if not history:
        raise _untrained(run)
    return TrainedJudge(config, network, history, figures)


def export_judge(run: str | Path, destination: str | Path) -> Path:
    """Exports a judge's run as ONNX graphs, ``model.json`` with its own accuracy, and ``CARD.md``.

    Args:
        run: the folder of the run.
        destination: the folder for the judge.

    Returns:
        The destination.

    Raises:
        RunError, ModelError: if nothing was trained, or the graphs do not give what PyTorch gives.
        OutputError: if the destination cannot be written.
    """
    judge = read_judge(Path(run))
    with temporary_folder() as folder:
        for name, (module, entry, out, example) in graphs(judge.network).items():
            _write_graph(module, entry, out, example, folder / f"{name}.onnx")
        description = {
            "format": FORMAT,
            "name": judge.config.name,
            "words": list(GRID_WORDS) if isinstance(judge.network, LipReader) else [],
            "accuracy": judge.figures,
        }
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", "utf-8")
        (folder / "CARD.md").write_text(judge_card(judge), "utf-8")
        _check_graphs(judge.network, folder)
        return install(folder, Path(destination))


def graphs(network: LipReader | SyncScorer) -> Graphs:
    """Returns the parts of a network that are exported."""
    if isinstance(network, LipReader):
        return {"reader": (network, "mouths", "words", torch.zeros(1, 75, MOUTH_PX, MOUTH_PX))}
    return {
        "mouth": (network.mouth, "mouths", "embedding", torch.zeros(2, WINDOW_FRAMES, MOUTH_PX, MOUTH_PX)),
        "sound": (network.sound, "spectrum", "embedding", torch.zeros(2, BANDS, WINDOW_STEPS)),
    }


def judge_card(judge: TrainedJudge) -> str:
    """Writes the card of a judge, in Markdown."""
    name, last = judge.config.name, judge.history[-1]
    hours = sum(stage["hours"] for stage in judge.history)
    work = f"{last['steps']} steps of {judge.config.train.clips} clips, {hours:.2f} hours on {last['hardware']}"
    lines = [f"# {name}", "", f"A judge of stillspeak, preset `{name}`: used by `stillspeak evaluate`.", ""]
    lines += ["## Data", "", *listed_corpora(last["corpora"])]
    lines += ["", f"Speakers and clips trained on: {listed_speakers(last['speakers'])}."]
    lines += ["", "## Training", "", f"{work}.", "", "## Figures on real clips it was not trained on", ""]
    for split, values in judge.figures.items():
        lines.append(f"- {split}: " + ", ".join(f"{figure} {value:.4g}" for figure, value in values.items()))
    return "\n".join(lines) + "\n"


def _untrained(run: Path) -> RunError:
    return RunError(f"{run} has not been trained yet; train on: stillspeak resume {run}")


def _write_graph(module: nn.Module, entry: str, out: str, example: Tensor, path: Path) -> None:
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
    """Raises ModelError if the graphs do not give what PyTorch gives."""
    model = JudgeModel(folder, tuple(graphs(network)))
    for name, (module, entry, _, example) in graphs(network).items():
        count = 9 if example.shape[0] == 1 else 3
        shape = (1, count, *example.shape[2:]) if example.shape[0] == 1 else (count, *example.shape[1:])
        value = torch.rand(shape, generator=seeded(7)) * 2 - 1
        worst = float(np.abs(model.run(name, {entry: value.numpy()}) - module(value).numpy()).max())
        if worst > _TOLERANCE:
            raise ModelError(f"The exported {name} graph differs from PyTorch by {worst:.3f}.")
