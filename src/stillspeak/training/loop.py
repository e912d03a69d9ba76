"""The training loop: it knows when to log, sample and save; the phases know what to do.

Phases run one after another: sound and picture (the warm start, ours), then adversarial (the paper's section 3.3). A step's
batch and noise are pure functions of the seed and the step, so a resumed run goes on exactly as it would have.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stillspeak.config import Config
from stillspeak.data.clips import Clips, Drawer
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.errors import RunError
from stillspeak.model.generator import Generator
from stillspeak.training.monitor import Monitor
from stillspeak.training.run import RunFolder, config_to_dict, pack_optimiser, unpack_optimiser
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.warm_start import PicturePhase, SoundPhase, open_decoder
from stillspeak.training.weights import load_generator

Say = Callable[[str], None]


class Phase(Protocol):
    """One stage of training: how many steps, what a step needs, what it does."""

    name: str
    steps: int
    networks: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def draw(self, step: int) -> Any: ...

    def step(self, step: int, batch: Any) -> dict[str, Tensor]: ...


class Trainer:
    """A run in memory: generator, its running average, phases, and how far they are.

    Args:
        folder: the run's folder, already created.
        init: a model folder or run whose generator to start from.
        say: where plain lines go.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """

    def __init__(self, folder: RunFolder, init: Path | None = None, say: Say = print) -> None:
        self.folder, self.say = folder, say
        self.config, data = folder.config()
        train = self.config.train
        if train.threads:
            torch.set_num_threads(train.threads)
        torch.manual_seed(train.seed)
        clips = Clips(data, "train", self.config.generator.context)
        self.generator = Generator(self.config.generator)
        saved = folder.load()
        self.code = self._mouth_code(clips, saved, init)
        if init is None and self.config.warm.picture_steps:
            open_decoder(self.generator, self.config.warm.code)
        drawer = Drawer(clips, self.config.data, self.code)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.phases: list[Phase] = [
            phase(self.config, self.generator, drawer) for phase in (SoundPhase, PicturePhase, AdversarialPhase)
        ]
        self.phase_index, self.step, self.frames_seen, self.seconds = 0, 0, 0, 0.0
        if saved is not None:
            self._restore(*saved)
        self.monitor = Monitor(self.config, data, folder.path / "samples")

    def run(self) -> None:
        """Trains to the end. An interrupt saves first."""
        self._saved_at = time.monotonic()
        try:
            while self.phase_index < len(self.phases):
                self._run_phase(self.phases[self.phase_index])
                self.phase_index, self.step = self.phase_index + 1, 0
                self.save()
        except KeyboardInterrupt:
            self.save()
            raise RunError(f"Stopped and saved; go on with: stillspeak resume {self.folder.path}") from None
        self.say(f"done: stillspeak export {self.folder.path} -o {self.folder.path}/export")

    def save(self) -> None:
        """Writes the checkpoint."""
        tensors = {f"generator.{name}": tensor for name, tensor in self.generator.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        tensors["mouth_code.basis"] = torch.from_numpy(self.code.basis)
        if self.phase_index < len(self.phases):
            phase = self.phases[self.phase_index]
            for name, network in phase.networks.items():
                tensors |= {f"network.{name}.{key}": value for key, value in network.state_dict().items()}
            for name, optimiser in phase.optimisers.items():
                tensors |= pack_optimiser(f"optimiser.{name}.", optimiser)
        progress = {key: getattr(self, key) for key in ("phase_index", "step", "frames_seen", "seconds")}
        metadata = {
            "progress": json.dumps(progress),
            "config": json.dumps(config_to_dict(self.config)),
            "mouth_code_scale": repr(self.code.scale),
        }
        self.folder.save(tensors, metadata)
        self._saved_at = time.monotonic()

    def _run_phase(self, phase: Phase) -> None:
        train = self.config.train
        began, began_at = time.monotonic(), self.step
        with ThreadPoolExecutor(1) as pool:  # the next batch is drawn while this one is learnt
            upcoming = pool.submit(phase.draw, self.step)
            while self.step < phase.steps:
                batch = upcoming.result()
                upcoming = pool.submit(phase.draw, self.step + 1)
                started = time.monotonic()
                scalars = phase.step(self.step, batch)
                self._update_average(self.step)
                self.step += 1
                self.frames_seen += batch[-1].shape[0] * batch[-1].shape[1]
                self.seconds += time.monotonic() - started
                if self.step % train.log_every == 0 or self.step == phase.steps:
                    pace = (time.monotonic() - began) / (self.step - began_at)
                    self._log(phase, scalars, pace)
                if self.step % train.sample_every == 0 or self.step == phase.steps:
                    self._sample(phase)
                if time.monotonic() - self._saved_at > train.save_every_seconds:
                    self.save()

    def _log(self, phase: Phase, scalars: dict[str, Tensor], pace: float) -> None:
        values = {name: round(float(value), 5) for name, value in scalars.items()}
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise RunError(
                f"{phase.name} step {self.step}: {', '.join(bad)} is not a number; the last checkpoint is good. "
                f"Lower the learning rate and: stillspeak resume {self.folder.path}"
            )
        place = {"phase": phase.name, "step": self.step, "frames": self.frames_seen, "seconds": round(self.seconds, 1)}
        self.folder.log({**place, **values})
        left = round(pace * (phase.steps - self.step))
        eta = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.say(f"{phase.name} {self.step}/{phase.steps}  {pace:.2f} s/step  eta {eta}  {shown}")

    def _sample(self, phase: Phase) -> None:
        if phase.name == SoundPhase.name:
            figures = self.monitor.sound_figures(self.average, self.code)
        else:
            figures = self.monitor.sample(self.average, self.code, f"{phase.name}-{self.step:06}", phase.name)
        if not figures:
            return
        self.folder.log({"phase": phase.name, "step": self.step, "frames": self.frames_seen, **figures})
        self.say("  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        still = [name for name, value in figures.items() if name.endswith("opening_spread") and value < 0.3]  # noqa: PLR2004
        if still and phase.name == AdversarialPhase.name:
            self.say(
                f"  WARNING: the mouth hardly moves ({', '.join(still)}): train the sound phase longer or raise loss.code."
            )

    def _update_average(self, step: int) -> None:
        decay = min(self.config.train.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True):
                if kept.dtype.is_floating_point:
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def _mouth_code(
        self, clips: Clips, saved: tuple[dict[str, Tensor], dict[str, str]] | None, init: Path | None
    ) -> MouthCode:
        if saved is not None:
            return MouthCode(saved[0]["mouth_code.basis"].numpy(), float(saved[1]["mouth_code_scale"]))
        if init is not None:
            return load_generator(init, self.generator)
        return fit_mouth_code(clips.points, self.config.warm.code)

    def _restore(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

        self.generator.load_state_dict(part("generator."))
        self.average.load_state_dict(part("average."))
        for key, value in json.loads(metadata["progress"]).items():
            setattr(self, key, value)
        if self.phase_index < len(self.phases):
            phase = self.phases[self.phase_index]
            for name, network in phase.networks.items():
                network.load_state_dict(part(f"network.{name}."))
            for name, optimiser in phase.optimisers.items():
                unpack_optimiser(f"optimiser.{name}.", optimiser, tensors)


def train(config: Config, data: Path, run: Path, init: Path | None = None, say: Say = print) -> None:
    """Starts a run in the folder ``run``. Raises RunError, DataError or ModelError with a sentence if it cannot."""
    folder = RunFolder(run)
    folder.create(config, data)
    try:
        trainer = Trainer(folder, init, say)
    except Exception:
        (folder.path / "config.toml").unlink()  # nothing was trained: the folder is free for another try
        raise
    trainer.run()


def resume(run: Path, say: Say = print) -> None:
    """Goes on with a run where its checkpoint stands."""
    Trainer(RunFolder(run), say=say).run()
