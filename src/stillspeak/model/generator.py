"""Defines the generator: Identity Encoder, Context Encoder, Noise Generator, Frame Decoder. Paper, 3.1, figures 3a, 10-12.

There are two last stages: ``PaintingDecoder`` is the paper's, and ``WarpingDecoder`` (ours) starts from the photo's own pixels.
``forward`` takes and returns the recurrent state. Images are in [-1, 1].
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import ContextConfig, GeneratorConfig, IdentityConfig
from stillspeak.model.blocks import AudioEncoder, DownBlock, Memoryless, UNetBlock, remember
from stillspeak.model.mouth_decoder import MouthDecoder

Image = Float[Tensor, "clips 3 128 96"]
Video = Float[Tensor, "clips time 3 128 96"]
_FURTHEST_PX = 12.0  # no pixel of a lip travels further in a 96 x 128 crop


class State(NamedTuple):
    """Holds what the generator remembers between frames: the hidden states of its two GRUs."""

    context: Float[Tensor, "layers clips context"]
    noise: Float[Tensor, "1 clips noise"]


class Identity(NamedTuple):
    """Holds all that the decoder needs of a still, computed once: z_id, and the constant half of each U-Net convolution."""

    code: Float[Tensor, "clips size"]
    constants: tuple[Tensor, ...]  # clips, channels, height, width: 4x3 first, 32x24 last
    still: Image


class IdentityEncoder(nn.Module):
    """Encodes the still as z_id by a 6-layer CNN, whose hidden layers are the skips. Section 3.1.1, figure 12."""

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__()
        sizes = [3, *config.channels]
        self.layers = nn.ModuleList(DownBlock(a, b) for a, b in pairwise(sizes))
        self.last = nn.Conv2d(sizes[-1], config.size, (4, 3), bias=False)

    def forward(self, still: Image) -> tuple[Float[Tensor, "clips size"], list[Tensor]]:
        skips, image = [], still
        for layer in self.layers:
            image = layer(image)
            skips.append(image)
        return torch.tanh(self.last(image)).flatten(1), skips


class ContextEncoder(nn.Module):
    """Encodes windows of sound as z_c for every frame. Section 3.1.2, figure 10."""

    def __init__(self, config: ContextConfig, recurrent: bool = True) -> None:
        super().__init__()
        self.audio = AudioEncoder(config)
        self.memory = (
            nn.GRU(config.features, config.size, config.layers, batch_first=True)
            if recurrent
            else Memoryless(config.features, config.size)
        )

    def forward(
        self, windows: Float[Tensor, "clips time samples"], state: Float[Tensor, "layers clips size"]
    ) -> tuple[Float[Tensor, "clips time size"], Float[Tensor, "layers clips size"]]:
        features = self.audio(windows.flatten(0, 1))
        features = features.reshape(windows.size(0), windows.size(1), -1)  # unflatten would freeze time in ONNX
        return remember(self.memory, features, state)


class NoiseGenerator(nn.Module):
    """Turns Gaussian noise into sequentially coherent z_n. Section 3.1.3, appendix A.3.1, figure 11."""

    def __init__(self, size: int, recurrent: bool = True) -> None:
        super().__init__()
        self.memory = nn.GRU(size, size, batch_first=True) if recurrent else Memoryless(size, size)

    def forward(
        self, noise: Float[Tensor, "clips time size"], state: Float[Tensor, "1 clips size"]
    ) -> tuple[Float[Tensor, "clips time size"], Float[Tensor, "1 clips size"]]:
        codes, state = remember(self.memory, noise, state)
        return torch.tanh(codes), state


class FrameDecoder(nn.Module):
    """Turns latent and skips into features at half the output's size. Section 3.1.3, figure 12, all but the last layer.

    ``prepare`` computes ``constants``, the halves of the convolutions that belong to the skips, once for each still.
    """

    def __init__(self, latent: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.first = nn.ConvTranspose2d(latent, channels[-1], (4, 3), bias=False)
        self.norm = nn.BatchNorm2d(channels[-1])
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))  # (1024, 512), (512, 256), ...
        self.blocks = nn.ModuleList(UNetBlock(a, a, b) for a, b in pairs)

    @property
    def unet_blocks(self) -> list[UNetBlock]:
        """Returns the U-Net blocks, deepest first."""
        return [block for block in self.blocks if isinstance(block, UNetBlock)]

    def prepare(self, skips: list[Tensor]) -> tuple[Tensor, ...]:
        """Computes the constant half of each block's convolution, deepest first."""
        deepest_first = skips[:0:-1]
        return tuple(block.constant(skip) for block, skip in zip(self.unet_blocks, deepest_first, strict=True))

    def forward(
        self, latent: Float[Tensor, "n latent"], constants: tuple[Tensor, ...]
    ) -> Float[Tensor, "n channels 64 48"]:
        image = torch.relu_(self.norm(self.first(latent[:, :, None, None])))  # n, 1024, 4, 3
        for block, constant in zip(self.unet_blocks, constants, strict=True):
            image = block(image, constant)  # 8x6, 16x12, 32x24, 64x48
        return image


class PaintingDecoder(nn.Module):
    """Paints every pixel by a transposed convolution and tanh, the paper's last layer. Figure 12."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.paint = nn.ConvTranspose2d(channels, 3, 4, stride=2, padding=1, bias=False)

    def forward(self, features: Float[Tensor, "n channels 64 48"], still: Image) -> Float[Tensor, "n 3 128 96"]:
        return torch.tanh(self.paint(features).float())  # bfloat16 has coarser steps than a pixel


class Layers(NamedTuple):
    """Holds what ``WarpingDecoder`` blends: motion in pixels (x, y), the mask of paint, the paint."""

    motion: Float[Tensor, "n 2 128 96"]
    mask: Float[Tensor, "n 1 128 96"]
    paint: Float[Tensor, "n 3 128 96"]


class WarpingDecoder(nn.Module):
    """Blends the warped still with paint: frame = (1 - mask) * warp(still, motion) + mask * paint. Ours.

    A stranger's face is sharp from the first minutes of training, because the parts that do not move are the photo itself.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.last = nn.ConvTranspose2d(channels, 6, 4, stride=2, padding=1)
        with torch.no_grad():  # at first it repeats the photo: no motion, little paint
            self.last.weight[:, :3].mul_(0.1)
            assert self.last.bias is not None
            self.last.bias.zero_()
            self.last.bias[2] = -2.0

    def layers(self, features: Float[Tensor, "n channels 64 48"]) -> Layers:
        """Computes motion, mask and paint, before they are blended."""
        out = self.last(features).float()  # in bfloat16 tanh would move pixels by steps of a thirty-second
        out = out.contiguous()  # in planes, for tanh of every sixth number is four times as slow
        motion, mask, paint = out.split((2, 1, 3), dim=1)
        return Layers(_FURTHEST_PX * torch.tanh(motion), torch.sigmoid(mask), torch.tanh(paint))

    def blend(self, layers: Layers, still: Image) -> Float[Tensor, "n 3 128 96"]:
        """Blends layers and a still to a frame."""
        return (1 - layers.mask) * warp(still, layers.motion) + layers.mask * layers.paint

    def forward(self, features: Float[Tensor, "n channels 64 48"], still: Image) -> Float[Tensor, "n 3 128 96"]:
        return self.blend(self.layers(features), still)


def warp(
    stills: Float[Tensor, "clips 3 height width"], motion: Float[Tensor, "n 2 height width"]
) -> Float[Tensor, "n 3 height width"]:
    """Moves stills: pixel p of a frame is its still at p + motion(p), bilinear; beyond the edge the edge repeats.

    The frames of a clip are stacked into one tall sampling grid, so that a still is never copied for each of them.
    """
    clips, _, height, width = stills.shape
    rows = torch.arange(height, dtype=stills.dtype, device=stills.device)[:, None]
    columns = torch.arange(width, dtype=stills.dtype, device=stills.device)[None]
    x = (2 * (columns + motion[:, 0]) + 1) / width - 1
    y = (2 * (rows + motion[:, 1]) + 1) / height - 1
    grid = torch.stack([x, y], dim=-1).reshape(clips, -1, width, 2)  # clips, time * height, width, 2
    tall = functional.grid_sample(stills, grid, padding_mode="border", align_corners=False)
    return tall.reshape(clips, 3, -1, height, width).transpose(1, 2).reshape(-1, 3, height, width)


class Generator(nn.Module):
    """Draws frames from a still, sound and noise, in one call or in pieces with carried state. Section 3.1, figure 3a."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.identity = IdentityEncoder(config.identity)
        self.context = ContextEncoder(config.context, config.recurrent)
        self.noise = NoiseGenerator(config.noise_size, config.recurrent)
        self.decoder = FrameDecoder(config.latent, config.identity.channels)
        last_stage = WarpingDecoder if config.decoder == "warping" else PaintingDecoder
        self.last: PaintingDecoder | WarpingDecoder = last_stage(config.identity.channels[0])
        self.mouth = MouthDecoder(config.mouth, config.identity.channels[0]) if config.mouth else None

    def begin(self, clips: int, device: torch.device | None = None) -> State:
        """Returns the state before the first frame, which is zeros."""
        context = self.config.context
        return State(
            torch.zeros(context.layers, clips, context.size, device=device),
            torch.zeros(1, clips, self.config.noise_size, device=device),
        )

    def draw_noise(self, clips: int, time: int, random: torch.Generator | None = None) -> Tensor:
        """Draws Gaussian noise of the paper's variance, ``(clips, time, size)``, on the CPU."""
        noise = torch.randn(clips, time, self.config.noise_size, generator=random)
        return noise * self.config.noise_variance**0.5

    def identify(self, still: Image) -> Identity:
        """Encodes a still; returns what the decoder needs of it."""
        code, skips = self.identity(still)
        return Identity(code, self.decoder.prepare(skips), still)

    def decode(
        self,
        identity: Identity,
        context: Float[Tensor, "clips time context"],
        noise: Float[Tensor, "clips time noise"],
    ) -> Video:
        """Draws frames from identity, z_c and z_n."""
        features = self.features(identity, context, noise)
        return self.last(features, identity.still).unflatten(0, (context.size(0), -1))

    def features(
        self,
        identity: Identity,
        context: Float[Tensor, "clips time context"],
        noise: Float[Tensor, "clips time noise"],
    ) -> Float[Tensor, "n channels 64 48"]:
        """Computes the features for the last stage. The latent's order is z_c, z_n, z_id (architecture.md, figure 11)."""
        code = identity.code[:, None].expand(-1, context.size(1), -1)
        latent = torch.cat([context, noise, code], dim=2).flatten(0, 1)  # clips * time, 316
        return self.decoder(latent, identity.constants)

    def forward(
        self,
        identity: Identity,
        windows: Float[Tensor, "clips time samples"],
        noise: Float[Tensor, "clips time size"],
        state: State,
    ) -> tuple[Video, State]:
        """Draws the frames for the next windows of sound; returns them and the state after them."""
        context, context_state = self.context(windows, state.context)
        codes, noise_state = self.noise(noise, state.noise)
        return self.decode(identity, context, codes), State(context_state, noise_state)
