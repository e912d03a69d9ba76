"""The teacher of the sound phase: which phoneme is said when -> the mouth's shape, before and after being heard. Ours.

Phonemes have no voice and no room: what it learns from few people's clips it can say of any voice. Not part of the generator.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillspeak.config import TeacherConfig


class Teacher(nn.Module):
    """Shares of phonemes in each frame -> mouth code, through a GRU in both directions of time."""

    def __init__(self, config: TeacherConfig, phonemes: int) -> None:
        super().__init__()
        self.first = nn.Linear(phonemes, config.inputs)
        self.memory = nn.GRU(
            config.inputs, config.hidden, config.layers, batch_first=True, bidirectional=True, dropout=config.dropout
        )
        self.last = nn.Linear(2 * config.hidden, config.code)

    def forward(self, said: Float[Tensor, "clips time phonemes"]) -> Float[Tensor, "clips time code"]:
        return self.last(self.memory(torch.tanh(self.first(said)))[0])
