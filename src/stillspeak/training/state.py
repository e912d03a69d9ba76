"""Holds a run in memory, and packs it into a checkpoint. ``build.py`` makes it, and ``loop.py`` moves it on. Ours."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stillspeak.config import Config
from stillspeak.data.mouth_code import MouthCode
from stillspeak.model.generator import Generator
from stillspeak.training.checkpoint import pack, unpack
from stillspeak.training.phase import Phase
from stillspeak.training.trouble import all_numbers
from stillspeak.training.weights import Stage, describe_generator

_PROGRESS = ("phase_index", "step", "updates", "frames_seen", "seconds", "backed_off")  # kept in a checkpoint


@dataclass
class State:
    """Holds the networks of a run, where they come from, and how far they are.

    Attributes:
        config: the config of the run.
        generator: the generator in training.
        average: its running average.
        phases: the phases of the run in order, each with its discriminators and optimisers.
        code: the mouth code that the generator was taught with.
        history: every stage of training that the generator went through.
        run: the name of the run's folder, in the history.
        data: the corpora and speakers that it learns from, in the history.
        phase_index: the number of the current phase; past the last there is none.
        step: how many steps of that phase were taken.
        updates: how often the running average was updated, over all phases.
        frames_seen: how many frames the generator has drawn, over all phases and processes.
        seconds: the time spent in steps.
        backed_off: how often the learning rates were halved after a value that was no number.
    """

    config: Config
    generator: Generator
    average: Generator
    phases: list[Phase]
    code: MouthCode
    history: list[Stage]
    run: str
    data: dict[str, Any]
    phase_index: int = 0
    step: int = 0
    updates: int = 0
    frames_seen: int = 0
    seconds: float = 0.0
    backed_off: int = 0

    @property
    def done(self) -> dict[str, float]:
        """Returns how far the run is, for a line of metrics."""
        return {"frames": self.frames_seen, "seconds": round(self.seconds, 1)}

    @property
    def finite(self) -> bool:
        """Returns whether all weights are numbers; the losses would show a broken weight only a step later."""
        networks = [self.generator, *(network for phase in self.phases for network in phase.networks.values())]
        return all_numbers(weight for network in networks for weight in network.parameters())

    def packed(self, patience: Any) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Returns the tensors and the metadata of a checkpoint; ``patience`` is the state of the watch."""
        tensors = pack(self.generator, self.average, self.phases, self.phase_index)
        tensors["mouth_code.basis"] = torch.from_numpy(self.code.basis)
        progress = {key: getattr(self, key) for key in _PROGRESS} | {"patience": patience}
        return tensors, {"progress": json.dumps(progress), **describe_generator(self.config, self.code, self.history)}

    def restore(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> Any:
        """Takes over what ``packed`` gave, except for code and history; returns the patience.

        Raises:
            RuntimeError, KeyError, ValueError, TypeError, AttributeError: if the checkpoint belongs to another config.
        """
        progress = json.loads(metadata["progress"])
        patience = progress.pop("patience", None)
        progress = {"backed_off": 0, "updates": progress["step"], **progress}  # older checkpoints lack these two
        for key in _PROGRESS:
            if not isinstance(progress[key], int | float):
                raise TypeError(key)
            setattr(self, key, progress[key])
        unpack(tensors, self.generator, self.average, self.phases, self.phase_index)
        return patience

    def count(self, phase: Phase, frames: int, seconds: float) -> None:
        """Counts a step's frames and seconds, in all and in the history."""
        self.frames_seen += frames
        self.seconds += seconds
        stage = self._stage(phase)
        stage["steps"], stage["frames"] = self.step, stage["frames"] + frames
        stage["hours"] += seconds / 3600

    def update_average(self) -> None:
        """Adds the newest weights to the running average, which goes on through all phases of a run."""
        decay = min(self.config.train.ema, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True))
        with torch.no_grad():
            kept, new = zip(*(pair for pair in pairs if pair[0].dtype.is_floating_point), strict=True)
            get_ema_multi_avg_fn(decay)(kept, new, self.updates)
            for count, other in pairs:
                if not count.dtype.is_floating_point:
                    count.copy_(other)
        self.updates += 1

    def average_here(self) -> Generator:
        """Returns the running average on the CPU, where the monitor draws."""
        on_cpu = next(self.average.parameters()).device.type == "cpu"
        return self.average if on_cpu else copy.deepcopy(self.average).cpu()

    def _stage(self, phase: Phase) -> Stage:
        """Returns this run's entry of a phase in the history."""
        for stage in self.history:
            if (stage["run"], stage["phase"]) == (self.run, phase.name):
                return stage
        on_gpu = phase.device.type == "cuda"
        hardware = torch.cuda.get_device_name() if on_gpu else f"{torch.get_num_threads()} CPU threads"
        hardware += ", bfloat16" if phase.in_bfloat16 else ""
        stage = {"run": self.run, "phase": phase.name, "steps": 0, "frames": 0, "hours": 0.0, "hardware": hardware}
        self.history.append(stage | self.data)
        return self.history[-1]
