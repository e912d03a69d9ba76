"""Holds what the phases of a training share: a batch in parts, an update, mixed precision. Ours."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stillspeak.config import Config
from stillspeak.data.drawer import Drawer
from stillspeak.model.generator import Generator
from stillspeak.training.team import Share, Team

Part = tuple[Tensor, ...]  # the tensors of one part of a batch; the last is (clips, time, ...)


class Phase(ABC):
    """Describes one phase of training: how many steps it takes, what a step needs, and what it does.

    Attributes:
        name: the name in metrics, samples and history.
        number: the phase's own number among the seeds.
        steps: how many steps it takes.
        batch: how many clips a step has over all processes, and the name of the setting.
        networks: the networks beside the generator that a checkpoint keeps.
        optimisers: the optimisers that a checkpoint keeps.
        rate: the factor on every learning rate; it is halved after not-a-number.
    """

    name: str
    number: int

    def __init__(self, config: Config, generator: Generator, drawer: Drawer, team: Team) -> None:
        self.config, self.generator, self.drawer, self.team = config, generator, drawer, team
        self.device = next(generator.parameters()).device
        self.in_bfloat16 = chosen_bfloat16(config.train.precision, self.device)
        self.steps, self.rate = 0, 1.0
        self.batch = (0, "")
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
        return [self.draw_part(step, share) for share in self.team.shares(self.config.train.accumulate)]

    def require_shares(self) -> None:
        """Raises RunError if the batch cannot be shared among processes and parts."""
        if self.steps:
            self.team.shares(self.config.train.accumulate)[0].of(*self.batch)

    def seed(self, step: int) -> tuple[int, int, int]:
        """Returns the seed of everything random in a step."""
        return self.config.train.seed, self.number, step

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


def chosen_bfloat16(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    """Returns whether to multiply in bfloat16. ``auto`` says yes on GPUs and on CPUs with units for it (AMX)."""
    if precision != "auto" or device.type == "cuda":
        return precision != "fp32"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch has none and stays in full precision
    return bool(capabilities.get("amx_bf16"))


def mean_scalars(rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the mean of each scalar over parts."""
    return {name: torch.stack([row[name].detach() for row in rows]).mean() for name in rows[0]}
