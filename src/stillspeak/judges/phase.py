"""Trains a judge, in one phase: a network, a lesson, AdamW."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stillspeak.judge_config import JudgeConfig
from stillspeak.judges.lessons import Lesson
from stillspeak.training.phase import Part, Phase, mean_scalars
from stillspeak.training.team import Share, Team
from stillspeak.training.tensors import seeded
from stillspeak.training.warm_start import cosine

_STEEPEST = 2.0  # norm of the gradient, beyond which it is shortened


class JudgePhase(Phase):
    """Teaches a judge its lesson.

    Args:
        config: the settings of the run.
        lesson: what the network learns.
        device: where the network lies.
        team: the processes that train together.
    """

    number = 1

    def __init__(self, config: JudgeConfig, lesson: Lesson, device: torch.device, team: Team) -> None:
        super().__init__(config.train, device, team)
        self.train, self.lesson, self.name = config.train, lesson, config.network.kind
        self.steps, self.batch = self.train.steps, (self.train.clips, "train.clips")
        self.parameters = [*lesson.network.parameters()]
        adam = torch.optim.AdamW(
            self.parameters, self.train.learning_rate, weight_decay=self.train.weight_decay, fused=True
        )
        self.networks, self.optimisers = {self.name: lesson.network}, {self.name: adam}

    def draw_part(self, step: int, share: Share) -> Part:
        """Draws the examples of this share. Each clip has a random generator of its own, so all shares together are one batch."""
        chosen = self.lesson.mouths.choose(self.train.clips, np.random.default_rng(self.seed(step)))
        randoms = [np.random.default_rng((*self.seed(step), place)) for place in range(self.train.clips)]
        return self.lesson.draw([*zip(chosen, randoms, strict=True)][share.of(self.train.clips)])

    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """Makes one update of the network; returns its scalars."""
        self.lesson.network.train()
        rows = []
        for part, share in zip(parts, self.team.shares(len(parts)), strict=True):
            torch.manual_seed(
                seeded(*self.seed(step), share.index).initial_seed()
            )  # dropout, so that a resume is exact
            with self.precision():
                outputs = self.lesson.outputs(part)
            rows.append(self.lesson.loss(outputs, part, step / self.steps))
            rows[-1]["loss"].backward()
        rate = self.train.learning_rate * cosine(step, self.steps)
        gradient = self.update(self.name, self.parameters, rate, _STEEPEST, len(parts))
        return {**mean_scalars(rows), "gradient": gradient}
