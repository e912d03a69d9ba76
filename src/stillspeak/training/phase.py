"""What the stages of a training have in common: a batch in parts, an update, mixed precision. Ours."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stillspeak.config import Config
from stillspeak.data.drawer import Drawer
from stillspeak.model.generator import Generator
from stillspeak.training.team import Share, Team

_KINDS = 3  # of stages
Part = tuple[Tensor, ...]  # one part of a batch; the last tensor is (clips, time, ...)


class Phase(ABC):
    """One stage of training at work: what a step needs, what it does.

    Attributes:
        kind: of its stage.
        number: the kind's own among the seeds.
        name: in metrics, samples and history: the kind, and from the second of a kind on a number behind it.
        repeat: how many stages of its kind come before it.
        steps: it takes.
        clips: a batch, over all processes.
        kept: parts of the generator that stay as they are.
        networks: beside the generator, to be saved.
        optimisers: to be saved.
        rate: factor on every learning rate; halved after not-a-number.
    """

    kind: str
    number: int

    def __init__(self, config: Config, generator: Generator, drawer: Drawer, team: Team) -> None:
        self.config, self.generator, self.drawer, self.team = config, generator, drawer, team
        self.name, self.repeat = self.kind, 0
        self.kept: list[nn.Module] = []
        self.device = next(generator.parameters()).device
        self.in_bfloat16 = chosen_bfloat16(config.train.precision, self.device)
        self.steps, self.clips, self.rate = 0, 0, 1.0
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def draw_part(self, step: int, share: Share) -> Part:
        """One part of a step's batch, on the CPU: a pure function of the seed, the step and the share."""

    @abstractmethod
    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """One update from all parts of this process; returns its scalars."""

    def draw(self, step: int) -> list[Part]:
        """This process's parts of a step's batch."""
        return [self.draw_part(step, share) for share in self.team.shares(self.config.train.accumulate)]

    def require_shares(self) -> None:
        """Raises RunError if the batch cannot be shared among processes and parts."""
        if self.steps:
            self.team.shares(self.config.train.accumulate)[0].of(self.clips, f"{self.name}.clips")

    def seed(self, step: int) -> tuple[int, int, int]:
        """Of everything random in a step."""
        return self.config.train.seed, self.number + _KINDS * self.repeat, step

    def hold(self) -> None:
        """Keeps what is not to learn as it is."""
        for network in self.kept:
            network.eval().requires_grad_(False)

    def precision(self) -> Any:
        """Convolutions and products of matrices in bfloat16, if that was chosen; weights and losses stay in full precision."""
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
    """Whether to multiply in bfloat16. ``auto``: on a GPU, and on a CPU with matrix units for it (AMX); others are slower."""
    if precision != "auto" or device.type == "cuda":
        return precision != "fp32"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # older PyTorch has none and stays in full precision
    return bool(capabilities.get("amx_bf16"))


def mean_scalars(rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean over parts of each scalar."""
    return {name: torch.stack([row[name].detach() for row in rows]).mean() for name in rows[0]}
