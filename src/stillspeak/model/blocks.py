"""Defines layers that several networks share. Paper, appendix A.2; sizes from architecture.md, figures 10 and 12."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import ContextConfig
from stillspeak.errors import ModelError
from stillspeak.media.spectrum import mel_filters

_FAINTEST = 1e-5  # ours: a band with this power counts as silent
LEVEL, _LOUDEST = 0.25, 0.5  # ours: with these numbers speech lies between -2.4 and about 1.5


class DownBlock(nn.Module):
    """Halves height and width by a 4 x 4 convolution of stride 2, then batch norm and ReLU. No bias, as in figure 12."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs h2 w2"]:
        return torch.relu_(self.norm(self.convolution(image)))


class UpBlock(nn.Module):
    """Doubles height and width by a transposed 4 x 4 convolution of stride 2, then batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, image: Float[Tensor, "n inputs height width"]) -> Float[Tensor, "n outputs h2 w2"]:
        return torch.relu_(self.norm(self.convolution(image)))


class UNetBlock(nn.Module):
    """Concatenates the skip, applies a 3 x 3 convolution, batch norm and ReLU, and doubles the size. Figure 12.

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
        """Computes the skip's half of the convolution."""
        return self.from_skip(skip)

    def forward(
        self,
        frame: Float[Tensor, "n inputs height width"],
        constant: Float[Tensor, "clips inputs height width"],
    ) -> Float[Tensor, "n outputs h2 w2"]:
        mixed = self.from_frame(frame).unflatten(0, (constant.shape[0], -1)) + constant[:, None]
        return self.up(torch.relu_(self.norm(mixed.flatten(0, 1))))


def remember(memory: nn.Module, values: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Runs a GRU in full precision, also under autocast, which would run it in float16 on a GPU."""
    with torch.autocast(values.device.type, enabled=False):
        return memory(values.float(), state)


class Memoryless(nn.Module):
    """Replaces a GRU in the static baseline: it treats each frame by itself, and passes the state through. Section 4.4."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(
        self, features: Float[Tensor, "clips time inputs"], state: Float[Tensor, "layers clips outputs"]
    ) -> tuple[Float[Tensor, "clips time outputs"], Float[Tensor, "layers clips outputs"]]:
        return torch.tanh(self.linear(features)), state + 0.0  # a graph's output must not be its input


class MelBands(nn.Module):
    """Computes from windows of sound how loud each mel band is, step by step. Ours, in place of a learnt first layer.

    It has nothing to learn. It is a convolution with windowed waves, so that training and ONNX Runtime compute the same. Under
    autocast it stays in full precision, because rounding to half would be louder than the faint upper bands.
    """

    waves: Tensor  # cosines, then sines: 2 * bins, 1, kernel
    filters: Tensor  # bands, bins

    def __init__(self, bands: int, rate_hz: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        fft = 1 << (kernel - 1).bit_length()
        turns = np.outer(np.arange(fft // 2 + 1), np.arange(kernel)) * (2 * np.pi / fft)
        waves = np.concatenate([np.cos(turns), np.sin(turns)]) * np.hanning(kernel)
        self.register_buffer("waves", torch.from_numpy(waves.astype(np.float32))[:, None], persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(bands, fft, rate_hz)), persistent=False)

    def forward(self, windows: Float[Tensor, "n 1 samples"]) -> Float[Tensor, "n bands steps"]:
        with torch.autocast(windows.device.type, enabled=False):
            cosines, sines = functional.conv1d(windows.float(), self.waves, None, self.stride, self.padding).chunk(2, 1)
            power = self.filters @ (cosines.square() + sines.square())
        return LEVEL * torch.log(power + _FAINTEST) + _LOUDEST


class AudioEncoder(nn.Module):
    """Encodes a window of sound as a feature vector by 1-D convolutions. Paper, section 3.1.2; figure 10.

    The first layer's kernel is long: 0.005 s of raw sound, or, with mel bands (ours), what one of their steps hears. The padding
    is in total (ceil(in / stride) - 1) * stride + kernel - in.

    Args:
        config: its sizes.
        window: the samples in a window, if not those of the config.

    Raises:
        ModelError: if there are more layers than a window has steps to halve.
    """

    def __init__(self, config: ContextConfig, window: int = 0) -> None:
        super().__init__()
        kernel = round(config.kernel_seconds * config.rate_hz)
        stride = round(config.stride_seconds * config.rate_hz)
        length, inputs, layers = window or config.window, 1, []
        self.first: nn.Module = nn.Identity()
        if config.bands:
            padding = _padding(length, kernel, stride)
            self.first = MelBands(config.bands, config.rate_hz, kernel, stride, padding)
            length, inputs, kernel, stride = _after(length, kernel, stride, padding), config.bands, 4, 2
        for outputs in config.channels:
            if length < 2:  # noqa: PLR2004 - of one step a layer makes none
                raise ModelError("generator.context.channels are more layers than a window has steps to halve.")
            padding = _padding(length, kernel, stride)
            layers += [
                nn.Conv1d(inputs, outputs, kernel, stride, padding, bias=False),
                nn.BatchNorm1d(outputs),
                nn.ReLU(inplace=True),
            ]
            length = _after(length, kernel, stride, padding)
            inputs, kernel, stride = outputs, 4, 2  # figure 10: 4 / 2 after the first
        self.convolutions = nn.Sequential(*layers)
        self.last = nn.Conv1d(inputs, config.features, length)

    def forward(self, windows: Float[Tensor, "n samples"]) -> Float[Tensor, "n features"]:
        return torch.tanh(self.last(self.convolutions(self.first(windows[:, None])))[:, :, 0])


def _padding(length: int, kernel: int, stride: int) -> int:
    """Returns the padding of each side."""
    return ((math.ceil(length / stride) - 1) * stride + kernel - length) // 2


def _after(length: int, kernel: int, stride: int, padding: int) -> int:
    return (length + 2 * padding - kernel) // stride + 1
