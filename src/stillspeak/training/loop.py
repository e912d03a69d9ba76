"""The training loop: it knows when to log, sample and save; the phases know what to do.

Phases run one after another: sound and picture (the warm start, ours), then adversarial (the paper's section 3.3). A step's
batch and noise are pure functions of the seed and the step, so a resumed run goes on exactly as it would have.
"""

import copy
import json
import math
import time
from collections import Counter
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
from stillspeak.training.calibration import calibrate_opening
from stillspeak.training.interrupts import held_interrupts
from stillspeak.training.monitor import Monitor
from stillspeak.training.run import RunFolder, pack_optimiser, unpack_optimiser
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.warm_start import PicturePhase, SoundPhase, open_decoder
from stillspeak.training.weights import Stage, describe_generator, load_generator, read_generator

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
        self.clips = clips = Clips(data, "train", self.config.generator.context)
        self.device = chosen_device(train.device)
        self.generator = Generator(self.config.generator)
        saved = folder.load()
        self.code, self.history = self._begin(clips, saved is not None, init)
        self._data = {
            "corpora": sorted({record.corpus for record in clips.records}),
            "speakers": dict(Counter(record.speaker for record in clips.records)),
        }
        drawer = Drawer(clips, self.config.data, self.code)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)  # stays on the CPU
        self.generator.to(self.device)
        self.phases: list[Phase] = [
            phase(self.config, self.generator, drawer) for phase in (SoundPhase, PicturePhase, AdversarialPhase)
        ]
        self.phase_index, self.step, self.frames_seen, self.seconds = 0, 0, 0, 0.0
        if saved is not None:
            self._restore(*saved)
        self.monitor = Monitor(self.config, data, folder.path / "samples")

    def run(self) -> None:
        """Trains to the end. An interrupt (Ctrl-C, SIGTERM) lets the step finish, saves, and raises RunError."""
        self._saved_at = time.monotonic()
        with held_interrupts() as interrupted:
            while self.phase_index < len(self.phases):
                phase = self.phases[self.phase_index]
                self._run_phase(phase, interrupted)
                if phase.name == AdversarialPhase.name and phase.steps and self.config.train.calibrate:
                    factor = calibrate_opening(self.average, self.clips, self.code)
                    self.folder.log({"phase": "calibration", "step": 1, "opening_factor": factor})
                    self.say(f"calibration: the mouth's motion times {factor:.2f}")
                self.phase_index, self.step = self.phase_index + 1, 0
                self.save()
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
        metadata = describe_generator(self.config, self.code, self.history)
        self.folder.save(tensors, {"progress": json.dumps(progress), **metadata})
        self._saved_at = time.monotonic()

    def _run_phase(self, phase: Phase, interrupted: Callable[[], bool]) -> None:
        train = self.config.train
        began, began_at = time.monotonic(), self.step
        with ThreadPoolExecutor(1) as pool:  # the next batch is drawn while this one is learnt
            upcoming = pool.submit(phase.draw, self.step)
            while self.step < phase.steps:
                batch = upcoming.result()
                upcoming = pool.submit(phase.draw, self.step + 1)
                started = time.monotonic()
                scalars = phase.step(self.step, tuple(tensor.to(self.device) for tensor in batch))
                self._update_average(self.step)
                self.step += 1
                self._count(phase, batch[-1].shape[0] * batch[-1].shape[1], time.monotonic() - started)
                if self.step % train.log_every == 0 or self.step == phase.steps:
                    pace = (time.monotonic() - began) / (self.step - began_at)
                    self._log(phase, scalars, pace)
                if self.step % train.sample_every == 0 or self.step == phase.steps:
                    self._sample(phase)
                if interrupted() or time.monotonic() - self._saved_at > train.save_every_seconds:
                    self._require_finite(phase, scalars)
                    self.save()
                if interrupted():
                    raise RunError(f"Stopped and saved; go on with: stillspeak resume {self.folder.path}")

    def _count(self, phase: Phase, frames: int, seconds: float) -> None:
        self.frames_seen += frames
        self.seconds += seconds
        stage = self._stage(phase)
        stage["steps"], stage["frames"] = self.step, stage["frames"] + frames
        stage["hours"] += seconds / 3600

    def _log(self, phase: Phase, scalars: dict[str, Tensor], pace: float) -> None:
        self._require_finite(phase, scalars)
        values = {name: round(float(value), 5) for name, value in scalars.items()}
        place = {"phase": phase.name, "step": self.step, "frames": self.frames_seen, "seconds": round(self.seconds, 1)}
        self.folder.log({**place, **values})
        left = round(pace * (phase.steps - self.step))
        eta = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.say(f"{phase.name} {self.step}/{phase.steps}  {pace:.2f} s/step  eta {eta}  {shown}")

    def _require_finite(self, phase: Phase, scalars: dict[str, Tensor]) -> None:
        """Called before anything is saved, so that the checkpoint on disk is always good."""
        bad = [name for name, value in scalars.items() if not math.isfinite(float(value))]
        if bad:
            raise RunError(
                f"{phase.name} step {self.step}: {', '.join(bad)} is not a number; the last checkpoint is good. "
                f"Lower the learning rate in config.toml and: stillspeak resume {self.folder.path}"
            )

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
                f"  WARNING: the mouth hardly moves ({', '.join(still)}): train the sound and picture phases longer."
            )

    def _update_average(self, step: int) -> None:
        decay = min(self.config.train.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True):
                new = new.to(kept.device)
                if kept.dtype.is_floating_point:
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def _begin(self, clips: Clips, resumed: bool, init: Path | None) -> tuple[MouthCode, list[Stage]]:
        """The mouth code and the stages of training so far: of the checkpoint, of the model to start from, or new."""
        if resumed:
            trained = read_generator(self.folder.path)
            return trained.code, trained.history
        if init is not None:
            trained = load_generator(init, self.generator)
            return trained.code, [{**stage, "run": ""} for stage in trained.history]
        if self.config.warm.picture_steps:
            open_decoder(self.generator, self.config.warm.code)
        return fit_mouth_code(clips.points, self.config.warm.code), []

    def _stage(self, phase: Phase) -> Stage:
        """This run's entry of a phase in the history."""
        run = self.folder.path.name
        for stage in self.history:
            if (stage["run"], stage["phase"]) == (run, phase.name):
                return stage
        hardware = (
            torch.cuda.get_device_name() if self.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
        )
        stage = {"run": run, "phase": phase.name, "steps": 0, "frames": 0, "hours": 0.0, "hardware": hardware}
        self.history.append(stage | self._data)
        return self.history[-1]

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


def chosen_device(name: str) -> torch.device:
    """The device of a name: cpu, cuda, or auto. Raises RunError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise RunError(f"There is no device {name} here; train.device takes cpu, cuda or auto.")
    return torch.device(name)


def train(config: Config, data: Path, run: Path, init: Path | None = None, say: Say = print) -> None:
    """Starts a run in the folder ``run``. Raises RunError, DataError or ModelError with a sentence if it cannot."""
    folder = RunFolder(run)
    with folder.created(config, data):
        trainer = Trainer(folder, init, say)
        trainer.save()  # from here on a resume knows what the run started from
    trainer.run()


def resume(run: Path, say: Say = print) -> None:
    """Goes on with a run where its checkpoint stands."""
    Trainer(RunFolder(run), say=say).run()
