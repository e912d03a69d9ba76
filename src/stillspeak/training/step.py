"""The adversarial phase: one step of Eq. 3. Paper, section 3.3."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from stillspeak.config import AdversarialStage, Config
from stillspeak.data.drawer import Drawer, Order
from stillspeak.data.expression import EXPRESSION
from stillspeak.model.generator import Generator
from stillspeak.model.losses import MOUTH_COLUMNS, MOUTH_ROWS, reconstruction_loss, region_l1
from stillspeak.training.adversary import BETAS, Adversary, Scene, adversaries, judge
from stillspeak.training.patience import Patience
from stillspeak.training.phase import GeneratorPhase, Part, mean_scalars
from stillspeak.training.team import Draws, Share, Team
from stillspeak.training.tensors import adam, frame_weights, images, sounds
from stillspeak.training.warm_start import CODE_SCALE, EXPRESSION_SCALE, code_loss

_DECAY, _DECAY_AFTER_EPOCHS = 0.9, 20  # "decay after epoch 20 with a rate of 10%"; section 3.3
_STEEPEST = 200.0  # norm of the generator's gradient, beyond which it is shortened; ours


class View(NamedTuple):
    """Holds one part of a batch.

    Attributes:
        scene: the still, and the sound of just the frames.
        real: the frames, ``(clips, time, 3, 128, 96)``.
        heard: windows of sound from the clips' start to the last frame, ``(clips, heard, samples)``.
        interior: where the mouths are open, ``(clips, time, 128, 96)``.
        codes: of the mouths, ``(clips, time, code)``.
        expressions: of eyes and brows, ``(clips, time, 2)``.
    """

    scene: Scene
    real: Tensor
    heard: Tensor
    interior: Tensor
    codes: Tensor
    expressions: Tensor


class AdversarialPhase(GeneratorPhase):
    """Trains the generator against its adversaries, with the reconstruction loss. Eq. 1, 2 and 3."""

    kind = "adversarial"
    number = 3

    def __init__(
        self, config: Config, stage: AdversarialStage, generator: Generator, drawer: Drawer, team: Team
    ) -> None:
        super().__init__(config, generator, drawer, team)
        self.stage, self.steps = stage, stage.steps
        self.adversaries = adversaries(config, self.device)
        self.opening = torch.from_numpy(drawer.code.opening).to(self.device)
        self.patience = Patience(stage.patience_epochs)
        sounds, pictures = [generator.context], [generator.identity, generator.decoder, generator.last]
        pictures += [] if config.labels.expression else [generator.noise]
        learning = {"all": [*sounds, *pictures], "picture": pictures, "sound": sounds}[stage.learns]
        self.learning = [network for network in generator.children() if network in learning]
        self.parameters = [parameter for network in self.learning for parameter in network.parameters()]
        self.networks = {adversary.name: adversary.network for adversary in self.adversaries}
        self.optimisers = {"generator": adam(self.parameters, stage.learning_rate, BETAS)}
        self.optimisers |= {adversary.name: adversary.optimiser for adversary in self.adversaries}

    def draw_part(self, step: int, share: Share) -> Part:
        """Stills, frames, windows, where the mouths are open, codes, expressions."""
        stage = self.stage
        random, order = np.random.default_rng(self.seed(step)), Order(self.seed(0), step * stage.clips)
        batch = self.drawer.batch(stage.clips, stage.frames, random, share.of(stage.clips), order)
        stills, frames, interior = (torch.from_numpy(a) for a in (batch.stills, batch.frames, batch.interior))
        return stills, frames, sounds(batch.windows), interior, sounds(batch.codes), sounds(batch.expressions)

    def step(self, step: int, parts: Sequence[Part]) -> dict[str, Tensor]:
        """Makes one update of every network; returns its scalars."""
        active = self.adversaries if step >= self.stage.adversaries_from else []
        rows = []
        for part, share in zip(parts, self.team.shares(len(parts)), strict=True):
            rows.append(self._learn(active, _view(part), Draws(share, *self.seed(step))))
        for adversary in active:
            weights = [*adversary.network.parameters()]
            self.update(adversary.name, weights, self._rate(step, adversary), float("inf"), len(parts))
        gradient = self.update("generator", self.parameters, self._rate(step), _STEEPEST, len(parts))
        return {**mean_scalars(rows), "gradient": gradient}

    def _learn(self, active: list[Adversary], view: View, draws: Draws) -> dict[str, Tensor]:
        """Returns the gradients of one part, in all networks."""
        fake, context = self._generate(view, draws)
        real, codes, time = view.real, view.codes, view.real.shape[1]
        l1 = reconstruction_loss(real, fake, frame_weights(self.config.loss, view.interior))
        loss, scalars = self.config.loss.reconstruction * l1, {"l1": l1}
        if self.config.loss.code:
            scalars["code_loss"] = code_loss(context[:, -time:], codes, self.opening)
            loss = loss + self.config.loss.reconstruction * self.config.loss.code * scalars["code_loss"]
        slopes = torch.zeros_like(fake)
        for adversary in active:
            with self.precision():
                slope, judged = judge(adversary, real, fake, view.scene, draws)
            slopes, scalars = slopes + slope, scalars | judged
        torch.autograd.backward([loss, fake], [None, slopes])
        return scalars | {
            "mouth_l1": region_l1(real, fake),
            "mouth_motion": _motion(fake) / _motion(real).clamp(min=1e-6),
        }

    def _generate(self, view: View, draws: Draws) -> tuple[Tensor, Tensor]:
        """Returns the frames that have codes, and z_c as heard; z_c and z_n are run from the clip's start as when animating.

        Where z_n was taught blinks it says the real ones: others than those of the real frames would be called errors.
        """
        generator, config, codes = self.generator, self.generator.config, view.codes
        (clips, heard), time = view.heard.shape[:2], codes.shape[1]
        state = generator.begin(clips, self.device)
        with self.precision():
            context, _ = generator.context(view.heard, state.context)
            shown = context[:, -time:]
            taught = draws.share.parts * clips * self.stage.taught  # clips of the whole batch
            told = draws.share.index * clips + torch.arange(clips, device=self.device) < round(taught)
            rest = shown[..., codes.shape[2] :]
            shown = torch.where(told[:, None, None], torch.cat([(CODE_SCALE * codes).to(rest.dtype), rest], 2), shown)
            drawn = (draws.normal(clips, heard, config.noise_size) * config.noise_variance**0.5).to(self.device)
            z_n, _ = generator.noise(drawn, state.noise)
            z_n = z_n[:, -time:].clone()
            if self.config.labels.expression:
                z_n[..., :EXPRESSION] = EXPRESSION_SCALE * view.expressions
            return generator.decode(generator.identify(view.scene.stills), shown, z_n), context

    def _rate(self, step: int, adversary: Adversary | None = None) -> float:
        """Both decay by 10 % an epoch after epoch 20; the sequence discriminator's is fixed. Section 3.3."""
        stage = self.stage
        epoch = step * stage.clips / len(self.drawer.clips)
        factor = _DECAY ** max(0.0, epoch - _DECAY_AFTER_EPOCHS)
        if adversary is None:
            return stage.learning_rate * factor
        return adversary.learning_rate * (factor if adversary.decays else 1.0)


def _view(part: Part) -> View:
    """Returns a part's bytes as the networks want them."""
    stills, frames, windows, *labels = part
    return View(Scene(images(stills), windows[:, -frames.shape[1] :]), images(frames), windows, *labels)


def _motion(video: Tensor) -> Tensor:
    """Spread over time of the mouth's pixels: a mouth that stands still has 0."""
    mouths = video[..., MOUTH_ROWS, MOUTH_COLUMNS].detach()
    spread = mouths - mouths.mean(dim=1, keepdim=True)
    return spread.square().mean(dim=1).sqrt().mean()  # std over a dimension that is not the last is slow
