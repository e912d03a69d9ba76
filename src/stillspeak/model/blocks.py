"""Layers that several networks share. Paper, appendix A.2; sizes from architecture.md, figures 10 and 12."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stillspeak.config import ContextConfig


class DownBlock(nn.Module):
    """4 x 4 convolution of stride 2 that halves height and width, batch norm, ReLU. No bias, as figure 12."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs h2 w2"]:
        return torch.relu_(self.norm(self.convolution(image)))


class UpBlock(nn.Module):
    """Transposed 4 x 4 convolution of stride 2 that doubles height and width, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs h2 w2"]:
        return torch.relu_(self.norm(self.convolution(image)))


class UNetBlock(nn.Module):
    """Concatenate the skip, 3 x 3 convolution, batch norm, ReLU, then double the size. Figure 12.

    Convolution is linear: conv([x, s]) = conv_x(x) + conv_s(s). The skip's half, ``constant``, is computed once for each
    still and serves every frame of it.
    """

    def __init__(self, inputs: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.from_frame = nn.Conv2d(inputs, inputs, 3, padding=1, bias=False)
        self.from_skip = nn.Conv2d(skip, inputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(inputs)
        self.up = UpBlock(inputs, outputs)

    def constant(self, skip: Float[Tensor, "clips skip height width"]) -> Float[Tensor, "clips inputs height width"]:
        """The skip's half of the convolution."""
        return self.from_skip(skip)

    def forward(
        self,
        frame: Float[Tensor, "n inputs height width"],
        constant: Float[Tensor, "clips inputs height width"],
    ) -> Float[Tensor, "n outputs h2 w2"]:
        mixed = self.from_frame(frame).unflatten(0, (constant.shape[0], -1)) + constant[:, None]
        return self.up(torch.relu_(self.norm(mixed.flatten(0, 1))))


def remember(memory: nn.Module, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """A GRU's step in full precision, under autocast too, which would run it in float16 on a GPU."""
    with torch.autocast(values.device.type, enabled=False):
        return memory(values.float(), state)


class Memoryless(nn.Module):
    """In a GRU's place in the static baseline: each frame by itself; the state passes through untouched. Section 4.4."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(
        self, features: Float[Tensor, "clips time inputs"], state: Float[Tensor, "layers clips outputs"]
    ) -> tuple[Float[Tensor, "clips time outputs"], Float[Tensor, "layers clips outputs"]]:
        return torch.tanh(self.linear(features)), state + 0.0  # a graph's output must not be its input


class AudioEncoder(nn.Module):
    """1-D convolutions from a window of raw sound to a feature vector. Paper, section 3.1.2; figure 10.

    The first kernel is long (0.005 s); padding in total: (ceil(in / stride) - 1) * stride + kernel - in.
    """

    def __init__(self, config: ContextConfig) -> None:
        super().__init__()
        kernel = round(config.kernel_seconds * config.rate_hz)
        stride = round(config.stride_seconds * config.rate_hz)
        length, inputs, layers = config.window, 1, []
        for outputs in config.channels:
            after = math.ceil(length / stride)
            padding = (after - 1) * stride + kernel - length
            layers += [
                nn.Conv1d(inputs, outputs, kernel, stride, padding=padding // 2, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(inplace=True),
            ]
            length, inputs, kernel, stride = after, outputs, 4, 2  # figure 10: 4 / 2 after the first
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Conv1d(inputs, config.features, length)

    def forward(self, windows: Float[Tensor, "n samples"]) -> Float[Tensor, "n features"]:
        return torch.tanh(self.last(self.convolutions(windows[:, None]))[:, :, 0])
