"""Holds the lip reader's network, which turns mouths into log-probabilities of words. Ours, after LipNet (Assael et al. 2016).

It has spatio-temporal convolutions, two bidirectional GRUs, and one output a frame for CTC (Graves et al. 2006). Class 0 is
CTC's blank.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillspeak.judge_config import LipReaderConfig
from stillspeak.media.mouths import MOUTH_PX


class LipReader(nn.Module):
    """Reads words off grey mouths of 48 x 48 pixels.

    Args:
        config: the sizes of the layers.
        words: how many words there are to tell apart.
    """

    def __init__(self, config: LipReaderConfig, words: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (inputs, outputs) in enumerate(pairwise([1, *config.channels])):
            first = index == 0
            kernel, stride, padding = ((3, 5, 5), (1, 2, 2), (1, 2, 2)) if first else (3, 1, 1)
            layers += [
                nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False),
                nn.BatchNorm3d(outputs),
                nn.ReLU(inplace=True),
                nn.MaxPool3d((1, 2, 2)),
            ]
        self.convolutions = nn.Sequential(*layers)
        side = MOUTH_PX >> (len(config.channels) + 1)
        features = config.channels[-1] * side * side
        self.dropout = nn.Dropout(config.dropout)
        self.memory = nn.GRU(features, config.hidden, batch_first=True, bidirectional=True)
        self.memory2 = nn.GRU(2 * config.hidden, config.hidden, batch_first=True, bidirectional=True)
        self.last = nn.Linear(2 * config.hidden, words + 1)

    def forward(self, mouths: Float[Tensor, "clips time 48 48"]) -> Float[Tensor, "clips time classes"]:
        """Returns the log-probabilities of the blank and of every word in each frame; ``mouths`` lie in [-1, 1]."""
        features = self.convolutions(mouths[:, None])  # clips, channels, time, 3, 3
        features = features.transpose(1, 2).flatten(2)
        heard, _ = self.memory(self.dropout(features))
        heard, _ = self.memory2(self.dropout(heard))
        return torch.log_softmax(self.last(self.dropout(heard)).float(), dim=-1)
