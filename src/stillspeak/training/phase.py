"""Holds what the phases of a training have in common: a batch in parts, an update, mixed precision. Ours."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stillspeak.config import Config, TrainConfig
from stillspeak.data.drawer import Drawer
from stillspeak.judge_config import JudgeTrainConfig
from stillspeak.model.generator import Generator
from stillspeak.training.team import Share, Team

_KINDS = 3  # of a generator's stages
Part = tuple[Tensor, ...]  # one part of a batch; unless frames_of says otherwise, the last tensor is (clips, time, ...)


class Phase(ABC):
    """Describes one phase of a training: how many steps it takes, what a step needs, and what a step does.

    Args:
        settings: the settings of the training.
        device: where the networks lie.
        team: the processes that train together.

    Attributes:
        name: the name in metrics, samples and history.
        number: tells the seeds of the phases apart.
        steps: how many steps the phase takes.
        batch: how many clips a batch has over all processes, and the field that says so.
        networks: the networks that a checkpoint keeps for the phase, by name; the generator is kept apart.
        optimisers: the optimisers that a checkpoint keeps, by name.
        rate: a factor on every learning rate; it is halved after a value that was not a number.
    """

    name: str
    number: int

    def __init__(self, settings: TrainConfig | JudgeTrainConfig, device: torch.device, team: Team) -> None:
        self.settings, self.device, self.team = settings, device, team
        self.in_bfloat16 = chosen_bfloat16(settings.precision, device)
        self.steps, self.rate = 0, 1.0
        self.batch: tuple[int, str] = (0, "")
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def draw_part(self, step: int, share: Share) -> Part:
        """Draws one part of a step's batch, on the CPU, as a pure function of the seed, the step and the share."""

    @abstractmethod
    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """Makes one update from all parts of this process; returns its scalars."""

    def draw(self, step: int) -> list[Part]:
        """Draws this process's parts of a step's batch."""
        return [self.draw_part(step, share) for share in self.team.shares(self.settings.accumulate)]

    def frames_of(self, part: Part) -> int:
        """Returns how many frames a part of a batch has, over all its clips."""
        return part[-1].shape[0] * part[-1].shape[1]

    def begin(self) -> None:
        """Prepares the networks for the first step, or for the first one after a resume."""
        for network in self.networks.values():
            network.train()

    def require_shares(self) -> None:
        """Raises RunError if the batch cannot be shared among processes and parts."""
        if self.steps:
            self.team.shares(self.settings.accumulate)[0].of(*self.batch)

    def seed(self, step: int) -> tuple[int, int, int]:
        """Returns the seed of everything random in a step."""
        return self.settings.seed, self.number, step

    def precision(self) -> Any:
        """Computes convolutions and matrix products in bfloat16, if chosen; weights and losses stay in full precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.in_bfloat16)

    def update(self, name: str, parameters: list[nn.Parameter], rate: float, limit: float, parts: int) -> Tensor:
        """Applies the gradients that ``parts`` backward passes summed up; returns their norm before ``limit``."""
        self.team.average_gradients(parameters, parts)
        norm = nn.utils.clip_grad_norm_(parameters, limit)
        optimiser = self.optimisers[name]
        optimiser.param_groups[0]["lr"] = rate * self.rate
        optimiser.step()
        optimiser.zero_grad()
        return norm


class GeneratorPhase(Phase):
    """Trains a generator in one stage.

    Attributes:
        kind: the kind of the stage.
        repeat: how many stages of its kind come before it.
        keep: how much of what it learns is kept after its last step, from 0 to 1.
        learning: the parts of the generator that learn in it; the others stay as they are.

    Args:
        config: the settings of the run.
        generator: the generator in training.
        drawer: draws its batches.
        team: the processes that train together.
    """

    kind: str

    def __init__(self, config: Config, generator: Generator, drawer: Drawer, team: Team) -> None:
        super().__init__(config.train, next(generator.parameters()).device, team)
        self.config, self.generator, self.drawer = config, generator, drawer
        self.name, self.repeat = self.kind, 0
        self.keep = 1.0
        self.learning: Sequence[nn.Module] = []

    def seed(self, step: int) -> tuple[int, int, int]:
        """Returns the seed of everything random in a step."""
        return self.settings.seed, self.number + _KINDS * self.repeat, step

    def begin(self) -> None:
        """Lets the parts that learn change, and keeps the others as they are."""
        super().begin()
        for network in self.generator.children():
            learns = network in self.learning
            network.train(learns).requires_grad_(learns)

    @property
    def parts(self) -> tuple[str, ...]:
        """Returns what the names of the weights that learn begin with."""
        return tuple(f"{name}." for name, network in self.generator.named_children() if network in self.learning)


def chosen_bfloat16(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    """Returns whether to multiply in bfloat16. ``auto`` says yes on GPUs and on CPUs with units for it (AMX)."""
    if precision != "auto" or device.type == "cuda":
        return precision != "fp32"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch has none and stays in full precision
    return bool(capabilities.get("amx_bf16"))


def mean_scalars(rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the mean of each scalar over parts."""
    return {name: torch.stack([row[name].detach() for row in rows]).mean() for name in rows[0]}
