"""What a user sees of a run: a line a tick with the time left, figures on clips never trained on, and what goes wrong.

Only the leading process has eyes and a voice; the others' ``Watch`` does nothing.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError

from stillspeak.config import AdversarialStage, Config
from stillspeak.data.mouth_code import MouthCode
from stillspeak.errors import RunError
from stillspeak.model.generator import Generator
from stillspeak.training.board import Board
from stillspeak.training.calibration import Factors
from stillspeak.training.monitor import Monitor
from stillspeak.training.patience import Patience
from stillspeak.training.phase import Phase
from stillspeak.training.run import BEST, RunFolder
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.trouble import Collapse, standing_mouth
from stillspeak.training.warm_start import SoundPhase
from stillspeak.training.weights import Stage, Trained, write_generator
from stillspeak.whole import whole

Say = Callable[[str], None]


class Watch:
    """Eyes and voice of a run. Methods that see trouble return a sentence about it, or nothing.

    Args:
        folder: the run's.
        config: its config.
        data: the prepared folder.
        say: where lines go.
        leads: whether this process is the one that watches.
    """

    def __init__(self, folder: RunFolder, config: Config, data: Path, say: Say, leads: bool) -> None:
        self.folder, self.config, self.leads = folder, config, leads
        self.say: Say = say if leads else lambda _: None
        self.board = Board(folder.path / "board")
        self.monitor = Monitor(config, data, folder.path / "samples", self.board) if leads else None
        self.collapse = Collapse()
        adversarial = config.stage(AdversarialStage)
        self.patience = Patience(adversarial.patience_epochs if adversarial else 0)

    def tick(self, phase: Phase, step: int, values: Mapping[str, float], done: Mapping[str, float], pace: float) -> str:
        """A logged step: ``done`` so far, seconds a step ``pace``."""
        if not self.leads:
            return ""
        rounded = {name: round(value, 5) for name, value in values.items()}
        self._record(phase.name, step, rounded, done)
        left = round(pace * (phase.steps - step))
        eta = f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02}"
        shown = "  ".join(f"{name} {value:.4g}" for name, value in rounded.items())
        self.say(f"{phase.name} {step}/{phase.steps}  {pace:.2f} s/step  eta {eta}  {shown}")
        return self.collapse.sees(rounded)

    def sample(self, phase: Phase, step: int, average: Generator, code: MouthCode, done: Mapping[str, float]) -> str:
        """Figures, strips and videos from clips never trained on."""
        if self.monitor is None:
            return ""
        if isinstance(phase, SoundPhase):
            figures = self.monitor.sound_figures(average, code)
        else:
            figures = self.monitor.sample(average, code, phase.name, step)
        if not figures:
            return ""
        self._record(phase.name, step, figures, done)
        self.say("  " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        return standing_mouth(figures) if isinstance(phase, AdversarialPhase) else ""

    def epoch(self, step: int, average: Generator, code: MouthCode, history: list[Stage]) -> bool:
        """Whether the paper's end has come: no gain in PSNR or SSIM on validation clips for so many epochs. Section 3.3.

        The generator of the best epoch is kept beside the checkpoint.
        """
        if self.monitor is None:
            return False
        figures = self.monitor.quality(average)
        if figures and self.patience.gains(figures):
            self._keep_best(average, code, history)
        self._record(AdversarialPhase.kind, step, figures, {})
        self.say("  an epoch: " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        if self.patience.over:
            self.say(f"  no gain for {self.patience.epochs} epochs: the end; {BEST} is what export takes")
        return self.patience.over

    def calibration(self, factors: Factors, average: Generator, code: MouthCode, history: list[Stage]) -> None:
        """Notes by how much motion was widened; the best epoch's generator is the widened one from now on."""
        if self.leads:
            opened = {"opening_factor": factors.mouth, "closing_factor": factors.eyes}
            self.folder.log({"phase": "calibration", "step": 1, **opened})
            if (self.folder.path / BEST).is_file():
                self._keep_best(average, code, history)
        self.say(f"calibration: the mouth's motion times {factors.mouth:.2f}, the eyes' times {factors.eyes:.2f}")

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.board.close()

    def _keep_best(self, average: Generator, code: MouthCode, history: list[Stage]) -> None:
        """Writes the generator beside the old one and swaps them. Raises RunError if it cannot; the old one is then kept."""
        path = self.folder.path / BEST
        try:
            with whole(path) as part:
                write_generator(part, Trained(self.config, average.state_dict(), code, history))
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} could not be written ({error}); the one before it is kept.") from error

    def _record(self, phase: str, step: int, values: Mapping[str, float], done: Mapping[str, float]) -> None:
        """A line of metrics.jsonl, and its view."""
        self.folder.log({"phase": phase, "step": step, **done, **values})
        self.board.scalars(phase, values, step)
