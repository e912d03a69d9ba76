"""A shipped judge (lip reader, sync scorer) in ONNX Runtime. No PyTorch here."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import ModelError
from stillspeak.runtime.engine import DESCRIPTION, find_model
from stillspeak.runtime.graph import Graph


class JudgeModel:
    """The graphs of a judge.

    Args:
        model: a shipped judge's name or an exported folder.
        graphs: the names of its graphs, each ``NAME.onnx`` with one output.
        threads: of the CPU; clips are judged in parallel, so one is enough.

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
        """Its own figures on real clips that it was not trained on."""
        return dict(self.description.get("accuracy", {}))

    def run(self, graph: str, inputs: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The one output of a graph."""
        return self._graphs[graph].run(None, inputs)[0]
