"""Shows a user a run: a line a tick with the time left, figures on clips never trained on, and what goes wrong.

Only the leading process measures and speaks. The ``Watch`` of the others does nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from stillspeak.training.board import Board
from stillspeak.training.phase import Phase
from stillspeak.training.run import RunFolder
from stillspeak.training.state import State

Say = Callable[[str], None]
Watched = TypeVar("Watched", bound=State)


class Watch(ABC, Generic[Watched]):
    """Measures a run and tells the user. Methods that see trouble return a sentence about it, or an empty one.

    Args:
        folder: the folder of the run.
        say: where lines go.
        leads: whether this process is the one that watches.
        figures_every: how many steps lie between figures; 0 asks for them only at the end of a phase.
        stops: whether trouble ends the run.
    """

    def __init__(self, folder: RunFolder, say: Say, leads: bool, figures_every: int, stops: bool = False) -> None:
        self.folder, self.leads = folder, leads
        self.say: Say = say if leads else lambda _: None
        self.figures_every, self.stops = figures_every, stops
        self.board = Board(folder.path / "board")

    @abstractmethod
    def figures(self, phase: Phase, state: Watched) -> dict[str, float]:
        """Measures the networks on clips that they never learn from; empty if there are none."""

    def trouble(self, phase: Phase, values: Mapping[str, float]) -> str:
        """Returns a sentence about what the scalars of a step or the figures show, or an empty one."""
        return ""

    def ends_epoch(self, phase: Phase, step: int) -> bool:
        """Returns whether a step ends an epoch after which the networks are to be validated."""
        return False

    def validate(self, state: Watched) -> bool:
        """Validates the networks at the end of an epoch; returns whether the phase has nothing more to gain."""
        return False

    def tick(self, phase: Phase, state: Watched, values: Mapping[str, float], pace: float) -> str:
        """Records the scalars of a step and says them. ``pace``: seconds that a step takes."""
        if not self.leads:
            return ""
        rounded = {name: round(value, 5) for name, value in values.items()}
        self.record(phase.name, state.step, rounded, state.done)
        left = round(pace * (phase.steps - state.step))
        eta = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        shown = "  ".join(f"{name} {value:.4g}" for name, value in rounded.items())
        self.say(f"{phase.name} {state.step}/{phase.steps}  {pace:.2f} s/step  eta {eta}  {shown}")
        return self.trouble(phase, rounded)

    def sample(self, phase: Phase, state: Watched) -> str:
        """Records the figures and says them."""
        figures = self.figures(phase, state) if self.leads else {}
        if not figures:
            return ""
        self.record(phase.name, state.step, figures, state.done)
        self.say("  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        return self.trouble(phase, figures)

    def record(self, phase: str, step: int, values: Mapping[str, float], done: Mapping[str, float]) -> None:
        """Writes a line of ``metrics.jsonl``, and its view in TensorBoard."""
        self.folder.log({"phase": phase, "step": step, **done, **values})
        self.board.scalars(phase, values, step)

    def __enter__(self) -> "Watch[Watched]":
        return self

    def __exit__(self, *_: object) -> None:
        self.board.close()
