"""Builds a judge's run. ``training/loop.py`` trains it, as it trains a generator."""

import copy
import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from torch import Tensor

from stillspeak.config import ContextConfig
from stillspeak.data.clips import Clips
from stillspeak.errors import DataError, RunError
from stillspeak.evaluation.words import GRID_WORDS
from stillspeak.judge_config import JudgeConfig, LipReaderConfig, SyncConfig
from stillspeak.judges.lessons import Lesson, LipReading, Open, Syncing
from stillspeak.judges.lipreader import LipReader
from stillspeak.judges.phase import JudgePhase
from stillspeak.judges.sync import SyncScorer
from stillspeak.media.spectrum import RATE_HZ
from stillspeak.training.build import learnt_from, training_clips
from stillspeak.training.phase import Phase
from stillspeak.training.run import RunFolder
from stillspeak.training.state import State
from stillspeak.training.subject import Built, Place
from stillspeak.training.watch import Say, Watch

SPLITS = ("heldout", "validation", "test")
Figures = dict[str, dict[str, float]]  # by split


@dataclass
class JudgeState(State):
    """Holds the state of a run that trains a judge.

    Attributes:
        figures: the last figures of each split that the network never learns from.
    """

    figures: Figures = field(default_factory=dict, kw_only=True)

    def tensors(self) -> dict[str, Tensor]:
        """Returns nothing, because the phase keeps the network."""
        return {}

    def description(self) -> dict[str, str]:
        """Returns the history and the figures, for the exported model and its card."""
        return {"history": json.dumps(self.history), "figures": json.dumps(self.figures)}

    def load(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Takes over the history and the figures."""
        self.history, self.figures = json.loads(metadata["history"]), json.loads(metadata["figures"])


class JudgeWatch(Watch[JudgeState]):
    """Measures a judge's run and tells the user.

    Args:
        folder: the folder of the run.
        lesson: what the judge learns, which also measures it.
        say: where lines go.
        leads: whether this process is the one that watches.
        figures_every: how many steps lie between figures.
    """

    def __init__(self, folder: RunFolder, lesson: Lesson, say: Say, leads: bool, figures_every: int) -> None:
        super().__init__(folder, say, leads, figures_every)
        self.lesson = lesson

    def figures(self, phase: Phase, state: JudgeState) -> dict[str, float]:
        """Measures the network on every split that it never learns from, as far as there are clips."""
        network, state.figures = copy.deepcopy(self.lesson.network).cpu().eval(), {}
        for split in SPLITS:
            try:
                figures = self.lesson.figures(network, split)
            except DataError:
                continue
            if figures:
                state.figures[split] = {name: round(value, 4) for name, value in figures.items()}
        return {f"{split}_{name}": value for split, row in state.figures.items() for name, value in row.items()}


def build_judge(place: Place, init: Path | None, resumed: bool) -> Built:
    """Builds a run that trains a judge, as ``training/build.py`` does for a generator.

    Args:
        place: where the run is trained. Its folder holds the settings.
        init: must be None, because a judge always starts new.
        resumed: whether the folder holds a checkpoint, whose weights the loop loads afterwards.

    Raises:
        RunError, DataError: if the run cannot start.
    """
    config, data = place.folder.judge_config()
    if init is not None:
        raise RunError(f"--init is for generators; {config.name} always starts new.")
    network = make_network(config.network)
    lesson = make_lesson(config, network, _opener(data, place))
    network.to(place.device)
    phase = JudgePhase(config, lesson, place.device, place.team)
    phase.require_shares()
    place.team.synchronise_norms(network)
    state = JudgeState([phase], [], place.folder.path.resolve().name, learnt_from(lesson.mouths.clips))
    watch = JudgeWatch(place.folder, lesson, place.say, place.team.leads, config.train.check_every)
    return Built(state, watch)


def make_network(config: LipReaderConfig | SyncConfig) -> LipReader | SyncScorer:
    """Makes the network that a config describes."""
    match config:
        case LipReaderConfig():
            return LipReader(config, len(GRID_WORDS))
        case SyncConfig():
            return SyncScorer(config)


def make_lesson(config: JudgeConfig, network: LipReader | SyncScorer, clips: Open) -> Lesson:
    """Makes the lesson that teaches a network. Raises DataError if there is nothing to learn from."""
    if isinstance(network, LipReader):
        return LipReading(network, clips, config.train.evenness)
    return Syncing(network, clips, config.train.evenness)


def _opener(data: Path, place: Place) -> Open:
    """Opens the clips of each split of a prepared folder once."""
    context = ContextConfig(rate_hz=RATE_HZ)

    @cache
    def clips(split: str) -> Clips:
        return training_clips(data, context, place) if split == "train" else Clips(data, split, context)

    return clips
