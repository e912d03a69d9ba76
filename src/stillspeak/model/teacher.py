"""Defines the phoneme-to-viseme model, the teacher of the sound phase: it predicts the mouth's shape from phonemes. Ours.

Phonemes have no voice and no room, so what it learns from a few people's clips holds for any voice. The generator lacks it.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillspeak.judge_config import TeacherConfig


class Teacher(nn.Module):
    """Turns the shares of phonemes in each frame into mouth codes, through a GRU in both directions of time."""

    def __init__(self, config: TeacherConfig, phonemes: int) -> None:
        super().__init__()
        self.first = nn.Linear(phonemes, config.inputs)
        self.memory = nn.GRU(
            config.inputs, config.hidden, config.layers, batch_first=True, bidirectional=True, dropout=config.dropout
        )
        self.last = nn.Linear(2 * config.hidden, config.code)

    def forward(self, said: Float[Tensor, "clips time phonemes"]) -> Float[Tensor, "clips time code"]:
        return self.last(self.memory(torch.tanh(self.first(said)))[0])
