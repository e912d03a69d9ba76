"""Says what the training loop asks of whatever it trains: a generator (``build.py``) or a judge (``stillspeak.judges``)."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import torch

from stillspeak.training.phase import Phase
from stillspeak.training.run import RunFolder
from stillspeak.training.state import State
from stillspeak.training.team import Team
from stillspeak.training.watch import Say, Watch


class Place(NamedTuple):
    """Says where a run is trained.

    Attributes:
        folder: the folder of the run.
        team: the processes that train together.
        device: where the networks lie.
        workers: how many processes of each trainer draw batches.
        say: where plain lines go.
    """

    folder: RunFolder
    team: Team
    device: torch.device
    workers: int
    say: Say


class Built(NamedTuple):
    """Holds a run that can be trained.

    Attributes:
        state: the networks, their phases, and how far they are.
        watch: measures them on clips that they never learn from, and tells the user.
        begin: is called with each phase before its steps, also when a run goes on in the middle of it.
        finish: is called with each phase when its last step is done.
        notes: sentences about where the networks come from.
    """

    state: State
    watch: Watch
    begin: Callable[[Phase], None] = lambda _: None
    finish: Callable[[Phase], None] = lambda _: None
    notes: tuple[str, ...] = ()


class Build(Protocol):
    """Builds what a run trains.

    Args:
        place: where the run is trained. Its folder holds the settings.
        init: a model folder or run to start from.
        resumed: whether the folder holds a checkpoint, whose weights the loop loads afterwards.

    Raises:
        RunError, DataError, ModelError: if the run cannot start.
    """

    def __call__(self, place: Place, init: Path | None, resumed: bool) -> Built: ...
