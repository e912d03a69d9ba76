"""The training loop: it knows when to log, sample, validate and save; the phases know what to do.

The loop trains whatever ``subject.py`` describes. A generator's phases run one after another: sound and picture (the warm start,
ours), then adversarial (the paper's section 3.3). A judge has one phase. A step's batch and noise are pure functions of the seed
and the step, so a resumed run goes on exactly as it would have, on as many processes as there are.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from stillspeak.config import Config
from stillspeak.errors import RunError, StoppedError
from stillspeak.judge_config import JudgeConfig
from stillspeak.training.build import build as build_generator
from stillspeak.training.build import chosen_device, prepare_device
from stillspeak.training.interrupts import held_interrupts
from stillspeak.training.loader import batches, ended_workers_said, loader_workers
from stillspeak.training.phase import Phase
from stillspeak.training.run import RunFolder
from stillspeak.training.subject import Build, Place
from stillspeak.training.team import Team
from stillspeak.training.trouble import not_finite
from stillspeak.training.watch import Say

_SAVE_EVERY_SECONDS = 180.0  # a run that is killed loses this much at most


class _Due(NamedTuple):
    """Says what is due after a step. Nothing is kept that was not checked, so everything here asks for a look at the losses.

    Attributes:
        stopping: the user wants the run to stop.
        late: the time of the run is used up.
        log: a line of metrics.
        samples: figures, strips and videos.
        epoch: the validation at an epoch's end.
    """

    stopping: bool
    late: bool
    log: bool
    samples: bool
    epoch: bool


class Trainer:
    """Trains a run step after step.

    Args:
        folder: the run's folder, already created.
        init: a model folder or run to start from.
        say: where plain lines go.
        team: the processes that train together.
        build: builds what is trained: a generator, or a judge.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """

    def __init__(
        self,
        folder: RunFolder,
        init: Path | None = None,
        say: Say = print,
        team: Team | None = None,
        build: Build = build_generator,
    ) -> None:
        self.folder, self.team = folder, team or Team()
        self.settings = folder.settings()[0].train
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        torch.manual_seed(self.settings.seed)
        self.device = chosen_device(self.settings.device)
        prepare_device(self.device)
        self.workers = loader_workers(self.device)
        saved = folder.load()
        place = Place(folder, self.team, self.device, self.workers, say)
        self.state, self.watch, self._begin, self._finish, notes = build(place, init, saved is not None)
        self.say = self.watch.say
        for note in notes:
            self.say(note)
        if saved is not None:
            try:
                self.state.restore(*saved)
            except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
                raise RunError(f"The checkpoint of {folder.path} does not belong to its config.toml.") from error

    def run(self) -> None:
        """Trains to the end. An interrupt (Ctrl-C, SIGTERM) lets the step finish, saves, and raises RunError.

        One that comes after the last step is a KeyboardInterrupt when all is saved.
        """
        self._saved_at = time.monotonic()
        with held_interrupts() as interrupted, self.watch, ended_workers_said(self.folder.command("resume")):
            while self.state.phase_index < len(self.state.phases):
                phase = self.state.phases[self.state.phase_index]
                while not self._is_over(phase) and self._run_phase(phase, interrupted):
                    pass
                self._finish(phase)
                self.state.phase_index, self.state.step = self.state.phase_index + 1, 0
                self.save()
        self.say(f"done: {self.folder.command('export', '-o', f'{self.folder.path}/export')}")
        if interrupted():
            raise KeyboardInterrupt

    def save(self) -> None:
        """Writes the checkpoint. Raises RunError, and keeps the one before, if a weight is no number any more."""
        self._saved_at = time.monotonic()
        if not self.state.finite:
            raise RunError(
                f"A weight is not a number; the last checkpoint is good. Lower the learning rates in config.toml and: "
                f"{self.folder.command('resume')}"
            )
        if not self.team.leads:
            return
        self.folder.save(*self.state.packed())

    def _run_phase(self, phase: Phase, interrupted: Callable[[], bool]) -> bool:
        """Steps to the phase's end; or back to the last checkpoint, and then it must be run again: True."""
        state = self.state
        self._begin(phase)
        phase.begin()
        phase.rate = 0.5**state.backed_off
        began, began_at, last = time.monotonic(), state.step, time.monotonic()
        for parts in batches(phase.draw, state.step, phase.steps, self.device, self.workers):
            scalars = phase.step(state.step, parts)
            state.step_done()
            last, seconds = time.monotonic(), time.monotonic() - last
            state.count(phase, sum(map(phase.frames_of, parts)) * self.team.size, seconds)
            due, over = self._due(phase, self.team.any(interrupted())), False
            if any(due):
                values = {name: float(value) for name, value in self.team.average(scalars).items()}
                values |= {} if state.finite else {"a weight": math.nan}
                if self._backs_off(phase, values):
                    return True
                pace = (time.monotonic() - began) / (state.step - began_at)
                self._trouble(self.watch.tick(phase, state, values, pace))
                over = self._look(phase, due)
            if due.stopping:
                raise StoppedError(f"Stopped and saved; go on with: {self.folder.command('resume')}")
            if over or due.late:
                break
        return False

    def _due(self, phase: Phase, stopping: bool) -> _Due:
        """Returns what is due after the step that was just taken."""
        step, figures_every = self.state.step, self.watch.figures_every
        late = self._out_of_time()
        samples = late or step == phase.steps or bool(figures_every and step % figures_every == 0)
        return _Due(stopping, late, step % self.settings.log_every == 0, samples, self.watch.ends_epoch(phase, step))

    def _look(self, phase: Phase, due: _Due) -> bool:
        """Measures, samples and saves what is due; returns whether the phase ends because it gains nothing any more."""
        state, over = self.state, False
        if due.epoch:
            over = self.team.any(self.watch.validate(state))
        if due.samples or over:
            self._trouble(self.watch.sample(phase, state))
        if due.stopping or time.monotonic() - self._saved_at > _SAVE_EVERY_SECONDS:
            self.save()
        return over

    def _is_over(self, phase: Phase) -> bool:
        """Returns whether a phase takes no step any more: the time of the run is up, or patience ended before it was stopped."""
        return self.team.any(self.state.is_over(phase)) or self._out_of_time()

    def _out_of_time(self) -> bool:
        """Returns whether the run has trained for ``train.hours``."""
        hours = self.settings.hours
        return bool(hours) and self.team.any(self.state.seconds > 3600 * hours)

    def _trouble(self, sentence: str) -> None:
        """Says what is wrong; ends the run, in every process, if it is configured to."""
        if sentence:
            self.say(f"  WARNING: {sentence}")
        if self.watch.stops and self.team.any(bool(sentence)):
            self.save()
            raise RunError(f"{sentence} Saved; go on with: {self.folder.command('resume')}")

    def _backs_off(self, phase: Phase, values: Mapping[str, float]) -> bool:
        """Returns whether a value was no number and the run is back at its last checkpoint, which is always good.

        Raises:
            RunError: if it may not go back, or not again.
        """
        bad = not_finite(values)
        if not bad:
            return False
        at, what = f"{phase.name} step {self.state.step}", f"{', '.join(bad)} is not a number"
        if self.state.backed_off >= self.settings.back_off:
            raise RunError(
                f"{at}: {what}; the last checkpoint is good. Lower the learning rates in config.toml, or let "
                f"train.back_off halve them, and: {self.folder.command('resume')}"
            )
        times = self.state.backed_off + 1
        saved = self.folder.load()
        assert saved is not None
        self.state.restore(*saved)
        self.state.backed_off = times
        self.say(f"  WARNING: {at}: {what}; back to step {self.state.step} at {0.5**times:g} of the learning rates")
        self.save()
        return True


def train(
    config: Config | JudgeConfig,
    data: Path,
    run: Path,
    init: Path | None = None,
    say: Say = print,
    build: Build = build_generator,
) -> None:
    """Starts a run in the folder ``run``; after ``torchrun`` restarted its processes, goes on with it.

    Args:
        config: the settings of the run.
        data: the prepared folder to learn from.
        run: the folder of the run, which must be new.
        init: a model folder or run to start from.
        say: where plain lines go.
        build: builds what the config describes.

    Raises:
        RunError, DataError, ModelError: with a sentence, if it cannot.
    """
    folder, team = RunFolder(run), Team()
    restarted = team.any(int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0)
    if restarted and team.any(team.leads and folder.exists):
        if folder.settings() != (config, data.resolve()):
            raise RunError(f"{run} holds a run of other settings; give this one a folder of its own.")
        with folder.held() if team.leads else nullcontext():
            Trainer(folder, init, say, team, build).run()
        return
    if not team.leads:
        team.wait()
        return Trainer(folder, init, say, team, build).run()
    with ExitStack() as held:
        folder.make()
        held.enter_context(folder.held())
        with folder.created(config, data):
            team.wait()
            trainer = Trainer(folder, init, say, team, build)
            trainer.save()  # from here on a resume knows what the run started from
        trainer.run()


def resume(run: Path, say: Say = print, build: Build = build_generator) -> None:
    """Goes on with a run where its checkpoint stands.

    Args:
        run: the folder of the run.
        say: where plain lines go.
        build: builds what the run trains.

    Raises:
        RunError, DataError, ModelError: with a sentence, if it cannot. Without a checkpoint nobody knows any more what the run
            was to start from.
    """
    folder = RunFolder(run)
    if folder.exists and not folder.began:
        raise RunError(f"{run} was ended before its first checkpoint; start it again with: stillspeak train")
    team = Team()
    with folder.held() if team.leads else nullcontext():
        Trainer(folder, say=say, team=team, build=build).run()
