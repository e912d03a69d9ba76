"""An adversary: a discriminator with its optimiser, its loss and the way it looks at a video. Paper, section 3.2 and 3.3.

Dropping one from the list is dropping a row of the ablation; nothing else changes.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from stillspeak.config import Config, FrameDiscriminatorConfig, SequenceDiscriminatorConfig
from stillspeak.model.discriminators import FrameDiscriminator, SequenceDiscriminator
from stillspeak.model.losses import adversarial_loss, discriminator_loss

BETAS = (0.5, 0.999)  # of Adam, for all networks of the adversarial phase; ours, as usual for GANs


class Scene(NamedTuple):
    """What a video is judged against: its still, and the sound of just its frames."""

    stills: Tensor  # clips, 3, 128, 96
    windows: Tensor  # clips, time, samples


class Adversary(Protocol):
    """A judge of videos."""

    name: str
    network: nn.Module
    optimiser: torch.optim.Optimizer
    learning_rate: float
    decays: bool  # whether its learning rate follows the generator's decay

    def look(self, video: Tensor, scene: Scene, random: torch.Generator) -> Tensor:
        """Logits for a video ``(clips, time, 3, 128, 96)``."""
        ...


class FrameAdversary:
    """D_img: judges single frames drawn uniformly, beside the still. S(x) of Eq. 1."""

    name = "frame"
    decays = True  # section 3.3

    def __init__(self, config: FrameDiscriminatorConfig, device: torch.device) -> None:
        self.network: nn.Module = FrameDiscriminator(config).to(device)
        self.learning_rate, self.frames = config.learning_rate, config.frames
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, BETAS)

    def look(self, video: Tensor, scene: Scene, random: torch.Generator) -> Tensor:
        clips, time = video.shape[:2]
        count = min(self.frames, time)
        drawn = torch.rand(clips, time, generator=random).argsort(1)[:, :count].to(video.device)
        frames = video[torch.arange(clips, device=video.device)[:, None], drawn].flatten(0, 1)
        return self.network(frames, scene.stills.repeat_interleave(count, dim=0))


class SequenceAdversary:
    """D_seq: judges a whole video with its sound."""

    name = "sequence"
    decays = False  # section 3.3: a fixed learning rate

    def __init__(self, config: SequenceDiscriminatorConfig, device: torch.device) -> None:
        self.network: nn.Module = SequenceDiscriminator(config).to(device)
        self.learning_rate = config.learning_rate
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, BETAS)

    def look(self, video: Tensor, scene: Scene, random: torch.Generator) -> Tensor:
        return self.network(video, scene.windows)


def adversaries(config: Config, device: torch.device) -> list[Adversary]:
    """The adversaries that a preset has."""
    chosen: list[Adversary] = []
    if config.frame is not None:
        chosen.append(FrameAdversary(config.frame, device))
    if config.sequence is not None:
        chosen.append(SequenceAdversary(config.sequence, device))
    return chosen


def discriminate(
    adversary: Adversary, real: Tensor, fake: Tensor, scene: Scene, random: torch.Generator
) -> dict[str, Tensor]:
    """One update of a discriminator (the max of Eq. 3); returns its loss and how often it is right."""
    says_real = adversary.look(real, scene, random)
    says_fake = adversary.look(fake.detach(), scene, random)
    loss = discriminator_loss(says_real, says_fake)
    adversary.optimiser.zero_grad()
    loss.backward()
    adversary.optimiser.step()
    return {
        f"{adversary.name}_loss": loss.detach(),
        f"{adversary.name}_right_on_real": (says_real > 0).float().mean(),
        f"{adversary.name}_right_on_fake": (says_fake < 0).float().mean(),
    }


def fool(adversary: Adversary, fake: Tensor, scene: Scene, random: torch.Generator) -> Tensor:
    """The generator's loss against one adversary; the discriminator's own weights get no gradient."""
    adversary.network.requires_grad_(False)
    loss = adversarial_loss(adversary.look(fake, scene, random))
    adversary.network.requires_grad_(True)
    return loss
