"""Holds a generator's run in memory: the generator, its running average, its mouth code, and where a stage began. Ours."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stillspeak.config import Config
from stillspeak.data.mouth_code import MouthCode
from stillspeak.model.generator import Generator
from stillspeak.training.checkpoint import prefixed, without_prefix
from stillspeak.training.patience import Patience
from stillspeak.training.phase import Phase
from stillspeak.training.state import State
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.weights import describe_generator

_GENERATOR, _AVERAGE, _BEFORE = "generator.", "average.", "before."  # beginnings of names in a checkpoint
_AVERAGED = 0.999  # share of the running average that stays: it reaches over about 1,000 steps


@dataclass
class GeneratorState(State):
    """Holds the state of a run that trains a generator.

    Attributes:
        config: the settings of the run.
        generator: the generator in training.
        average: its running average.
        code: the mouth code that the generator was taught with.
        before: what the weights were, of the generator and of its average, when a stage began that keeps only a part of what it
            learns; else nothing.
    """

    config: Config
    generator: Generator
    average: Generator
    code: MouthCode
    before: dict[str, Tensor] = field(default_factory=dict, kw_only=True)

    @property
    def patience(self) -> Patience | None:
        """Returns how long validation has not gained, in the phase in hand, if that is adversarial."""
        phase = self.phases[self.phase_index] if self.phase_index < len(self.phases) else None
        return phase.patience if isinstance(phase, AdversarialPhase) else None

    @property
    def networks(self) -> list[nn.Module]:
        """Returns the generator, and every discriminator."""
        return [self.generator, *super().networks]

    def tensors(self) -> dict[str, Tensor]:
        """Returns the generator, its running average, its mouth code, and what the weights were when the stage began."""
        tensors = self.weights() | {f"{_BEFORE}{name}": tensor for name, tensor in self.before.items()}
        return tensors | {"mouth_code.basis": torch.from_numpy(self.code.basis)}

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights of the generator and of its running average."""
        return prefixed(_GENERATOR, self.generator) | prefixed(_AVERAGE, self.average)

    def description(self) -> dict[str, str]:
        """Returns what ``read_generator`` wants beside the tensors."""
        return describe_generator(self.config, self.code, self.history)

    def progress(self) -> dict[str, Any]:
        """Returns how far the run is, and how long validation has not gained."""
        return super().progress() | {"patience": self.patience.state() if self.patience else None}

    def load(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Takes over the weights and the patience; mouth code and history were read when the run was built."""
        self.generator.load_state_dict(without_prefix(_GENERATOR, tensors))
        self.average.load_state_dict(without_prefix(_AVERAGE, tensors))
        device = next(self.generator.parameters()).device
        self.before = {name: tensor.to(device) for name, tensor in without_prefix(_BEFORE, tensors).items()}
        if self.patience:
            self.patience.restore(json.loads(metadata["progress"]).get("patience"))

    def is_over(self, phase: Phase) -> bool:
        """Returns whether patience has ended the adversarial phase."""
        return isinstance(phase, AdversarialPhase) and phase.patience.over

    def step_done(self) -> None:
        """Adds the newest weights to the running average, and counts the step."""
        self._update_average()
        super().step_done()

    def average_here(self) -> Generator:
        """Returns the running average on the CPU, where the monitor draws."""
        on_cpu = next(self.average.parameters()).device.type == "cpu"
        return self.average if on_cpu else copy.deepcopy(self.average).cpu()

    def _update_average(self) -> None:
        """Adds the newest weights to the running average, which goes on through all phases of a run."""
        decay = min(_AVERAGED, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True))
        with torch.no_grad():
            kept, new = zip(*(pair for pair in pairs if pair[0].dtype.is_floating_point), strict=True)
            get_ema_multi_avg_fn(decay)(kept, new, self.updates)
            for count, other in pairs:
                if not count.dtype.is_floating_point:
                    count.copy_(other)
