"""The adversarial phase: one step of Eq. 3. Paper, section 3.3."""

import numpy as np
import torch
from torch import Tensor, nn

from stillspeak.config import Config
from stillspeak.data.clips import Drawer
from stillspeak.model.generator import Generator
from stillspeak.model.losses import MOUTH_COLUMNS, MOUTH_ROWS, reconstruction_loss, region_l1
from stillspeak.training.adversary import BETAS, Scene, adversaries, discriminate, fool
from stillspeak.training.tensors import frame_weights, images, seeded, sounds
from stillspeak.training.warm_start import CODE_SCALE, code_loss

Drawn = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class AdversarialPhase:
    """Generator against its adversaries, with the reconstruction loss. Eq. 1, 2 and 3."""

    name = "adversarial"

    def __init__(self, config: Config, generator: Generator, drawer: Drawer) -> None:
        self.config, self.generator, self.drawer = config, generator, drawer
        self.steps = config.train.steps
        self.device = next(generator.parameters()).device
        self.adversaries = adversaries(config, self.device)
        self.learning = [*generator.parameters()]
        if config.train.keep_context:
            kept = {id(parameter) for parameter in generator.context.parameters()}
            self.learning = [parameter for parameter in self.learning if id(parameter) not in kept]
        adam = torch.optim.Adam(self.learning, config.train.learning_rate, BETAS)
        self.networks = {adversary.name: adversary.network for adversary in self.adversaries}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"generator": adam}
        self.optimisers |= {adversary.name: adversary.optimiser for adversary in self.adversaries}

    def draw(self, step: int) -> Drawn:
        """The batch of a step: stills, frames, windows, pixels' weights, codes."""
        train = self.config.train
        batch = self.drawer.batch(train.clips, train.frames, np.random.default_rng([train.seed, 3, step]))
        weights = frame_weights(self.config.loss, batch.interior)
        return images(batch.stills), images(batch.frames), sounds(batch.windows), weights, sounds(batch.codes)

    def step(self, step: int, batch: Drawn) -> dict[str, Tensor]:
        """One update of every network; returns its scalars."""
        stills, real, windows, weights, codes = batch
        random = seeded(self.config.train.seed, 3, step)
        self.generator.context.train(not self.config.train.keep_context)
        self._set_learning_rates(step)
        fake, context = self._generate(stills, windows, codes, random)
        scene = Scene(stills, windows[:, -real.shape[1] :])
        active = self.adversaries if step >= self.config.train.adversaries_from else []
        scalars: dict[str, Tensor] = {}
        for adversary in active:
            scalars |= discriminate(adversary, real, fake, scene, random)
        l1 = reconstruction_loss(real, fake, weights)
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
        scalars["gradient"] = nn.utils.clip_grad_norm_(self.learning, 200.0)
        adam.step()
        scalars |= {"l1": l1, "mouth_l1": region_l1(real, fake), "mouth_motion": _motion(fake) / _motion(real)}
        return {name: value.detach() for name, value in scalars.items()}

    def _generate(
        self, stills: Tensor, windows: Tensor, codes: Tensor, random: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """The frames that have codes, and z_c as heard; z_c and z_n are run from the clip's start as when animating."""
        generator = self.generator
        (clips, heard), time = windows.shape[:2], codes.shape[1]
        state = generator.begin(clips, self.device)
        context, _ = generator.context(windows, state.context)
        shown = context[:, -time:].clone()
        taught = round(self.config.train.taught * clips)
        shown[:taught, :, : codes.shape[2]] = CODE_SCALE * codes[:taught]
        noise, _ = generator.noise(generator.draw_noise(clips, heard, random).to(self.device), state.noise)
        return generator.decode(generator.identify(stills), shown, noise[:, -time:]), context

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
    return video[..., MOUTH_ROWS, MOUTH_COLUMNS].std(dim=1).mean()
