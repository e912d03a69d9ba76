"""Builds a run: its clips, networks and phases, new or from a model to start with. ``loop.py`` trains what is built. Ours."""

import copy
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stillspeak.config import AdversarialStage, Config, PictureStage, SoundStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.errors import ModelError, RunError
from stillspeak.model.generator import Generator
from stillspeak.training.loader import trainers_here
from stillspeak.training.memory import keep_memory
from stillspeak.training.phase import Phase
from stillspeak.training.run import CHECKPOINT, RunFolder
from stillspeak.training.runs import stage_names
from stillspeak.training.state import State
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.team import Team
from stillspeak.training.warm_start import PicturePhase, SoundPhase, let_blink, open_decoder, open_eyes
from stillspeak.training.weights import Stage, load_generator, read_generator


class Built(NamedTuple):
    """A run that can be trained: its state, its training clips, and whether its Context Encoder is not the one to start from."""

    state: State
    clips: Clips
    hears_anew: bool


class _Beginning(NamedTuple):
    """What a generator knows before the first step: its mouth code, and the stages that it went through."""

    code: MouthCode
    history: list[Stage]
    hears_anew: bool = False


def build(folder: RunFolder, team: Team, device: torch.device, workers: int, init: Path | None, resumed: bool) -> Built:
    """Builds what a run trains.

    Args:
        folder: the run's folder.
        team: the processes that train together.
        device: where the networks lie.
        workers: processes that draw batches, of each trainer.
        init: a model folder or run whose generator to start from.
        resumed: whether the folder holds a checkpoint; its weights are not loaded here.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """
    config, data = folder.config()
    clips = _clips(config, data, team, workers)
    generator = Generator(config.generator)
    if resumed:
        trained = read_generator(folder.path / CHECKPOINT)
        beginning = _Beginning(trained.code, trained.history)
    else:
        beginning = _begin(config, clips, generator, init)
    generator.to(device)
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    drawer = Drawer(clips, config.data, beginning.code)
    phases = make_phases(config, generator, drawer, team)
    code, history, hears_anew = beginning
    run = folder.path.resolve().name
    state = State(config, generator, average, phases, code, history, run, _learnt_from(config, clips))
    _prepare_networks(state, team)
    return Built(state, clips, hears_anew)


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


def _clips(config: Config, data: Path, team: Team, workers: int) -> Clips:
    """The training clips; the leader decodes them before the others read them."""
    if not team.leads:
        team.wait()
    readers = trainers_here() * max(1, workers)
    fine = config.generator.mouth is not None
    clips = Clips(data, "train", config.generator.context, readers=readers, fine=fine)
    if team.leads:
        team.wait()
    return clips


def make_phases(config: Config, generator: Generator, drawer: Drawer, team: Team) -> list[Phase]:
    """Returns what the stages of a config do, in their order. Raises RunError if a batch cannot be shared."""
    phases: list[Phase] = []
    for name, stage in zip(stage_names([stage.kind for stage in config.stages]), config.stages, strict=True):
        phase: Phase
        match stage:
            case SoundStage():
                phase = SoundPhase(config, stage, generator, drawer, team)
            case PictureStage():
                phase = PicturePhase(config, stage, generator, drawer, team)
            case AdversarialStage():
                phase = AdversarialPhase(config, stage, generator, drawer, team)
        phase.name, phase.repeat = name, sum(before.kind == phase.kind for before in phases)
        phase.require_shares()
        phases.append(phase)
    return phases


def _begin(config: Config, clips: Clips, generator: Generator, init: Path | None) -> _Beginning:
    """Prepares a generator for its first step: as a model to start from left it, or new."""
    labels, pictures = config.labels, config.stage(PictureStage)
    if init is not None:
        beginning = _begin_with(config, generator, init)
    else:
        beginning = _Beginning(fit_mouth_code(clips.points, labels.code), [])
        if pictures:
            open_decoder(generator, labels.code)
    if labels.expression:
        if pictures:
            open_eyes(generator, len(beginning.code.basis))
        let_blink(generator, labels.blinks_per_s)
    return beginning


def _begin_with(config: Config, generator: Generator, init: Path) -> _Beginning:
    """Loads the model to start from. Raises ModelError if it hears otherwise and the run does not learn sound."""
    trained = load_generator(init, generator)
    hears_anew = trained.config.generator.context != config.generator.context
    if hears_anew and not config.stage(SoundStage):
        raise ModelError(f"The Context Encoder of {init} hears otherwise; to learn sound anew set sound.steps above 0.")
    return _Beginning(trained.code, [{**stage, "run": ""} for stage in trained.history], hears_anew)


def _learnt_from(config: Config, clips: Clips) -> dict[str, Any]:
    """Corpora and speakers of the training clips, for the history."""
    corpora = {record.corpus for record in clips.records}
    corpora |= {"portraits"} if config.data.recombined else set()
    corpora |= {"sentences"} if config.data.sentences else set()
    return {"corpora": sorted(corpora), "speakers": dict(Counter(record.speaker for record in clips.records))}


def _prepare_networks(state: State, team: Team) -> None:
    """Memory layout, norms over all processes, compilation: of the generator and of every discriminator."""
    generator = state.generator
    networks = [generator, *(network for phase in state.phases for network in phase.networks.values())]
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        team.synchronise_norms(network)
    if next(generator.parameters()).device.type == "cuda":  # of one layout, all weights are averaged at once
        state.average.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if state.config.train.compile:
        for network in (generator.identity, generator.decoder, *networks[1:]):
            network.compile()
