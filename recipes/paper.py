"""Trains the paper's own method from prepared clips to an exported model: raw sound, no landmarks in a loss, no warm start.

    stillspeak prepare grid GRID prepared
    python recipes/paper.py prepared runs/paper_half -o my-paper --hours 1.5

The Frame Discriminator and the Sequence Discriminator judge from the first step to the last, and the generator paints every
pixel. ``--width`` says by how much the channels of all convolutions are divided: 1 trains the preset ``paper``, 2 trains
``paper_half``. Each time the command is given, the run trains for ``--hours`` more, goes on where it stopped, and exports what
it has learnt so far. Ctrl-C stops it in the same way.
"""

import argparse
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

from stillspeak.config import AdversarialStage, Config
from stillspeak.errors import StillspeakError, StoppedError
from stillspeak.presets import paper
from stillspeak.training.export import export
from stillspeak.training.loop import resume, train
from stillspeak.training.run import RunFolder
from stillspeak.variants import narrower

_NAMES = {1: "paper", 2: "paper_half", 4: "paper_quarter"}


def settings(width: int, clips: int, frames: int, threads: int) -> Config:
    """Returns the preset ``paper`` with its channels divided by ``width``; the batch fits the machine."""
    config = narrower(paper(), width, _NAMES[width])
    config = config.with_stages(AdversarialStage, clips=clips, frames=frames)
    return replace(config, train=replace(config.train, threads=threads, log_every=10, sample_every=200))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the prepared folder")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the folder of the exported model")
    parser.add_argument("--width", type=int, choices=list(_NAMES), default=2, help="what channels are divided by (2)")
    parser.add_argument("--hours", type=float, default=0.0, help="hours after which it stops and exports (no limit)")
    parser.add_argument("--clips", type=int, default=8, help="how many clips a step sees (8)")
    parser.add_argument("--frames", type=int, default=0, help="the longest piece of a clip (0: whole clips)")
    parser.add_argument("--threads", type=int, default=0, help="threads of the CPU (PyTorch's own choice)")
    arguments = parser.parse_args()
    try:
        learn(arguments)
        print(export(arguments.run, arguments.output))
    except StillspeakError as error:
        parser.exit(2, f"{error}\n")


def learn(arguments: argparse.Namespace) -> None:
    """Begins the run or goes on with it, until its stages, the given hours or the user end it."""
    alarm = threading.Timer(3600 * arguments.hours, os.kill, (os.getpid(), signal.SIGINT))
    alarm.daemon = True
    if arguments.hours:
        alarm.start()
    try:
        if RunFolder(arguments.run).began:
            resume(arguments.run)
        else:
            config = settings(arguments.width, arguments.clips, arguments.frames, arguments.threads)
            train(config, arguments.data, arguments.run)
    except (StoppedError, KeyboardInterrupt) as stopped:  # the latter comes before the first step, or after the last
        print(stopped)
    finally:
        alarm.cancel()


if __name__ == "__main__":
    main()
