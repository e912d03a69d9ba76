"""Runs a shipped judge (the lip reader or the sync scorer) in ONNX Runtime. This needs no PyTorch."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import ModelError
from stillspeak.runtime.engine import DESCRIPTION, find_model
from stillspeak.runtime.graph import Graph


class JudgeModel:
    """Loads the graphs of a judge and runs them.

    Args:
        model: a shipped judge's name or an exported folder.
        graphs: the names of its graphs; each lies in ``NAME.onnx`` and has one output.
        threads: how many CPU threads share a run; one is enough, because several processes judge clips at once.

    Raises:
        ModelError: if the folder is no such judge.
    """

    def __init__(self, model: str | Path, graphs: tuple[str, ...], threads: int = 1) -> None:
        folder = find_model(model)
        try:
            self.description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            self._graphs = {name: Graph(folder / f"{name}.onnx", threads) for name in graphs}
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} is not a judge with {' and '.join(graphs)}: {error}") from error

    @property
    def accuracy(self) -> dict[str, float]:
        """Returns the judge's own figures on real clips that it was not trained on."""
        return dict(self.description.get("accuracy", {}))

    def run(self, graph: str, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Runs a graph, and returns its one output."""
        return self._graphs[graph].run(None, inputs)[0]
