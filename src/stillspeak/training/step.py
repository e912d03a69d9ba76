"""The adversarial phase: one step of Eq. 3. Paper, section 3.3."""

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stillspeak.config import AdversarialStage, Config
from stillspeak.data.drawer import Drawer
from stillspeak.data.epochs import Order
from stillspeak.data.expression import EXPRESSION
from stillspeak.model.blocks import remember
from stillspeak.model.generator import Generator, Identity
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import MOUTH_COLUMNS, MOUTH_ROWS, reconstruction_loss, region_l1
from stillspeak.training.adversary import BETAS, Adversary, Scene, adversaries, judge
from stillspeak.training.patience import Patience
from stillspeak.training.phase import GeneratorPhase, Part, mean_scalars
from stillspeak.training.team import Draws, Share, Team
from stillspeak.training.tensors import adam, frame_weights, images
from stillspeak.training.warm_start import CODE_SCALE, EXPRESSION_SCALE, code_loss

_DECAY, _DECAY_AFTER_EPOCHS = 0.9, 20  # "decay after epoch 20 with a rate of 10%"; section 3.3
_STEEPEST = 200.0  # norm of the generator's gradient, beyond which it is shortened; ours


class View(NamedTuple):
    """Holds one part of a batch, in which the frames of all clips lie one after another, ``n`` together.

    Attributes:
        scene: the still, the sound of just the frames, and how many frames each clip has.
        real: the frames, ``(n, 3, 128, 96)``.
        windows: sound from each clip's start to its last frame, ``(windows, samples)``.
        heard: how many windows each clip has.
        interior: where the mouths are open, ``(n, 128, 96)``.
        codes: of the mouths, ``(n, code)``.
        expressions: of eyes and brows, ``(n, 2)``.
    """

    scene: Scene
    real: Tensor
    windows: Tensor
    heard: Lengths
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
        """Stills, frames, windows, other clips' windows, where the mouths are open, codes, expressions, lengths."""
        stage, sequence = self.stage, self.config.sequence
        random, order = np.random.default_rng(self.seed(step)), Order(self.seed(0), step * stage.clips)
        others = sequence is not None and sequence.wrong_sound
        pieces = self.drawer.batch(stage.clips, stage.frames, random, share.of(stage.clips), order, others)
        return tuple(torch.from_numpy(getattr(pieces, part.name)) for part in fields(pieces))

    def frames_of(self, part: Part) -> int:
        """Returns how many frames a part of a batch has, over all its clips."""
        return len(part[1])

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
        real, lengths = view.real, view.scene.lengths
        l1 = reconstruction_loss(real, fake, frame_weights(self.config.loss, view.interior), lengths)
        loss, scalars = self.config.loss.reconstruction * l1, {"l1": l1}
        if self.config.loss.code:
            scalars["code_loss"] = self._code_loss(context, view.codes, lengths)
            loss = loss + self.config.loss.reconstruction * self.config.loss.code * scalars["code_loss"]
        slopes = torch.zeros_like(fake)
        for adversary in active:
            with self.precision():
                slope, judged = judge(adversary, real, fake, view.scene, draws)
            slopes, scalars = slopes + slope, scalars | judged
        torch.autograd.backward([loss, fake], [None, slopes])
        return scalars | {
            "mouth_l1": region_l1(real, fake),
            "mouth_motion": _motion(fake, lengths) / _motion(real, lengths).clamp(min=1e-6),
        }

    def _code_loss(self, context: Tensor, codes: Tensor, lengths: Lengths) -> Tensor:
        """Returns the mean over clips of how far z_c as heard is from the mouth's shape."""
        if lengths.alike:
            return code_loss(lengths.padded(context), lengths.padded(codes), self.opening)
        pairs = zip(context.split(lengths.counts.tolist()), codes.split(lengths.counts.tolist()), strict=True)
        return torch.stack([code_loss(heard[None], real[None], self.opening) for heard, real in pairs]).mean()

    def _generate(self, view: View, draws: Draws) -> tuple[Tensor, Tensor]:
        """Returns the frames that have codes, and z_c as heard; z_c and z_n are run from the clip's start as when animating.

        Where z_n was taught blinks it says the real ones: others than those of the real frames would be called errors.
        """
        generator, config = self.generator, self.generator.config
        heard, shown = view.heard, view.scene.lengths
        state = generator.begin(len(shown), self.device)
        with self.precision():
            features = generator.context.audio(view.windows)
            contexts, _ = remember(generator.context.memory, heard.padded(features), state.context)
            context = heard.ends(contexts, shown)
            drawn = draws.normal(len(shown), heard.longest_of_all, config.noise_size)[:, : heard.longest]
            z_n, _ = generator.noise((drawn * config.noise_variance**0.5).to(self.device), state.noise)
            z_n = heard.ends(z_n, shown).clone()
            if self.config.labels.expression:
                z_n[:, :EXPRESSION] = EXPRESSION_SCALE * view.expressions
            identity = generator.identify(view.scene.stills)
            return draw_frames(generator, identity, self._told(context, view, draws), z_n, shown), context

    def _told(self, context: Tensor, view: View, draws: Draws) -> Tensor:
        """Returns z_c with the real mouth's code in a share of the batch's clips, and as it was heard in the others."""
        lengths, codes = view.scene.lengths, view.codes
        taught = draws.share.parts * len(lengths) * self.stage.taught  # clips of the whole batch
        told = draws.share.index * len(lengths) + lengths.clip < round(taught)
        rest = context[:, codes.shape[1] :]
        return torch.where(told[:, None], torch.cat([(CODE_SCALE * codes).to(rest.dtype), rest], 1), context)

    def ends_epoch(self, step: int) -> bool:
        """Returns whether the mirrored set has been shown once more when so many steps are done."""
        drawn, size = step * self.stage.clips, self.drawer.epochs.size
        return drawn // size > (drawn - self.stage.clips) // size

    def _rate(self, step: int, adversary: Adversary | None = None) -> float:
        """Both decay by 10 % an epoch after epoch 20; the sequence discriminator's is fixed. Section 3.3."""
        stage = self.stage
        epoch = step * stage.clips / self.drawer.epochs.size
        factor = _DECAY ** max(0.0, epoch - _DECAY_AFTER_EPOCHS)
        if adversary is None:
            return stage.learning_rate * factor
        return adversary.learning_rate * (factor if adversary.decays else 1.0)


def draw_frames(
    generator: Generator, identity: Identity, context: Tensor, noise: Tensor, lengths: Lengths
) -> Float[Tensor, "n 3 128 96"]:
    """Draws the frames of clips of any lengths from z_c and z_n ``(n, ...)``.

    Clips of one length share what the decoder needs of their stills. Otherwise each frame has its own copy of it.
    """
    rows = len(lengths)
    if not lengths.alike:
        rows = lengths.frames
        code, still = identity.code[lengths.clip], identity.still[lengths.clip]
        identity = Identity(code, tuple(constant[lengths.clip] for constant in identity.constants), still)
    return generator.decode(identity, context.unflatten(0, (rows, -1)), noise.unflatten(0, (rows, -1))).flatten(0, 1)


def _view(part: Part) -> View:
    """Returns a part's bytes as the networks want them."""
    stills, frames, windows, others, interior, codes, expressions, counts, longest = part
    (of_heard, of_shown), (longest_heard, longest_shown) = counts.T.tolist(), longest[0].tolist()
    heard = Lengths(of_heard, frames.device, longest_heard)
    shown = Lengths(of_shown, frames.device, longest_shown)
    own = heard.own_ends(windows, shown)
    scene = Scene(images(stills), own, shown, others)
    return View(scene, images(frames), windows, heard, interior, codes, expressions)


def _motion(video: Tensor, lengths: Lengths) -> Tensor:
    """Spread over time of the mouth's pixels: a mouth that stands still has 0."""
    mouths = video[..., MOUTH_ROWS, MOUTH_COLUMNS].detach()
    spread = mouths - lengths.mean(mouths)[lengths.clip]
    return lengths.mean(spread.square()).sqrt().mean()  # std over a dimension that is not the last is slow
