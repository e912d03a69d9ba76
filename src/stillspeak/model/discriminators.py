"""Defines the paper's two discriminators (section 3.2, figure 3b), the third of the authors' follow-up, and a mouth's (ours).

They return logits, because the loss contains the sigmoid.
"""

from contextlib import nullcontext
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
from stillspeak.model.lengths import Lengths

# Of a mouth discriminator: groups of channels at most, leaky ReLU's slope, contrast below which a mouth is not made clearer.
_GROUPS, _SLOPE, _LEAST_CONTRAST = 4, 0.2, 0.05
_DILATIONS = 1, 3, 9  # of the convolutions over time, 5 frames wide: they see 0.2, 0.7 and 2.1 s


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

    The paper's gives one verdict, at a clip's last frame. Ours give one at every frame: of the GRU so far, or of convolutions
    over several stretches of time.

    Args:
        config: The sizes of the network, and where it gives verdicts.
        context: The generator's windows of sound, which the discriminator hears with an audio encoder of its own.
    """

    def __init__(self, config: SequenceDiscriminatorConfig, context: ContextConfig) -> None:
        super().__init__()
        sizes = [3, *config.channels]
        self.image = nn.Sequential(*(DownBlock(a, b) for a, b in pairwise(sizes)))
        self.code = nn.Conv2d(sizes[-1], config.code, (4, 3))
        self.audio = AudioEncoder(context)
        self.verdicts = config.verdicts
        self.penalised = config.r1 > 0  # R1 differentiates twice, which cuDNN's GRU cannot
        codes = config.code + context.features
        if config.verdicts == "scales":
            self.scales = TimeScales(codes, config.code)
            return
        self.memory = nn.GRU(codes, config.code, config.layers, batch_first=True)
        self.classifier = nn.Sequential(
            nn.Linear(config.code, config.code), nn.ReLU(inplace=True), nn.Linear(config.code, 1)
        )

    def forward(
        self, video: Float[Tensor, "n 3 128 96"], windows: Float[Tensor, "n samples"], lengths: Lengths
    ) -> Float[Tensor, " verdicts"]:
        """Returns logits: one for each clip, or for each frame as many as there are scales of time, clip after clip."""
        images = torch.tanh(self.code(self.image(video))).flatten(1)
        codes = lengths.padded(torch.cat([images, self.audio(windows)], dim=1))
        if self.verdicts == "scales":
            return lengths.flat(self.scales(codes, lengths)).flatten()
        begin = codes.new_zeros(self.memory.num_layers, len(codes), self.memory.hidden_size, dtype=torch.float32)
        with torch.backends.cudnn.flags(enabled=False) if self.penalised else nullcontext():
            states, _ = remember(self.memory, codes, begin)
        return self.classifier(lengths.last(states) if self.verdicts == "last" else lengths.flat(states)).flatten()


class TimeScales(nn.Module):
    """Gives verdicts at every frame over stretches of 5, 17 and 53 frames, by dilated convolutions over time. Ours."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        sizes = [inputs, *[hidden] * len(_DILATIONS)]
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, 5, padding=2 * wide, dilation=wide)
            for (a, b), wide in zip(pairwise(sizes), _DILATIONS, strict=True)
        )
        self.verdicts = nn.ModuleList(nn.Conv1d(hidden, 1, 1) for _ in _DILATIONS)

    def forward(
        self, codes: Float[Tensor, "clips longest codes"], lengths: Lengths
    ) -> Float[Tensor, "clips longest scales"]:
        inside = lengths.padded(torch.ones_like(lengths.place, dtype=codes.dtype))[:, None]
        values, verdicts = codes.transpose(1, 2), []
        for layer, verdict in zip(self.layers, self.verdicts, strict=True):
            values = functional.leaky_relu(layer(values), _SLOPE) * inside  # beyond a clip's end there is nothing
            verdicts.append(verdict(values))
        return torch.cat(verdicts, dim=1).transpose(1, 2)


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
