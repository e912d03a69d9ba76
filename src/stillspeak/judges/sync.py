"""Holds the network of the sync scorer, which embeds a mouth and a sound close to each other where both belong together.

Ours, after SyncNet (Chung and Zisserman 2016). It compares 5 frames of a mouth with the same 0.2 s of sound, and learns from the
cross-entropy of the true pair among all pairs of a clip (van den Oord et al. 2018).
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.judge_config import SyncConfig
from stillspeak.media.mouths import MOUTH_PX, WINDOW_FRAMES
from stillspeak.media.spectrum import BANDS, WINDOW_STEPS


class MouthEncoder(nn.Module):
    """Embeds 5 frames of a grey mouth as a unit vector."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([WINDOW_FRAMES, *config.channels]):
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        self.convolutions = nn.Sequential(*layers)
        side = MOUTH_PX >> len(config.channels)
        self.last = nn.Linear(config.channels[-1] * side * side, config.size)

    def forward(self, mouths: Float[Tensor, "n 5 48 48"]) -> Float[Tensor, "n size"]:
        return functional.normalize(self.last(self.convolutions(mouths).flatten(1)).float(), dim=1)


class SoundEncoder(nn.Module):
    """Embeds 0.2 s of a log-mel spectrum as a unit vector."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        width = config.sound_channels
        layers: list[nn.Module] = []
        for inputs, stride in ((BANDS, 1), (width, 2), (width, 1), (width, 2)):
            kernel = 3 if stride == 1 else 4
            layers += [
                nn.Conv1d(inputs, width, kernel, stride, padding=1, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(inplace=True),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Linear(width * WINDOW_STEPS // 4, config.size)

    def forward(self, spectrum: Float[Tensor, "n 40 20"]) -> Float[Tensor, "n size"]:
        return functional.normalize(self.last(self.convolutions(spectrum).flatten(1)).float(), dim=1)


class SyncScorer(nn.Module):
    """Embeds mouths and sounds with an encoder of their own each."""

    def __init__(self, config: SyncConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.mouth = MouthEncoder(config)
        self.sound = SoundEncoder(config)

    def forward(
        self, mouths: Float[Tensor, "n 5 48 48"], spectrum: Float[Tensor, "n 40 20"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, "n size"]]:
        return self.mouth(mouths), self.sound(spectrum)

    def loss(
        self, mouth: Float[Tensor, "clips time size"], sound: Float[Tensor, "clips time size"]
    ) -> Float[Tensor, ""]:
        """Returns the cross-entropy with which each mouth finds its sound, and each sound its mouth, among all of its clip.

        Neighbours share four of five frames, so they count neither as right nor as wrong.
        """
        time = mouth.shape[1]
        likeness = mouth @ sound.transpose(1, 2) / self.temperature  # clips, time of mouth, time of sound
        apart = torch.arange(time)[:, None] - torch.arange(time)[None]
        likeness = likeness.masked_fill((apart.abs() == 1).to(likeness.device), float("-inf"))
        target = torch.arange(time, device=mouth.device).expand(len(mouth), -1)
        return 0.5 * (
            functional.cross_entropy(likeness.transpose(1, 2), target) + functional.cross_entropy(likeness, target)
        )
