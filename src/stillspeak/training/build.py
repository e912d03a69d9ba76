"""Builds a generator's run: its clips, networks and phases, new or from a model to start with. ``loop.py`` trains it. Ours."""

import copy
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from stillspeak.config import AdversarialStage, Config, ContextConfig, PictureStage, SoundStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.errors import ModelError, RunError
from stillspeak.model.generator import Generator
from stillspeak.training.blinking import let_blink
from stillspeak.training.checkpoint import take_discriminators
from stillspeak.training.finishing import begin, finish
from stillspeak.training.generator_state import GeneratorState
from stillspeak.training.generator_watch import GeneratorWatch
from stillspeak.training.loader import trainers_here
from stillspeak.training.memory import keep_memory
from stillspeak.training.phase import GeneratorPhase, Phase
from stillspeak.training.run import CHECKPOINT
from stillspeak.training.runs import numbered
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.subject import Built, Place
from stillspeak.training.team import Team
from stillspeak.training.warm_start import PicturePhase, SoundPhase, open_decoder, open_eyes
from stillspeak.training.weights import Stage, load_generator, read_generator


class _Beginning(NamedTuple):
    """Holds what a generator knows before the first step.

    Attributes:
        code: its mouth code.
        history: the stages of training that it went through.
        hears_anew: whether its Context Encoder is not the one of the model to start from.
    """

    code: MouthCode
    history: list[Stage]
    hears_anew: bool = False


def build(place: Place, init: Path | None, resumed: bool) -> Built:
    """Builds a run that trains a generator.

    Args:
        place: where the run is trained. Its folder holds the settings.
        init: a model folder or run whose generator to start from.
        resumed: whether the folder holds a checkpoint, whose weights the loop loads afterwards.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """
    folder, team = place.folder, place.team
    config, data = folder.config()
    clips = training_clips(data, config.generator.context, place, fine=config.generator.mouth is not None)
    generator = Generator(config.generator)
    if resumed:
        trained = read_generator(folder.path / CHECKPOINT)
        beginning = _Beginning(trained.code, trained.history)
    else:
        beginning = _begin(config, clips, generator, init)
    state = _state(config, generator, clips, beginning, place)
    watch = GeneratorWatch(folder, config, data, place.say, team.leads)

    def began(phase: Phase) -> None:
        assert isinstance(phase, GeneratorPhase)
        begin(phase, state, watch)

    def ended(phase: Phase) -> None:
        assert isinstance(phase, GeneratorPhase)
        finish(phase, state, watch, clips, team)

    notes = [] if resumed or init is None else _notes(init, state, beginning.hears_anew)
    return Built(state, watch, began, ended, tuple(notes))


def _state(config: Config, generator: Generator, clips: Clips, beginning: _Beginning, place: Place) -> GeneratorState:
    """Lays a generator on the device, and gives it its average, its phases and its discriminators."""
    generator.to(place.device)
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    drawer = Drawer(clips, config.data, beginning.code)
    phases: list[Phase] = [*make_phases(config, generator, drawer, place.team)]
    run = place.folder.path.resolve().name
    corpora = ["portraits"] if config.data.recombined else []
    corpora += ["sentences"] if config.data.sentences else []
    learnt = learnt_from(clips, corpora)
    state = GeneratorState(phases, beginning.history, run, learnt, config, generator, average, beginning.code)
    _prepare_networks(state, place.team)
    return state


def make_phases(config: Config, generator: Generator, drawer: Drawer, team: Team) -> list[GeneratorPhase]:
    """Returns what the stages of a config do, in their order. Raises RunError if a batch cannot be shared."""
    phases: list[GeneratorPhase] = []
    for name, stage in zip(numbered([stage.kind for stage in config.stages]), config.stages, strict=True):
        phase: GeneratorPhase
        match stage:
            case SoundStage():
                phase = SoundPhase(config, stage, generator, drawer, team)
            case PictureStage():
                phase = PicturePhase(config, stage, generator, drawer, team)
            case AdversarialStage():
                phase = AdversarialPhase(config, stage, generator, drawer, team)
        phase.name, phase.repeat = name, sum(before.kind == phase.kind for before in phases)
        phase.keep, phase.batch = stage.keep, (stage.clips, f"{name}.clips")
        phase.require_shares()
        phases.append(phase)
    return phases


def _notes(init: Path, state: GeneratorState, hears_anew: bool) -> list[str]:
    """Fills discriminators from the run to start from; says so, and whether sound is learnt anew."""
    notes = [f"The Context Encoder of {init} hears otherwise; sound is learnt anew."] if hears_anew else []
    return notes + [f"discriminator {name}: from {init}" for name in take_discriminators(init, state.phases)]


def prepare_device(device: torch.device) -> None:
    """Prepares a device: a CPU's memory is kept; full precision on a GPU is full, for the mel bands' sake (not TF32)."""
    if device.type == "cpu":
        keep_memory()
    else:
        torch.backends.cudnn.allow_tf32 = False


def chosen_device(name: str) -> torch.device:
    """Returns the device of a name: cpu, cuda, or auto. Raises RunError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise RunError(f"There is no device {name} here; train.device takes cpu, cuda or auto.")
    return torch.device(name)


def training_clips(data: Path, context: ContextConfig, place: Place, fine: bool = False) -> Clips:
    """Opens the training clips. The leader decodes them before the others read them.

    Args:
        data: the prepared folder.
        context: how sound is cut into windows.
        place: where the run is trained.
        fine: whether mouths of a higher resolution are read too.

    Raises:
        DataError: if there are none.
    """
    if not place.team.leads:
        place.team.wait()
    readers = trainers_here() * max(1, place.workers)
    clips = Clips(data, "train", context, readers=readers, fine=fine)
    if place.team.leads:
        place.team.wait()
    return clips


def _begin(config: Config, clips: Clips, generator: Generator, init: Path | None) -> _Beginning:
    """Prepares a generator for its first step: as a model to start from left it, or new."""
    labels, pictures = config.labels, config.stages_of(PictureStage)
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
    if hears_anew and not config.stages_of(SoundStage):
        raise ModelError(f"The Context Encoder of {init} hears otherwise; to learn sound anew set sound.steps above 0.")
    return _Beginning(trained.code, [{**stage, "run": ""} for stage in trained.history], hears_anew)


def learnt_from(clips: Clips, more: Iterable[str] = ()) -> dict[str, Any]:
    """Says, for the history, how many clips of each speaker there are, and which corpora they and ``more`` are of."""
    corpora = {record.corpus for record in clips.records} | set(more)
    return {"corpora": sorted(corpora), "speakers": dict(Counter(record.speaker for record in clips.records))}


def _prepare_networks(state: GeneratorState, team: Team) -> None:
    """Memory layout, norms over all processes, compilation: of the generator and of every discriminator."""
    generator, networks = state.generator, state.networks
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        team.synchronise_norms(network)
    if next(generator.parameters()).device.type == "cuda":  # of one layout, all weights are averaged at once
        state.average.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if state.config.train.compile:
        for network in (generator.identity, generator.decoder, *networks[1:]):
            network.compile()
