"""Holds a run in memory, and says what a checkpoint keeps of it, whatever it trains. ``loop.py`` moves it on. Ours."""

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stillspeak.training.checkpoint import pack, unpack
from stillspeak.training.phase import Phase
from stillspeak.training.trouble import all_numbers
from stillspeak.training.weights import Stage

_PROGRESS = ("phase_index", "step", "updates", "frames_seen", "seconds", "backed_off")  # kept in a checkpoint


@dataclass
class State(ABC):
    """Holds the phases of a run, where its networks come from, and how far they are.

    Attributes:
        phases: what the run trains, in order, each with its networks and optimisers.
        history: every stage of training that the networks went through.
        run: the name of the run's folder, in the history.
        data: corpora and speakers that the networks learn from, in the history.
        phase_index: the number of the phase in hand, from 0; after the last phase, the number of phases.
        step: how many steps of that phase are done.
        updates: how many steps are done, over all phases.
        frames_seen: how many frames the networks saw, over all phases and processes.
        seconds: how long the steps took.
        backed_off: how often the learning rates were halved after a value that was not a number.
    """

    phases: list[Phase]
    history: list[Stage]
    run: str
    data: dict[str, Any]
    phase_index: int = field(default=0, kw_only=True)
    step: int = field(default=0, kw_only=True)
    updates: int = field(default=0, kw_only=True)
    frames_seen: int = field(default=0, kw_only=True)
    seconds: float = field(default=0.0, kw_only=True)
    backed_off: int = field(default=0, kw_only=True)

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Returns the tensors of a checkpoint, except for the phases' networks and optimisers."""

    @abstractmethod
    def description(self) -> dict[str, str]:
        """Returns the metadata of a checkpoint, except for the progress."""

    @abstractmethod
    def load(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Takes over what ``tensors`` and ``description`` gave. It raises the errors that ``restore`` names."""

    @property
    def networks(self) -> list[nn.Module]:
        """Returns every network that the run trains."""
        return [network for phase in self.phases for network in phase.networks.values()]

    @property
    def done(self) -> dict[str, float]:
        """Returns how far the run is, for a line of metrics."""
        return {"frames": self.frames_seen, "seconds": round(self.seconds, 1)}

    @property
    def finite(self) -> bool:
        """Returns whether all weights are numbers. The losses show what a step did to them one step later at the earliest."""
        return all_numbers(weight for network in self.networks for weight in network.parameters())

    def progress(self) -> dict[str, Any]:
        """Returns how far the run is, for a checkpoint."""
        return {key: getattr(self, key) for key in _PROGRESS}

    def packed(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Returns the tensors and the metadata of a checkpoint."""
        tensors = self.tensors() | pack(self.phases, self.phase_index)
        return tensors, {"progress": json.dumps(self.progress()), **self.description()}

    def restore(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Takes over what ``packed`` gave.

        Raises:
            RuntimeError, KeyError, ValueError, TypeError, AttributeError: if the checkpoint belongs to another config.
        """
        progress = json.loads(metadata["progress"])
        progress = {"backed_off": 0, "updates": progress["step"], **progress}  # older checkpoints lack these two
        for key in _PROGRESS:
            if not isinstance(progress[key], int | float):
                raise TypeError(key)
            setattr(self, key, progress[key])
        self.load(tensors, metadata)
        unpack(tensors, self.phases, self.phase_index)

    def is_over(self, phase: Phase) -> bool:
        """Returns whether a phase has nothing more to gain, and takes no step any more."""
        return False

    def step_done(self) -> None:
        """Counts the step that was just taken."""
        self.step += 1
        self.updates += 1

    def count(self, phase: Phase, frames: int, seconds: float) -> None:
        """Counts a step's frames and seconds, in all and in the history."""
        self.frames_seen += frames
        self.seconds += seconds
        stage = self._stage(phase)
        stage["steps"], stage["frames"] = self.step, stage["frames"] + frames
        stage["hours"] += seconds / 3600

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
