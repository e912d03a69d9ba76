"""Defines the paper's two discriminators (section 3.2, figure 3b), the third of the authors' follow-up, and a mouth's (ours).

They return logits, because the loss contains the sigmoid.
"""

from dataclasses import replace
from itertools import pairwise
from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import (
    ContextConfig,
    FrameDiscriminatorConfig,
    MouthDiscriminatorConfig,
    SequenceDiscriminatorConfig,
    SyncDiscriminatorConfig,
)
from stillspeak.media.mouths import LEFT_PX, MOUTH_PX, TOP_PX
from stillspeak.model.blocks import AudioEncoder, DownBlock, remember

# Of a mouth discriminator: groups of channels at most, leaky ReLU's slope, contrast below which a mouth is not made clearer.
_GROUPS, _SLOPE, _LEAST_CONTRAST = 4, 0.2, 0.05


class FrameDiscriminator(nn.Module):
    """Judges whether a frame is real, given the still, by a 6-layer CNN. Section 3.2.1. The still is joined channel-wise."""

    def __init__(self, config: FrameDiscriminatorConfig) -> None:
        super().__init__()
        sizes = [6, *config.channels]
        self.layers = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(sizes)))
        self.last = nn.Conv2d(sizes[-1], 1, (4, 3), bias=False)

    def forward(self, frames: Float[Tensor, "n 3 128 96"], stills: Float[Tensor, "n 3 128 96"]) -> Float[Tensor, " n"]:
        return self.last(self.layers(torch.cat([stills, frames], dim=1))).flatten()


class SequenceDiscriminator(nn.Module):
    """Judges whether frames and sound are a real video. Section 3.2.2: CNN codes and sound codes, 2-layer GRU, classifier.

    Args:
        config: The sizes of the network.
        context: The generator's windows of sound, which the discriminator hears with an audio encoder of its own.
    """

    def __init__(self, config: SequenceDiscriminatorConfig, context: ContextConfig) -> None:
        super().__init__()
        sizes = [3, *config.channels]
        self.image = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(sizes)))
        self.code = nn.Conv2d(sizes[-1], config.code, (4, 3))
        self.audio = AudioEncoder(context)
        self.memory = nn.GRU(config.code + context.features, config.code, config.layers, batch_first=True)
        self.classifier = nn.Sequential(
            nn.Linear(config.code, config.code), nn.ReLU(inplace=True), nn.Linear(config.code, 1)
        )

    def forward(
        self, video: Float[Tensor, "clips time 3 128 96"], windows: Float[Tensor, "clips time samples"]
    ) -> Float[Tensor, " clips"]:
        shape = video.shape[:2]
        images = torch.tanh(self.code(self.image(video.flatten(0, 1)))).flatten(1).unflatten(0, shape)
        sounds = self.audio(windows.flatten(0, 1)).unflatten(0, shape)
        codes = torch.cat([images, sounds], dim=2)
        begin = codes.new_zeros(self.memory.num_layers, len(codes), self.memory.hidden_size, dtype=torch.float32)
        _, state = remember(self.memory, codes, begin)
        return self.classifier(state[-1]).flatten()


class SyncDiscriminator(nn.Module):
    """Judges whether 0.2 s of a mouth and 0.2 s of sound belong together, by the distance of their embeddings.

    One perceptron turns the distance into a logit. This is the third discriminator of the authors' follow-up (IJCV 2019;
    architecture.md). The sizes are ours.

    Args:
        config: The sizes of the network.
        context: The generator's windows of sound, of which the discriminator hears 0.2 s at once.
    """

    def __init__(self, config: SyncDiscriminatorConfig, context: ContextConfig) -> None:
        super().__init__()
        sizes = [3 * config.frames, *config.channels]
        self.mouth = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(sizes)))
        self.mouth_code = nn.Conv2d(sizes[-1], config.size, MOUTH_PX >> len(config.channels))
        sound = replace(context, channels=config.sound_channels, features=config.size)
        self.sound = AudioEncoder(sound, round(context.rate_hz * config.frames / context.fps))
        self.verdict = nn.Linear(1, 1)
        with torch.no_grad():  # from the start, near embeddings count as real
            self.verdict.weight.fill_(-5.0)
            self.verdict.bias.fill_(2.0)

    def forward(
        self, mouths: Float[Tensor, "n time 3 48 48"], sounds: Float[Tensor, "n samples"]
    ) -> Float[Tensor, " n"]:
        seen = torch.tanh(self.mouth_code(self.mouth(mouths.flatten(1, 2)))).flatten(1)
        distance = (seen - self.sound(sounds)).square().mean(dim=1, keepdim=True).add(1e-6).sqrt()
        return self.verdict(distance)[:, 0]


class MouthDiscriminator(nn.Module):
    """Judges whether patches of a mouth are real, given the still's mouth and where the mouth should be open.

    Ours, after the patches of pix2pix (Isola et al. 2017). The light of the still's mouth is removed from both mouths. It uses
    group norm, because the statistics of a batch of real or of fake mouths should not tell them apart.
    """

    def __init__(self, config: MouthDiscriminatorConfig) -> None:
        super().__init__()
        sizes = [7, *config.channels]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(
            [nn.Identity(), *(nn.GroupNorm(gcd(_GROUPS, size), size) for size in config.channels[1:])]
        )
        self.last = nn.Sequential(
            nn.Conv2d(sizes[-1], sizes[-1], 3, padding=1), nn.LeakyReLU(_SLOPE), nn.Conv2d(sizes[-1], 1, 1)
        )

    def forward(
        self,
        frame: Float[Tensor, "n 3 size size"],
        still: Float[Tensor, "n 3 size size"],
        interior: Float[Tensor, "n 1 size size"],
    ) -> tuple[Float[Tensor, "n 1 rows columns"], list[Tensor]]:
        """Returns logits of patches, and the features of each layer, for windows around the mouth."""
        dark = still.mean(dim=(1, 2, 3), keepdim=True)
        light = still.std(dim=(1, 2, 3), keepdim=True) + _LEAST_CONTRAST
        seen = (torch.cat([still, frame], dim=1) - dark) / light
        image, features = torch.cat([seen, interior], dim=1), []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            image = functional.leaky_relu(norm(layer(image)), _SLOPE)
            features.append(image)
        return self.last(image), features


def mouth_of(frames: Float[Tensor, "*n channels 128 96"]) -> Float[Tensor, "*n channels 48 48"]:
    """Cuts the mouth out of aligned crops."""
    return frames[..., TOP_PX : TOP_PX + MOUTH_PX, LEFT_PX : LEFT_PX + MOUTH_PX]
