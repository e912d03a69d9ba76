"""How soon each Sequence Discriminator is right about everything, and which frames its gradient reaches, side by side in one run.

python benchmarks/sequence_critics.py --data PREPARED [--preset tiny] [--steps 400] [--clips 4] [--frames 40]

Each discriminator trains a generator of its own by the adversarial stage of the preset, from the same seed and with the same
clips. A row shows the mean over the steps since the row before it. "Right" is the share of verdicts about real and about made
videos, and of real videos with wrong sound where they are fake. The gradient is that of the generator's loss in the frames of a
made video of ``--frames`` frames at most: the shares that the first tenth, the middle tenth and the last tenth of the frames
have of the sum of its norms, and the first frame's norm over the last frame's. Even shares are 10 % each.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stillspeak.config import AdversarialStage, Config, SequenceDiscriminatorConfig
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.model.generator import Generator
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import adversarial_loss
from stillspeak.presets import PRESETS
from stillspeak.training.adversary import Adversary, Scene
from stillspeak.training.build import chosen_device, prepare_device
from stillspeak.training.loader import batches, loader_workers
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.team import Draws, Share, Team
from stillspeak.training.tensors import images, sounds


def critics(paper: SequenceDiscriminatorConfig) -> dict[str, SequenceDiscriminatorConfig]:
    """The paper's discriminator, and each change of it alone and together, at the preset's sizes."""
    every, scales = replace(paper, verdicts="every"), replace(paper, verdicts="scales")
    return {
        "the paper's, last frame": paper,
        "last frame, wrong sound": replace(paper, wrong_sound=True),
        "last frame, R1 of 10": replace(paper, r1=10.0),
        "every frame": every,
        "every frame, wrong sound, R1 of 10": replace(every, wrong_sound=True, r1=10.0),
        "time scales": scales,
        "time scales, wrong sound, R1 of 10": replace(scales, wrong_sound=True, r1=10.0),
    }


def trained(config: Config, clips: Clips, steps: int, every: int) -> Iterator[tuple[int, dict[str, float], Tensor]]:
    """Yields, as they pass, a step, the means since the step before, and the gradient of each frame of a made video."""
    device = chosen_device(config.train.device)
    prepare_device(device)
    torch.manual_seed(config.train.seed)
    stage, *_ = config.stages_of(AdversarialStage)
    generator = Generator(config.generator).to(device)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    phase = AdversarialPhase(config, replace(stage, steps=steps), generator, drawer, Team())
    critic = next(adversary for adversary in phase.adversaries if adversary.name == "sequence")
    phase.begin()
    yield 0, {}, gradient_of_frames(critic, generator, clips, stage.frames)
    sums: dict[str, float] = defaultdict(float)
    for step, parts in enumerate(batches(phase.draw, 0, steps, device, loader_workers(device)), 1):
        for name, value in phase.step(step - 1, parts).items():
            sums[name] += float(value) / every
        if step % every == 0:
            yield step, dict(sums), gradient_of_frames(critic, generator, clips, stage.frames)
            sums.clear()


def gradient_of_frames(critic: Adversary, generator: Generator, clips: Clips, most: int) -> Tensor:
    """The norm of the gradient of the generator's loss in each frame of the videos it makes of the first clips, their mean."""
    device, norms = next(generator.parameters()).device, []
    generator.eval(), critic.network.eval()
    for index in range(min(4, len(clips))):
        windows = sounds(clips.windows(index))[:most].to(device)
        still = images(clips.frames(index)[0])[None].to(device)
        noise = generator.draw_noise(1, len(windows), torch.Generator().manual_seed(index)).to(device)
        with torch.no_grad():
            made, _ = generator(generator.identify(still), windows[None], noise, generator.begin(1, device))
        video = made[0].requires_grad_()
        scene = Scene(still, windows, Lengths([len(windows)], device))
        adversarial_loss(critic.look(video, scene, Draws(Share(), 0))).backward(inputs=[video])
        assert video.grad is not None
        norms.append(video.grad.flatten(1).norm(dim=1).cpu())
    generator.train(), critic.network.train()
    shortest = min(map(len, norms))
    return torch.stack([norm[-shortest:] for norm in norms]).mean(dim=0)


def shares(norms: Tensor) -> tuple[float, float, float, float]:
    """The shares of the first, the middle and the last tenth of the frames, and the first frame's norm over the last's."""
    tenth = max(1, round(len(norms) / 10))
    middle = (len(norms) - tenth) // 2
    parts = (norms[part].sum() for part in (slice(tenth), slice(middle, middle + tenth), slice(-tenth, None)))
    first, mid, last = (float(part / norms.sum()) for part in parts)
    return first, mid, last, float(norms[0] / norms[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=100, help="steps between two rows")
    parser.add_argument("--clips", type=int, default=4, help="a step")
    parser.add_argument("--frames", type=int, default=40, help="of each clip at most; 0: whole clips")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    preset = PRESETS[options.preset]()
    assert preset.sequence is not None
    preset = replace(preset, train=replace(preset.train, device=options.device))
    preset = preset.with_stages(
        AdversarialStage, clips=options.clips, frames=options.frames or 0, adversaries_from=0, learns="all"
    )
    clips = Clips(options.data, "train", preset.generator.context)
    frames = int(np.median([record.frames for record in clips.records]))
    print(f"preset {options.preset}, {len(clips)} clips of {frames} frames (median), {options.clips} a step\n")
    print(
        "| Sequence Discriminator | step | right on real | right on fake | loss | first | middle | last | first / last |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, sequence in critics(preset.sequence).items():
        config = replace(preset, sequence=sequence)
        for step, means, norms in trained(config, clips, options.steps, options.every):
            said = ("right_on_real", "right_on_fake", "loss")
            right = [f"{means[f'sequence_{field}']:.2f}" if means else "" for field in said]
            first, middle, last, ratio = shares(norms)
            print(
                f"| {name} | {step} | {' | '.join(right)} | {first:.1%} | {middle:.1%} | {last:.1%} | {ratio:.0e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
