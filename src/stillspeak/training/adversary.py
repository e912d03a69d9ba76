"""Joins a discriminator with its optimiser, its loss and its view of a video to an adversary. Paper, sections 3.2 and 3.3.

A row of the ablation drops one adversary from the list; nothing else changes.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from stillspeak.config import (
    Config,
    ContextConfig,
    FrameDiscriminatorConfig,
    MouthDiscriminatorConfig,
    SequenceDiscriminatorConfig,
    SyncDiscriminatorConfig,
)
from stillspeak.media.mouths import FINE
from stillspeak.model.discriminators import (
    FrameDiscriminator,
    MouthDiscriminator,
    SequenceDiscriminator,
    SyncDiscriminator,
    mouth_of,
)
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import Verdicts, adversarial_loss, discriminator_loss
from stillspeak.training.team import Draws
from stillspeak.training.tensors import adam

BETAS = (0.5, 0.999)  # the betas of Adam for all networks of the adversarial phase; ours, as usual for GANs

_AROUND_PX = 4  # the mouth discriminator also judges so many pixels around an open mouth


class Scene(NamedTuple):
    """Holds what a discriminator sees beside a video ``(n, 3, 128, 96)``, in which the frames of all clips follow each other.

    Attributes:
        stills: one for each clip, ``(clips, 3, 128, 96)``.
        windows: the sound of each frame, ``(n, samples)``.
        lengths: how many frames each clip has.
        others: beside each frame another clip's sound, ``(n, samples)``; without rows where nobody asked for it.
    """

    stills: Tensor
    windows: Tensor
    lengths: Lengths
    others: Tensor | None = None


class Adversary(ABC):
    """Looks at videos: this class holds a discriminator with its optimiser and its loss.

    Attributes:
        name: the name in its scalars and in a checkpoint.
        decays: whether its learning rate follows the generator's decay.
        r1: the weight of the penalty on its gradient at real videos.
    """

    name: str
    decays: bool
    r1 = 0.0

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        self.network, self.learning_rate = network, learning_rate
        self.optimiser = adam(network.parameters(), learning_rate, BETAS)

    @abstractmethod
    def look(self, video: Tensor, scene: Scene, draws: Draws) -> Verdicts:
        """Returns verdicts about the clips of a video ``(n, 3, 128, 96)``."""

    def look_apart(self, real: Tensor, scene: Scene, draws: Draws) -> list[Verdicts]:
        """Returns verdicts about wrong pairs of real parts, such as sound out of sync; most adversaries have no such pairs."""
        return []


class FrameAdversary(Adversary):
    """Judges single frames, drawn uniformly, beside the still: D_img, with S(x) of Eq. 1."""

    name = "frame"
    decays = True  # section 3.3

    def __init__(self, config: FrameDiscriminatorConfig, device: torch.device) -> None:
        super().__init__(FrameDiscriminator(config).to(device), config.learning_rate)
        self.frames = config.frames

    def look(self, video: Tensor, scene: Scene, draws: Draws) -> Verdicts:
        lengths = scene.lengths
        chances = draws.uniform(len(lengths), lengths.longest_of_all)
        inside = torch.arange(lengths.longest_of_all) < lengths.counts[:, None]
        drawn = torch.where(inside, chances, 2.0).argsort(1)[:, : self.frames]
        there = drawn < lengths.counts[:, None]  # a clip that is shorter than S(x) shows each of its frames
        frames = (lengths.starts[:, None] + drawn)[there].to(video.device)
        shown = there.sum(1)
        stills = scene.stills.repeat_interleave(shown.to(video.device), dim=0, output_size=len(frames))
        return Verdicts(self.network(video[frames], stills), Lengths(shown.tolist(), video.device).shares)


class SequenceAdversary(Adversary):
    """Judges a whole video with its sound: D_seq. It may also take a real video with another clip's sound for fake."""

    name = "sequence"
    decays = False  # section 3.3: a fixed learning rate

    def __init__(self, config: SequenceDiscriminatorConfig, context: ContextConfig, device: torch.device) -> None:
        super().__init__(SequenceDiscriminator(config, context).to(device), config.learning_rate)
        self.r1, self.verdicts = config.r1, config.verdicts

    def look(self, video: Tensor, scene: Scene, draws: Draws) -> Verdicts:
        logits, lengths = self.network(video, scene.windows, scene.lengths), scene.lengths
        if self.verdicts == "last":
            return Verdicts.alike(logits)
        scales = len(logits) // lengths.frames
        return Verdicts(logits, lengths.shares.repeat_interleave(scales) / scales)

    def look_apart(self, real: Tensor, scene: Scene, draws: Draws) -> list[Verdicts]:
        if scene.others is None or not len(scene.others):
            return []
        return [self.look(real, scene._replace(windows=scene.others), draws)]


class SyncAdversary(Adversary):
    """Judges 0.2 s of mouth beside 0.2 s of sound, and takes real pairs out of sync for fake (the follow-up's third)."""

    name = "sync"
    decays = False

    def __init__(self, config: SyncDiscriminatorConfig, context: ContextConfig, device: torch.device) -> None:
        super().__init__(SyncDiscriminator(config, context).to(device), config.learning_rate)
        self.config, self.context = config, context

    def look(self, video: Tensor, scene: Scene, draws: Draws) -> Verdicts:
        starts = self._starts(scene, draws)
        return Verdicts.alike(self._compare(video, scene, starts, starts))

    def look_apart(self, real: Tensor, scene: Scene, draws: Draws) -> list[Verdicts]:
        starts, last = self._starts(scene, draws), self._last(scene)
        shift = 1 + (draws.uniform(*starts.shape) * self.config.furthest).long()
        later = draws.uniform(*starts.shape) < 0.5  # noqa: PLR2004 - an even coin
        others = starts + torch.where(later, shift, -shift)
        others = torch.where((others < 0) | (others > last), 2 * starts - others, others).clamp(min=0).minimum(last)
        logits, weights = Verdicts.alike(self._compare(real, scene, starts, others))
        elsewhere = (others != starts).flatten().to(logits.device)  # a clip as short as a snippet has no other place
        return [Verdicts(logits[elsewhere], weights[elsewhere])]

    def _last(self, scene: Scene) -> Tensor:
        """Returns the last frame at which a snippet of each clip may begin, ``(clips, 1)``."""
        return (scene.lengths.counts - self.config.frames).clamp(min=0)[:, None]

    def _starts(self, scene: Scene, draws: Draws) -> Tensor:
        places = self._last(scene) + 1
        return (draws.uniform(len(scene.lengths), self.config.snippets) * places).long()

    def _compare(self, video: Tensor, scene: Scene, seen: Tensor, heard: Tensor) -> Tensor:
        """Returns logits of snippets of mouth from frames ``seen`` beside sound from frames ``heard``, both (clips, snippets)."""
        first = scene.lengths.starts[:, None, None]
        end = first + scene.lengths.counts[:, None, None] - 1  # a clip shorter than a snippet repeats its last frame
        frames = first + torch.arange(self.config.frames)
        shown, told = ((frames + at[..., None]).minimum(end).to(video.device) for at in (seen, heard))
        sounds = own_sound(scene.windows, self.context)[told].flatten(2)
        return self.network(mouth_of(video)[shown].flatten(0, 1), sounds.flatten(0, 1))


def own_sound(windows: Tensor, config: ContextConfig) -> Tensor:
    """Cuts the samples of each frame alone from the middle of its window: ``(..., samples)`` in and out."""
    size = config.rate_hz // config.fps
    start = (config.window - size) // 2
    return windows[..., start : start + size]


def adversaries(config: Config, device: torch.device) -> list[Adversary]:
    """Builds the adversaries that a preset has."""
    chosen: list[Adversary] = []
    if config.frame is not None:
        chosen.append(FrameAdversary(config.frame, device))
    if config.sequence is not None:
        chosen.append(SequenceAdversary(config.sequence, config.generator.context, device))
    if config.sync is not None:
        chosen.append(SyncAdversary(config.sync, config.generator.context, device))
    return chosen


def judge(
    adversary: Adversary, real: Tensor, fake: Tensor, scene: Scene, draws: Draws
) -> tuple[Tensor, dict[str, Tensor]]:
    """Runs a discriminator on a real and a fake video, both sides of Eq. 3, and adds up its gradient.

    Both gradients belong to the weights before the step, so the logits of the fake video serve both.

    Returns:
        The gradient of the generator's loss in ``fake``, of the same shape; the losses, and how often the discriminator is right.
    """
    seen = fake.detach().requires_grad_()
    real = real.detach().requires_grad_(adversary.r1 > 0)
    says_real, says_fake = (_in_full(adversary.look(video, scene, draws)) for video in (real, seen))
    fooled = adversarial_loss(says_fake)
    (slope,) = torch.autograd.grad(fooled, seen, retain_graph=True)
    says_fake = says_fake.beside([_in_full(says) for says in adversary.look_apart(real.detach(), scene, draws)])
    loss = discriminator_loss(says_real, says_fake)
    penalty = _steepness(says_real, real, scene.lengths) if adversary.r1 else loss.new_zeros(())
    (loss + adversary.r1 / 2 * penalty).backward(inputs=[*adversary.network.parameters()])
    return slope, {
        f"{adversary.name}_loss": loss.detach(),
        f"{adversary.name}_right_on_real": says_real.mean((says_real.logits > 0).float()).detach(),
        f"{adversary.name}_right_on_fake": says_fake.mean((says_fake.logits < 0).float()).detach(),
        f"fool_{adversary.name}": fooled.detach(),
    }


def _in_full(verdicts: Verdicts) -> Verdicts:
    """Returns verdicts in full precision."""
    return Verdicts(verdicts.logits.float(), verdicts.weights)


def _steepness(says_real: Verdicts, real: Tensor, lengths: Lengths) -> Tensor:
    """Returns R1: the squared norm of the gradient of a real clip's mean verdict in its pixels, as a mean over clips."""
    (slope,) = torch.autograd.grad(len(lengths) * says_real.mean(says_real.logits), real, create_graph=True)
    return slope.float().square().sum() / len(lengths)


class MouthCritic:
    """Joins the mouth discriminator with its optimiser; it sharpens what the picture phase paints. Ours.

    Args:
        config: The sizes of the discriminator and the weights of its losses.
        device: The device on which it learns.
        name: The name in its scalars.
        fine: Whether it sees windows of the mouth at three times the resolution. Otherwise it cuts the mouth out of crops.
    """

    def __init__(
        self, config: MouthDiscriminatorConfig, device: torch.device, name: str = "mouth", fine: bool = False
    ) -> None:
        self.config, self.name = config, name
        self._cut = (lambda frames: frames) if fine else mouth_of
        self._around_px = _AROUND_PX * (FINE if fine else 1)
        self.network = MouthDiscriminator(config).to(device)
        self.optimiser = adam(self.network.parameters(), config.learning_rate, BETAS)

    def judge(self, real: Tensor, fake: Tensor, stills: Tensor, interior: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Runs the discriminator on real and fake mouths, like ``judge``, and adds up its gradient.

        It judges only open mouths, because elsewhere a frame is the warped still, which looks as good as a real frame. The
        generator's gradient is kept only there too: group norm sees the whole mouth, and a generator that could please the
        discriminator at the edge of its view would draw a line there. Videos are ``(clips, time, 3, 128, 96)``; ``interior`` has
        no colours.

        Returns:
            The gradient in ``fake``, of the same shape, of ``weight`` times the adversarial loss plus ``matching`` times the
            distance of the features; the losses, and how often the discriminator is right.
        """
        clips, slope = len(real), torch.zeros_like(fake, requires_grad=False)
        beside = self._cut(stills)[:, None].expand(-1, real.shape[1], -1, -1, -1).flatten(0, 1)
        seen = self._cut(fake).detach().requires_grad_()
        open_mouths = self._cut(interior.float()).flatten(0, 1)[:, None]
        says_real, wanted = self.network(self._cut(real).flatten(0, 1), beside, open_mouths)
        says_fake, found = self.network(seen.flatten(0, 1), beside, open_mouths)

        def mean(values: Tensor) -> Tensor:
            return _open_mean(values.float(), open_mouths, clips)

        fooled = mean(functional.softplus(-says_fake))  # adversarial_loss over open mouths
        matching = torch.stack([mean((b - a.detach()).abs()) for a, b in zip(wanted, found, strict=True)]).mean()
        distance = self.config.weight * fooled + self.config.matching * matching
        (found_slope,) = torch.autograd.grad(distance, seen, retain_graph=True)
        loss = mean(functional.softplus(-says_real)) + mean(functional.softplus(says_fake))  # discriminator_loss, too
        loss.backward(inputs=[*self.network.parameters()])
        around = functional.max_pool2d(open_mouths, 2 * self._around_px + 1, 1, self._around_px)
        self._cut(slope).copy_(found_slope * (around.unflatten(0, (clips, -1)) > 0))
        return slope, {
            f"{self.name}_loss": loss.detach(),
            f"fool_{self.name}": fooled.detach(),
            f"{self.name}_right_on_real": mean((says_real > 0).float()),
            f"{self.name}_right_on_fake": mean((says_fake < 0).float()),
            f"{self.name}_matching": matching.detach(),
        }


def _open_mean(values: Tensor, open_mouths: Tensor, clips: int) -> Tensor:
    """Returns the mean over a clip's open patches, then over clips, so that parts of a batch add up."""
    weights = functional.adaptive_max_pool2d(open_mouths, values.shape[-2:]).expand_as(values)
    sums = (values * weights).reshape(clips, -1).sum(1)
    return (sums / weights.reshape(clips, -1).sum(1).clamp(min=1.0)).mean()
