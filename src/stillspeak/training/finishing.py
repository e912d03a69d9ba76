"""Begins and finishes a stage: what it learnt is kept in part, then mouth and eyes open as far as real ones do. Ours.

A model between the one that a stage began with and the one that it led to is often better than both (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"): here, on people that neither has seen.
"""

import torch
from torch import nn

from stillspeak.data.clips import Clips
from stillspeak.training.calibration import calibrate
from stillspeak.training.generator_state import GeneratorState
from stillspeak.training.generator_watch import GeneratorWatch
from stillspeak.training.phase import GeneratorPhase
from stillspeak.training.run import BEST
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.team import Team
from stillspeak.training.weights import Stage, read_generator, remark

_CALIBRATION, _KEPT = "calibration", "kept"


def begin(phase: GeneratorPhase, state: GeneratorState, watch: GeneratorWatch) -> None:
    """Before a stage's first step, remembers the weights that will learn if not all that they learn is to be kept.

    The best epoch of the stage before, if there is one, is forgotten: its patience is over.

    Args:
        phase: the stage.
        state: the run. A checkpoint holds what it remembers.
        watch: holds the best epoch.
    """
    if state.step or not phase.steps:
        return
    watch.forget_best()
    learning = [f"{network}{part}" for network in ("generator.", "average.") for part in phase.parts]
    weights = state.weights().items() if phase.keep < 1 else []
    state.before = {name: value.detach().clone() for name, value in weights if name.startswith(tuple(learning))}


def finish(phase: GeneratorPhase, state: GeneratorState, watch: GeneratorWatch, clips: Clips, team: Team) -> None:
    """After a stage's last step, keeps a part of what it learnt, and calibrates, where the stage says so.

    What changes is the generator that will be exported: the best epoch's if there is one, else the running average. A part is
    kept of the generator in training too, which the next stage goes on with.

    Args:
        phase: the stage.
        state: the run. Its weights and its history change.
        watch: is told by how much motion was widened.
        clips: the training clips, which say how far real mouths and eyes move.
        team: the processes that train together. Each of them calibrates, and gets the same factors.
    """
    before, state.before = state.before, {}
    calibrates = isinstance(phase, AdversarialPhase) and phase.stage.calibrate
    if not (before or calibrates):
        return
    _interpolate(state.generator, before, "generator.", phase.keep)
    best = watch.folder.path / BEST
    if best.is_file():  # what is exported is what is changed
        exported = read_generator(best)
        state.average.load_state_dict(exported.weights)
        if _changes(exported.history) > _changes(state.history):  # before a checkpoint could say so
            state.history = exported.history
            return
    if before:
        _interpolate(state.average, before, "average.", phase.keep)
        state.history.append(remark(f"{_KEPT}: {phase.keep:.0%} of {phase.name}"))
    if calibrates:
        _calibrate(state, watch, clips)
    team.wait()
    watch.finished(state)


def _calibrate(state: GeneratorState, watch: GeneratorWatch, clips: Clips) -> None:
    average = state.average_here()
    factors = calibrate(average, clips, state.code, expressions=state.config.labels.expression)
    state.average.load_state_dict(average.state_dict())
    state.history.append(remark(f"{_CALIBRATION}: mouth x {factors.mouth:.2f}, eyes x {factors.eyes:.2f}"))
    watch.calibration(factors)


@torch.no_grad()
def _interpolate(network: nn.Module, before: dict[str, torch.Tensor], prefix: str, keep: float) -> None:
    """Moves the weights of a network back to ``(1 - keep) * before + keep * now``; counts of batches stay as they are."""
    for name, now in network.state_dict().items():
        was = before.get(f"{prefix}{name}")
        if was is not None and now.is_floating_point():
            now.copy_(was.lerp(now, keep))


def _changes(history: list[Stage]) -> int:
    """Returns how often the weights of a history were changed without a step."""
    return sum(stage["phase"].startswith((_CALIBRATION, _KEPT)) for stage in history)
