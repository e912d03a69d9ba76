"""The warm start, ours: sound learns the mouth's shape from landmarks, pictures learn to follow a given shape.

What is slow to learn in the paper's training is sound -> mouth, because the gradient must pass a decoder that cannot draw
yet. Here both halves are first taught apart, through the first elements of z_c: ``CODE_SCALE`` times the mouth code. Eyes and
brows are taught likewise, through the first elements of z_n. The generator's architecture is not
touched, and the rest of z_c is free once both meet.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from stillspeak.config import Config, PictureStage, SoundStage
from stillspeak.data.drawer import Drawer
from stillspeak.data.expression import BROWS, EXPRESSION, UPPER_LIDS
from stillspeak.data.mouth_code import LIPS_AND_CHIN
from stillspeak.model.generator import Generator, Layers, WarpingDecoder
from stillspeak.model.losses import reconstruction_loss, region_l1
from stillspeak.training.adversary import MouthCritic
from stillspeak.training.fine_mouth import FineMouth, FineView
from stillspeak.training.phase import GeneratorPhase, Part, mean_scalars
from stillspeak.training.team import Draws, Share, Team
from stillspeak.training.tensors import adam, frame_weights, images, sounds

CODE_SCALE = 0.25  # z_c lies in (-1, 1), a mouth code of 3 is a wide-open mouth
EXPRESSION_SCALE = 0.5  # z_n lies in (-0.76, 0.76), a closing of 1.25 is the most
_MOTION = 0.05  # weight of the landmarks' motion, in pixels, beside the L1 of pixels in [-1, 1]
_SOUND_FRAMES = 56  # at the fastest speed still within a 75-frame clip
# Factors on a new decoder's weights: of the mouth code, 12 of 316 inputs and all that should move the mouth; of the
# noise, which would drown it; of the skips, whose constant would drown it again in every block.
_CODE_GAIN, _NOISE_GAIN, _SKIP_GAIN = 30.0, 0.1, 0.3
_FAINT = 5.0  # times: a decoder that follows expressions hears them about as loud as the mouth code


def open_decoder(generator: Generator, code: int) -> None:
    """Makes a new decoder hear the mouth code first, and the free rest of z_c not yet: it would be noise to it.

    Measured: in a decoder as PyTorch makes it the noise moves the last features 8 times as much as the code does, and
    the mouth still stood after 18,000 frames.
    """
    context, noise = generator.config.context.size, generator.config.noise_size
    with torch.no_grad():
        weight = generator.decoder.first.weight
        weight[:code] *= _CODE_GAIN
        weight[code:context] = 0.0
        weight[context : context + noise] *= _NOISE_GAIN
        for block in generator.decoder.unet_blocks:
            block.from_skip.weight *= _SKIP_GAIN


def open_eyes(generator: Generator, code: int) -> None:
    """Makes a decoder that never learnt to hear an expression hear it as loud as the mouth code; one that did it leaves alone.

    Measured: begun as faint as the rest of z_n, 58,000 frames later no stranger's eye had moved.
    """
    context = generator.config.context.size
    with torch.no_grad():
        mouth, eyes = (
            generator.decoder.first.weight[rows] for rows in (slice(code), slice(context, context + EXPRESSION))
        )
        louder = mouth.square().mean().sqrt() * CODE_SCALE / (EXPRESSION_SCALE * eyes.square().mean().sqrt())
        if louder > _FAINT:
            eyes *= louder


def cosine(done: int, steps: int) -> float:
    """Returns the factor of the learning rate: a short rise, then half a cosine down to 2 %."""
    rise = min(1.0, (done + 1) / min(30, max(1, steps // 10)))
    return rise * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * min(1.0, done / max(1, steps)))))


def concordance_loss(real: Float[Tensor, "clips time"], fake: Float[Tensor, "clips time"]) -> Float[Tensor, ""]:
    """Returns 1 - Lin's concordance correlation, per clip: unlike a squared error it does not reward moving less. Lin 1989."""
    real_mean, fake_mean = real.mean(1, keepdim=True), fake.mean(1, keepdim=True)
    covariance = ((real - real_mean) * (fake - fake_mean)).mean(1)
    spread = real.var(1, unbiased=False) + fake.var(1, unbiased=False)
    return (1 - 2 * covariance / (spread + (real_mean - fake_mean).square()[:, 0] + 1e-2)).mean()


def code_loss(
    context: Float[Tensor, "clips time size"], codes: Float[Tensor, "clips time code"], opening: Float[Tensor, " code"]
) -> Float[Tensor, ""]:
    """Returns how far the first elements of z_c are from the mouth's shape: squared error, and concordance of the opening.

    ``opening`` says how far each element of the code opens the mouth.
    """
    heard = context[..., : codes.shape[-1]].float() / CODE_SCALE
    direction = opening / opening.norm()
    return 0.5 * (heard - codes).square().mean() + 0.5 * concordance_loss(codes @ direction, heard @ direction)


class SoundPhase(GeneratorPhase):
    """Teaches the Context Encoder the mouth's shape from sound alone."""

    kind = "sound"
    number = 1

    def __init__(self, config: Config, stage: SoundStage, generator: Generator, drawer: Drawer, team: Team) -> None:
        super().__init__(config, generator, drawer, team)
        self.stage, self.steps = stage, stage.steps
        self.opening = torch.from_numpy(drawer.code.opening).to(self.device)
        self.learning, self.parameters = [generator.context], [*generator.context.parameters()]
        self.optimisers = {
            "sound": torch.optim.AdamW(self.parameters, self.stage.learning_rate, weight_decay=0.01, fused=True)
        }

    def draw_part(self, step: int, share: Share) -> Part:
        """Windows and codes; silence and faint noise keep the mouth shut."""
        clips = self.stage.clips
        random = np.random.default_rng(self.seed(step))
        windows, codes = self.drawer.sounds(clips, _SOUND_FRAMES, random, max(1, clips // 16), share.of(clips))
        return sounds(windows), sounds(codes)

    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """Makes one update; returns its scalars."""
        losses = []
        for windows, codes in parts:
            with self.precision():
                context, _ = self.generator.context(windows, self.generator.begin(len(windows), self.device).context)
            losses.append(code_loss(context, codes, self.opening))
            losses[-1].backward()
        rate = self.stage.learning_rate * cosine(step, self.steps)
        norm = self.update("sound", self.parameters, rate, 1.0, len(parts))
        return {"code_loss": torch.stack(losses).detach().mean(), "gradient": norm}


def motion_loss(
    motion: Float[Tensor, "n 2 height width"], stills: Float[Tensor, "n points 2"], frames: Float[Tensor, "n points 2"]
) -> Float[Tensor, ""]:
    """Returns how far, in pixels, the motion field is from taking each landmark of a frame to where the still has it."""
    size = torch.tensor([motion.shape[3], motion.shape[2]], device=motion.device)
    grid = (2 * frames + 1) / size - 1
    found = functional.grid_sample(motion, grid[:, None], align_corners=False)[:, :, 0].transpose(1, 2)
    return functional.smooth_l1_loss(found, stills - frames)


class PicturePhase(GeneratorPhase):
    """Teaches Identity Encoder and Frame Decoder to draw a given mouth's shape, and expression, on a given face.

    A decoder that warps is also shown where lips and chin came from, and lids and brows, by their landmarks: the gradient of
    pixels alone finds large motions slowly.
    """

    kind = "picture"
    number = 2

    def __init__(self, config: Config, stage: PictureStage, generator: Generator, drawer: Drawer, team: Team) -> None:
        super().__init__(config, generator, drawer, team)
        self.stage, self.steps = stage, stage.steps
        crops = [generator.identity, generator.decoder, generator.last]
        self.crops_learn = stage.learns != "mouth"
        self.learning = [*(crops if self.crops_learn else []), *filter(None, [generator.mouth])]
        self.parameters = [parameter for network in self.learning for parameter in network.parameters()]
        self.tracked = np.r_[LIPS_AND_CHIN, UPPER_LIDS, BROWS] if config.labels.expression else LIPS_AND_CHIN
        self.optimisers = {"picture": adam(self.parameters, stage.learning_rate, (0.9, 0.99))}
        self.critic = MouthCritic(stage.mouth, self.device) if stage.mouth and self.crops_learn else None
        self.fine = (
            FineMouth(config.loss.interior, stage.fine_mouth, generator.mouth, self.device) if generator.mouth else None
        )
        self.critics = [critic for critic in (self.critic, self.fine and self.fine.critic) if critic]
        for critic in self.critics:
            self.networks[critic.name], self.optimisers[critic.name] = critic.network, critic.optimiser

    def draw_part(self, step: int, share: Share) -> Part:
        """Stills, frames, landmarks that are tracked, where the mouths are open, larger mouths if any, codes, expressions."""
        clips, random = self.stage.clips, np.random.default_rng(self.seed(step))
        batch = self.drawer.pictures(clips, self.stage.frames, random, share.of(clips), self.fine is not None)
        stills, frames, interior = (torch.from_numpy(a) for a in (batch.stills, batch.frames, batch.interior))
        points, fine = sounds(batch.points[:, :, self.tracked]), [torch.from_numpy(a) for a in batch.fine or ()]
        return stills, frames, points, interior, *fine, sounds(batch.codes), sounds(batch.expressions)

    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """Makes one update; returns its scalars."""
        shares = self.team.shares(len(parts))
        rows = [self._learn(part, Draws(share, *self.seed(step))) for part, share in zip(parts, shares, strict=True)]
        rate = self.stage.learning_rate * cosine(step, self.steps)
        norm = self.update("picture", self.parameters, rate, 1.0, len(parts))
        for critic in self.critics:
            weights = [*critic.network.parameters()]
            self.update(critic.name, weights, critic.config.learning_rate, float("inf"), len(parts))
        return {**mean_scalars(rows), "gradient": norm}

    def _learn(self, part: Part, draws: Draws) -> dict[str, Tensor]:
        """Returns the gradient of one part."""
        stills, frames, points, interior, *fine, codes, expressions = part
        stills, frames = images(stills), images(frames)
        clips, time = frames.shape[:2]
        context = torch.zeros(clips, time, self.generator.config.context.size, device=self.device)
        context[..., : codes.shape[-1]] = CODE_SCALE * codes
        noise = draws.uniform(clips, time, self.generator.config.noise_size).to(self.device) * 2 - 1
        if self.config.labels.expression:
            noise[..., :EXPRESSION] = EXPRESSION_SCALE * expressions
        with self.precision():
            features = self.generator.features(self.generator.identify(stills), context, noise)
            fake, motion, layers = self._draw(features, stills, points)
        fake = fake.unflatten(0, (clips, time))
        l1 = reconstruction_loss(frames, fake, frame_weights(self.config.loss, interior))
        losses, slopes = ([l1 + _MOTION * motion], [None]) if self.crops_learn else ([], [])
        judged: dict[str, Tensor] = {}
        if self.critic:
            with self.precision():
                slope, judged = self.critic.judge(frames, fake, stills, interior)
            losses, slopes = [*losses, fake], [*slopes, slope]
        if self.fine:
            assert layers is not None
            with self.precision():
                loss, mouths, slope, seen = self.fine.learn(features, layers, FineView(*fine), frames, interior)
            losses, slopes, judged = [*losses, loss, mouths], [*slopes, None, slope], judged | seen
        torch.autograd.backward(losses, slopes)
        return judged | {
            "l1": l1,
            "motion_loss_px": motion,
            "mouth_l1": region_l1(frames, fake),
            "still_mouth_l1": region_l1(frames, stills[:, None].expand_as(frames)),
        }

    def _draw(self, features: Tensor, stills: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Layers | None]:
        """Frames ``(n, 3, 128, 96)``, and of a decoder that warps the motion loss (else 0) and the layers (else None)."""
        last = self.generator.last
        if not isinstance(last, WarpingDecoder):
            return last(features, stills), features.new_zeros(()), None
        layers = last.layers(features)
        came_from = points[:, :1].expand(-1, points.shape[1] - 1, -1, -1).flatten(0, 1)
        loss = motion_loss(layers.motion, came_from, points[:, 1:].flatten(0, 1))
        return last.blend(layers, stills), loss, layers
