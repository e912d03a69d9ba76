"""The adversarial phase: one step of Eq. 3. Paper, section 3.3."""

import numpy as np
import torch
from torch import Tensor, nn

from stillspeak.config import Config
from stillspeak.data.clips import Drawer
from stillspeak.model.generator import Generator
from stillspeak.model.losses import pixel_weights, reconstruction_loss, region_l1
from stillspeak.training.adversary import BETAS, Scene, adversaries, discriminate, fool
from stillspeak.training.tensors import images, seeded, sounds
from stillspeak.training.warm_start import code_loss

Drawn = tuple[Tensor, Tensor, Tensor, Tensor]


class AdversarialPhase:
    """Generator against its adversaries, with the reconstruction loss. Eq. 1, 2 and 3."""

    name = "adversarial"

    def __init__(self, config: Config, generator: Generator, drawer: Drawer) -> None:
        self.config, self.generator, self.drawer = config, generator, drawer
        self.steps = config.train.steps
        self.device = next(generator.parameters()).device
        self.weights = pixel_weights(config.loss).to(self.device)
        self.adversaries = adversaries(config, self.device)
        adam = torch.optim.Adam(generator.parameters(), config.train.learning_rate, BETAS)
        self.networks = {adversary.name: adversary.network for adversary in self.adversaries}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"generator": adam}
        self.optimisers |= {adversary.name: adversary.optimiser for adversary in self.adversaries}

    def draw(self, step: int) -> Drawn:
        """The batch of a step: stills, frames, windows, codes."""
        train = self.config.train
        batch = self.drawer.batch(train.clips, train.frames, np.random.default_rng([train.seed, 3, step]))
        return images(batch.stills), images(batch.frames), sounds(batch.windows), sounds(batch.codes)

    def step(self, step: int, batch: Drawn) -> dict[str, Tensor]:
        """One update of every network; returns its scalars."""
        stills, real, windows, codes = batch
        random = seeded(self.config.train.seed, 3, step)
        self._set_learning_rates(step)
        fake, context = self._generate(stills, windows, real.shape[1], random)
        scene = Scene(stills, windows[:, -real.shape[1] :])
        active = self.adversaries if step >= self.config.train.adversaries_from else []
        scalars: dict[str, Tensor] = {}
        for adversary in active:
            scalars |= discriminate(adversary, real, fake, scene, random)
        l1 = reconstruction_loss(real, fake, self.weights)
        loss = self.config.loss.reconstruction * l1
        if self.config.loss.code:
            scalars["code_loss"] = code_loss(context[:, -real.shape[1] :], codes)
            loss = loss + self.config.loss.reconstruction * self.config.loss.code * scalars["code_loss"]
        for adversary in active:
            scalars[f"fool_{adversary.name}"] = fool(adversary, fake, scene, random)
            loss = loss + scalars[f"fool_{adversary.name}"]
        adam = self.optimisers["generator"]
        adam.zero_grad()
        loss.backward()
        scalars["gradient"] = nn.utils.clip_grad_norm_(self.generator.parameters(), 200.0)
        adam.step()
        scalars |= {"l1": l1, "mouth_l1": region_l1(real, fake), "mouth_motion": _motion(fake) / _motion(real)}
        return {name: value.detach() for name, value in scalars.items()}

    def _generate(self, stills: Tensor, windows: Tensor, time: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """The last ``time`` frames, with z_c and z_n run from the clip's start as they are when animating."""
        generator = self.generator
        clips, heard = windows.shape[:2]
        state = generator.begin(clips, self.device)
        context, _ = generator.context(windows, state.context)
        noise, _ = generator.noise(generator.draw_noise(clips, heard, random).to(self.device), state.noise)
        fake = generator.decode(generator.identify(stills), context[:, -time:], noise[:, -time:])
        return fake, context

    def _set_learning_rates(self, step: int) -> None:
        """Both decay by 10 % an epoch after epoch 20; the sequence discriminator's is fixed. Section 3.3."""
        train = self.config.train
        epoch = step * train.clips / len(self.drawer.clips)
        factor = train.decay ** max(0.0, epoch - train.decay_after_epochs)
        self.optimisers["generator"].param_groups[0]["lr"] = train.learning_rate * factor
        for adversary in self.adversaries:
            rate = adversary.learning_rate * (factor if adversary.decays else 1.0)
            adversary.optimiser.param_groups[0]["lr"] = rate


def _motion(video: Tensor) -> Tensor:
    """Spread over time of the mouth's pixels: a mouth that stands still has 0."""
    mouth = video[..., 78:118, 26:72]
    return mouth.std(dim=1).mean()
