"""The training loop: it knows when to log, sample, validate and save; the phases know what to do.

Phases run one after another: sound and picture (the warm start, ours), then adversarial (the paper's section 3.3).
A step's batch and noise are pure functions of the seed and the step, so a resumed run goes on exactly as it would have, on
as many processes as there are.
"""

import copy
import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from stillspeak.config import Config
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.errors import ModelError, RunError
from stillspeak.model.generator import Generator
from stillspeak.training.calibration import calibrate
from stillspeak.training.checkpoint import pack, take_discriminators, unpack
from stillspeak.training.interrupts import held_interrupts
from stillspeak.training.loader import batches, ended_workers_said, loader_workers, trainers_here
from stillspeak.training.memory import keep_memory
from stillspeak.training.phase import Phase
from stillspeak.training.run import BEST, CHECKPOINT, RunFolder
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.team import Team
from stillspeak.training.trouble import all_numbers, not_finite
from stillspeak.training.warm_start import PicturePhase, SoundPhase, let_blink, open_decoder, open_eyes
from stillspeak.training.watch import Say, Watch
from stillspeak.training.weights import Stage, describe_generator, load_generator, read_generator, remark

_PROGRESS = ("phase_index", "step", "updates", "frames_seen", "seconds", "backed_off")  # of a checkpoint
_CALIBRATION = "calibration"
PHASES: tuple[type[Phase], ...] = (SoundPhase, PicturePhase, AdversarialPhase)


class Trainer:
    """A run in memory: generator, its running average, phases, and how far they are.

    Args:
        folder: the run's folder, already created.
        init: a model folder or run whose generator to start from.
        say: where plain lines go.
        team: the processes that train together.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """

    def __init__(self, folder: RunFolder, init: Path | None = None, say: Say = print, team: Team | None = None) -> None:
        self.folder, self.team = folder, team or Team()
        self.config, data = folder.config()
        train = self.config.train
        if train.threads:
            torch.set_num_threads(train.threads)
        torch.manual_seed(train.seed)
        self.device = chosen_device(train.device)
        prepare_device(self.device)
        self.workers = loader_workers(self.device)
        self.clips = clips = self._clips(data)
        self.generator = Generator(self.config.generator)
        saved = folder.load()
        self._anew = False  # whether the Context Encoder is not the one to start from
        self.code, self.history = self._begin(clips, saved is not None, init)
        self._data = {
            "corpora": sorted(
                {record.corpus for record in clips.records}
                | ({"portraits"} if self.config.data.recombined else set())
                | ({"sentences"} if self.config.data.sentences else set())
            ),
            "speakers": dict(Counter(record.speaker for record in clips.records)),
        }
        self.generator.to(self.device)
        self.average = copy.deepcopy(self.generator).eval().requires_grad_(False)
        drawer = Drawer(clips, self.config.data, self.code)
        self.phases: list[Phase] = [phase(self.config, self.generator, drawer, self.team) for phase in PHASES]
        for phase in self.phases:
            phase.require_shares()
        self._prepare_networks()
        self.phase_index, self.step, self.updates, self.frames_seen, self.seconds, self.backed_off = 0, 0, 0, 0, 0.0, 0
        self.watch = Watch(folder, self.config, data, say, self.team.leads)
        self.say = self.watch.say
        if saved is not None:
            try:
                self._restore(*saved)
            except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise RunError(f"The checkpoint of {folder.path} does not belong to its config.toml.") from error
        elif init is not None:
            if self._anew:
                self.say(f"The Context Encoder of {init} hears otherwise; sound is learnt anew.")
            for name in take_discriminators(init, self.phases):
                self.say(f"discriminator {name}: from {init}")

    def run(self) -> None:
        """Trains to the end. An interrupt (Ctrl-C, SIGTERM) lets the step finish, saves, and raises RunError.

        One that comes after the last step is a KeyboardInterrupt when all is saved.
        """
        self._saved_at = time.monotonic()
        with held_interrupts() as interrupted, self.watch, ended_workers_said(self.folder.command("resume")):
            while self.phase_index < len(self.phases):
                phase = self.phases[self.phase_index]
                while not self._is_over(phase) and self._run_phase(phase, interrupted):
                    pass
                if phase.name == AdversarialPhase.name and self.config.train.calibrate:
                    self._calibrate()
                self.phase_index, self.step = self.phase_index + 1, 0
                self.save()
        self.say(f"done: {self.folder.command('export', '-o', f'{self.folder.path}/export')}")
        if interrupted():
            raise KeyboardInterrupt

    def save(self) -> None:
        """Writes the checkpoint. Raises RunError, and keeps the one before, if a weight is no number any more."""
        self._saved_at = time.monotonic()
        if not self._finite():
            raise RunError(
                f"A weight is not a number; the last checkpoint is good. Lower the learning rates in config.toml and: "
                f"{self.folder.command('resume')}"
            )
        if not self.team.leads:
            return
        tensors = pack(self.generator, self.average, self.phases, self.phase_index)
        tensors["mouth_code.basis"] = torch.from_numpy(self.code.basis)
        progress = {key: getattr(self, key) for key in _PROGRESS}
        progress["patience"] = self.watch.patience.state()
        metadata = describe_generator(self.config, self.code, self.history)
        self.folder.save(tensors, {"progress": json.dumps(progress), **metadata})

    def _finite(self) -> bool:
        """Whether all weights are numbers: what a step does to them shows in the losses of the next one at the earliest."""
        networks = [self.generator, *(network for phase in self.phases for network in phase.networks.values())]
        return all_numbers(weight for network in networks for weight in network.parameters())

    def _run_phase(self, phase: Phase, interrupted: Callable[[], bool]) -> bool:
        """Steps to the phase's end; or back to the last checkpoint, and then it must be run again: True."""
        train = self.config.train
        phase.rate = 0.5**self.backed_off
        began, began_at, last = time.monotonic(), self.step, time.monotonic()
        for parts in batches(phase.draw, self.step, phase.steps, self.device, self.workers):
            scalars = phase.step(self.step, parts)
            self._update_average()
            self.step += 1
            last, seconds = time.monotonic(), time.monotonic() - last
            self._count(phase, sum(part[-1].shape[0] * part[-1].shape[1] for part in parts) * self.team.size, seconds)
            stopping, late = self.team.any(interrupted()), self._out_of_time()
            ends = late or self.step == phase.steps
            samples = ends or (train.sample_every and self.step % train.sample_every == 0)
            epoch = phase.name == AdversarialPhase.name and self._at_epoch_end()
            over = False
            if self.step % train.log_every == 0 or samples or epoch or stopping:  # nothing is kept that was not checked
                values = {name: float(value) for name, value in self.team.average(scalars).items()}
                values |= {} if self._finite() else {"a weight": math.nan}
                if self._backs_off(phase, values):
                    return True
                pace = (time.monotonic() - began) / (self.step - began_at)
                self._trouble(self.watch.tick(phase, self.step, values, self._done(), pace))
                if epoch:
                    over = self.team.any(self.watch.epoch(self.step, self._average_here(), self.code, self.history))
                if samples or over:
                    self._trouble(self.watch.sample(phase, self.step, self._average_here(), self.code, self._done()))
                if stopping or time.monotonic() - self._saved_at > train.save_every_seconds:
                    self.save()
            if stopping:
                raise RunError(f"Stopped and saved; go on with: {self.folder.command('resume')}")
            if over or late:
                break
        return False

    def _is_over(self, phase: Phase) -> bool:
        """Whether a phase takes no step any more: the time of the run is used up, or patience ended before it was stopped."""
        impatient = phase.name == AdversarialPhase.name and self.team.any(self.watch.patience.over)
        return impatient or self._out_of_time()

    def _out_of_time(self) -> bool:
        """Whether the run has trained for ``train.hours``."""
        hours = self.config.train.hours
        return bool(hours) and self.team.any(self.seconds > 3600 * hours)

    def _done(self) -> dict[str, float]:
        return {"frames": self.frames_seen, "seconds": round(self.seconds, 1)}

    def _trouble(self, sentence: str) -> None:
        """Says what is wrong; ends the run, in every process, if it is configured to."""
        if sentence:
            self.say(f"  WARNING: {sentence}")
        if self.config.train.on_trouble == "stop" and self.team.any(bool(sentence)):
            self.save()
            raise RunError(f"{sentence} Saved; go on with: {self.folder.command('resume')}")

    def _backs_off(self, phase: Phase, values: Mapping[str, float]) -> bool:
        """Whether a value was no number and the run is back at its last checkpoint, which is always good.

        Raises:
            RunError: if it may not go back, or not again.
        """
        bad = not_finite(values)
        if not bad:
            return False
        at, what = f"{phase.name} step {self.step}", f"{', '.join(bad)} is not a number"
        if self.backed_off >= self.config.train.back_off:
            raise RunError(
                f"{at}: {what}; the last checkpoint is good. Lower the learning rates in config.toml, or let "
                f"train.back_off halve them, and: {self.folder.command('resume')}"
            )
        times = self.backed_off + 1
        saved = self.folder.load()
        assert saved is not None
        self._restore(*saved)
        self.backed_off = times
        self.say(f"  WARNING: {at}: {what}; back to step {self.step} at {0.5**times:g} of the learning rates")
        self.save()
        return True

    def _at_epoch_end(self) -> bool:
        epoch = math.ceil(len(self.clips) / self.config.train.clips)
        return bool(self.config.train.patience_epochs) and self.step % epoch == 0

    def _calibrate(self) -> None:
        best = self.folder.path / BEST
        if best.is_file():  # what is exported is what is calibrated
            kept = read_generator(best)
            self.average.load_state_dict(kept.weights)
            if _calibrations(kept.history) > _calibrations(self.history):  # before a checkpoint could say so
                self.history = kept.history
                return
        average = self._average_here()
        factors = calibrate(average, self.clips, self.code, expressions=self.config.warm.expression)
        self.average.load_state_dict(average.state_dict())
        self.history.append(remark(f"{_CALIBRATION}: mouth x {factors.mouth:.2f}, eyes x {factors.eyes:.2f}"))
        self.team.wait()
        self.watch.calibration(factors, average, self.code, self.history)

    def _average_here(self) -> Generator:
        """The running average on the CPU, where the monitor draws."""
        return self.average if self.device.type == "cpu" else copy.deepcopy(self.average).cpu()

    def _count(self, phase: Phase, frames: int, seconds: float) -> None:
        self.frames_seen += frames
        self.seconds += seconds
        stage = self._stage(phase)
        stage["steps"], stage["frames"] = self.step, stage["frames"] + frames
        stage["hours"] += seconds / 3600

    def _update_average(self) -> None:
        """Adds the newest weights to the running average, which goes on through all phases of a run."""
        decay = min(self.config.train.ema, (1 + self.updates) / (10 + self.updates))
        pairs = list(zip(self.average.state_dict().values(), self.generator.state_dict().values(), strict=True))
        with torch.no_grad():
            kept, new = zip(*(pair for pair in pairs if pair[0].dtype.is_floating_point), strict=True)
            get_ema_multi_avg_fn(decay)(kept, new, self.updates)
            for count, other in pairs:
                if not count.dtype.is_floating_point:
                    count.copy_(other)
        self.updates += 1

    def _clips(self, data: Path) -> Clips:
        """The training clips; the leader decodes them before the others read them."""
        if not self.team.leads:
            self.team.wait()
        readers = trainers_here() * max(1, self.workers)
        fine = self.config.generator.mouth is not None
        clips = Clips(data, "train", self.config.generator.context, readers=readers, fine=fine)
        if self.team.leads:
            self.team.wait()
        return clips

    def _prepare_networks(self) -> None:
        """Memory layout, norms over all processes, compilation: of the generator and of every discriminator."""
        networks = [self.generator, *(network for phase in self.phases for network in phase.networks.values())]
        for network in networks:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.team.synchronise_norms(network)
        if self.device.type == "cuda":  # of one layout, all weights are averaged at once
            self.average.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.config.train.compile:
            for network in (self.generator.identity, self.generator.decoder, *networks[1:]):
                network.compile()

    def _begin(self, clips: Clips, resumed: bool, init: Path | None) -> tuple[MouthCode, list[Stage]]:
        """The mouth code and the stages of training so far: of the checkpoint, of the model to start from, or new."""
        if resumed:
            trained = read_generator(self.folder.path / CHECKPOINT)
            return trained.code, trained.history
        warm = self.config.warm
        if init is not None:
            trained = load_generator(init, self.generator)
            self._anew = trained.config.generator.context != self.config.generator.context
            if self._anew and not warm.sound_steps:
                raise ModelError(
                    f"The Context Encoder of {init} hears otherwise; to learn sound anew set warm.sound-steps above 0."
                )
            code, history = trained.code, [{**stage, "run": ""} for stage in trained.history]
        else:
            code, history = fit_mouth_code(clips.points, warm.code), []
            if warm.picture_steps:
                open_decoder(self.generator, warm.code)
        if warm.expression:
            if warm.picture_steps:
                open_eyes(self.generator, len(code.basis))
            let_blink(self.generator, warm.blinks_per_s)
        return code, history

    def _stage(self, phase: Phase) -> Stage:
        """This run's entry of a phase in the history."""
        run = self.folder.path.resolve().name
        for stage in self.history:
            if (stage["run"], stage["phase"]) == (run, phase.name):
                return stage
        hardware = (
            torch.cuda.get_device_name() if self.device.type == "cuda" else f"{torch.get_num_threads()} CPU threads"
        )
        hardware += ", bfloat16" if phase.in_bfloat16 else ""
        stage = {"run": run, "phase": phase.name, "steps": 0, "frames": 0, "hours": 0.0, "hardware": hardware}
        self.history.append(stage | self._data)
        return self.history[-1]

    def _restore(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        progress = json.loads(metadata["progress"])
        self.watch.patience.restore(progress.pop("patience", None))
        progress = {"backed_off": 0, "updates": progress["step"], **progress}  # older checkpoints lack these two
        for key in _PROGRESS:
            if not isinstance(progress[key], int | float):
                raise TypeError(key)
            setattr(self, key, progress[key])
        unpack(tensors, self.generator, self.average, self.phases, self.phase_index)


def _calibrations(history: list[Stage]) -> int:
    return sum(stage["phase"].startswith(_CALIBRATION) for stage in history)


def prepare_device(device: torch.device) -> None:
    """Before the first step: a CPU's memory is kept; full precision on a GPU is full, for the mel bands' sake (not TF32)."""
    if device.type == "cpu":
        keep_memory()
    else:
        torch.backends.cudnn.allow_tf32 = False


def chosen_device(name: str) -> torch.device:
    """The device of a name: cpu, cuda, or auto. Raises RunError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise RunError(f"There is no device {name} here; train.device takes cpu, cuda or auto.")
    return torch.device(name)


def train(config: Config, data: Path, run: Path, init: Path | None = None, say: Say = print) -> None:
    """Starts a run in the folder ``run``; after ``torchrun`` restarted its processes, goes on with it.

    Raises:
        RunError, DataError, ModelError: with a sentence, if it cannot.
    """
    folder, team = RunFolder(run), Team()
    restarted = team.any(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0)
    if restarted and team.any(team.leads and folder.exists):
        if folder.config() != (config, data.resolve()):
            raise RunError(f"{run} holds a run of other settings; give this one a folder of its own.")
        with folder.held() if team.leads else nullcontext():
            Trainer(folder, init, say, team).run()
        return
    if not team.leads:
        team.wait()
        Trainer(folder, init, say, team).run()
        return
    with ExitStack() as held:
        folder.make()
        held.enter_context(folder.held())
        with folder.created(config, data):
            team.wait()
            trainer = Trainer(folder, init, say, team)
            trainer.save()  # from here on a resume knows what the run started from
        trainer.run()


def resume(run: Path, say: Say = print) -> None:
    """Goes on with a run where its checkpoint stands.

    Raises:
        RunError, DataError, ModelError: with a sentence, if it cannot; where there is no checkpoint nobody knows any more what
            the run was to start from.
    """
    folder = RunFolder(run)
    if folder.exists and not folder.began:
        raise RunError(f"{run} was ended before its first checkpoint; start it again with: stillspeak train")
    team = Team()
    with folder.held() if team.leads else nullcontext():
        Trainer(folder, say=say, team=team).run()
