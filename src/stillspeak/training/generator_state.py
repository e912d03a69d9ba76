"""Holds a generator's run in memory: the generator, its running average, its mouth code, and the patience with it. Ours."""

import copy
import json
from dataclasses import dataclass
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

_AVERAGED = 0.999  # share of the running average that stays: it reaches over about 1,000 steps


@dataclass
class GeneratorState(State):
    """Holds the state of a run that trains a generator.

    Attributes:
        config: the settings of the run.
        generator: the generator in training.
        average: its running average.
        code: the mouth code that the generator was taught with.
        patience: how long validation has not gained.
    """

    config: Config
    generator: Generator
    average: Generator
    code: MouthCode
    patience: Patience

    @property
    def networks(self) -> list[nn.Module]:
        """Returns the generator, and every discriminator."""
        return [self.generator, *super().networks]

    def tensors(self) -> dict[str, Tensor]:
        """Returns the generator, its running average and its mouth code."""
        tensors = prefixed("generator.", self.generator) | prefixed("average.", self.average)
        return tensors | {"mouth_code.basis": torch.from_numpy(self.code.basis)}

    def description(self) -> dict[str, str]:
        """Returns what ``read_generator`` wants beside the tensors."""
        return describe_generator(self.config, self.code, self.history)

    def progress(self) -> dict[str, Any]:
        """Returns how far the run is, and how long validation has not gained."""
        return super().progress() | {"patience": self.patience.state()}

    def load(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Takes over the weights and the patience; mouth code and history were read when the run was built."""
        self.generator.load_state_dict(without_prefix("generator.", tensors))
        self.average.load_state_dict(without_prefix("average.", tensors))
        self.patience.restore(json.loads(metadata["progress"]).get("patience"))

    def is_over(self, phase: Phase) -> bool:
        """Returns whether patience has ended the adversarial phase."""
        return isinstance(phase, AdversarialPhase) and self.patience.over

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
