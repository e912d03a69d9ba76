"""Trains the next ``default``: pictures of real speakers and of performers, with mouths at three times the resolution.

The weights of ``default`` were not made by it yet, those of ``sharp`` in part: their ``CARD.md`` says how.

    stillspeak prepare grid GRID prepared
    stillspeak prepare performers HEAD PEOPLE prepared --from prepared
    python recipes/default.py prepared runs/default --init src/stillspeak/weights/default -o my-default

The sound comes from the model that ``--init`` names. A first picture stage teaches the mouth decoder alone, a second one the
Identity Encoder and the Frame Decoder with it. The run goes on until its steps or its hours are over, and where it was stopped
when the command is given again. It does not calibrate how far the mouth opens.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from stillspeak.config import Config, MouthDecoderConfig, MouthDiscriminatorConfig, PictureStage
from stillspeak.presets import sharp
from stillspeak.training.export import export
from stillspeak.training.loop import resume, train
from stillspeak.training.run import RunFolder


def pictures(steps: int, hours: float) -> Config:
    """Pictures alone: first the mouth decoder learns on crops that stay as they are, then both learn together."""
    base = sharp()
    critic = MouthDiscriminatorConfig((32, 64, 96), weight=0.012)
    mouths = PictureStage(steps=steps // 3, clips=10, frames=3, learning_rate=5e-4, learns="mouth", fine_mouth=critic)
    both = replace(mouths, steps=steps - steps // 3, clips=8, learning_rate=6e-4, learns="picture")
    return replace(
        base,
        name="default",
        generator=replace(base.generator, mouth=MouthDecoderConfig()),
        loss=replace(base.loss, eyes=4.0),
        data=replace(base.data, evenness=0.2, openings=0.4, blinks=0.3, open_stills=0.4),
        stages=(mouths, both),
        train=replace(base.train, hours=hours, sample_every=350, log_every=10),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the prepared folder")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--init", type=Path, required=True, help="the model whose sound and pictures it starts from")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of the exported model")
    parser.add_argument("--steps", type=int, default=6000, help="how many picture steps it takes (6000)")
    parser.add_argument("--hours", type=float, default=0.0, help="hours of training after which it stops (no limit)")
    arguments = parser.parse_args()
    if RunFolder(arguments.run).began:
        resume(arguments.run)
    else:
        train(pictures(arguments.steps, arguments.hours), arguments.data, arguments.run, arguments.init)
    print(export(arguments.run, arguments.output))


if __name__ == "__main__":
    main()
