"""Shows a user a generator's run: figures, strips and videos, the best epoch, and a mouth that stands still."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError

from stillspeak.config import Config
from stillspeak.errors import RunError
from stillspeak.training.calibration import Factors
from stillspeak.training.generator_state import GeneratorState
from stillspeak.training.monitor import Monitor
from stillspeak.training.phase import Phase
from stillspeak.training.run import BEST, RunFolder
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.trouble import Collapse, standing_mouth
from stillspeak.training.warm_start import SoundPhase
from stillspeak.training.watch import Say, Watch
from stillspeak.training.weights import Trained, write_generator
from stillspeak.whole import whole


class GeneratorWatch(Watch[GeneratorState]):
    """Measures a generator's run and tells the user.

    Args:
        folder: the folder of the run.
        config: its settings.
        data: the prepared folder.
        say: where lines go.
        leads: whether this process is the one that watches.
    """

    def __init__(self, folder: RunFolder, config: Config, data: Path, say: Say, leads: bool) -> None:
        train = config.train
        super().__init__(folder, say, leads, train.sample_every, train.on_trouble == "stop")
        self.monitor = Monitor(config, data, folder.path / "samples", self.board) if leads else None
        self.collapse = Collapse()

    def figures(self, phase: Phase, state: GeneratorState) -> dict[str, float]:
        """Measures the running average on clips never trained on; after the sound phase, writes strips and videos too."""
        assert self.monitor is not None
        if isinstance(phase, SoundPhase):
            return self.monitor.sound_figures(state.average_here(), state.code)
        return self.monitor.sample(state.average_here(), state.code, phase.name, state.step)

    def trouble(self, phase: Phase, values: Mapping[str, float]) -> str:
        """Returns a sentence about a discriminator that is always right, or in the end about a mouth that stands still."""
        still = standing_mouth(values) if isinstance(phase, AdversarialPhase) else ""
        return self.collapse.sees(values) or still

    def ends_epoch(self, phase: Phase, step: int) -> bool:
        """Returns whether a step of the adversarial phase ends an epoch, where patience asks for it."""
        return isinstance(phase, AdversarialPhase) and phase.stage.patience_epochs > 0 and phase.ends_epoch(step)

    def validate(self, state: GeneratorState) -> bool:
        """Returns whether the paper's end has come: no gain in PSNR or SSIM on validation clips for so many epochs. Section 3.3.

        The generator of the best epoch is kept beside the checkpoint.
        """
        if self.monitor is None:
            return False
        figures, patience = self.monitor.quality(state.average), state.patience
        assert patience is not None
        if figures and patience.gains(figures):
            self._keep_best(state)
        self.record(state.phases[state.phase_index].name, state.step, figures, {})
        self.say("  an epoch: " + "  ".join(f"{name} {value:.3f}" for name, value in figures.items()))
        if patience.over:
            self.say(f"  no gain for {patience.epochs} epochs: the end; {BEST} is what export takes")
        return patience.over

    def forget_best(self) -> None:
        """Removes the best epoch's generator: another stage begins, and export is to take what that leads to."""
        if self.leads:
            (self.folder.path / BEST).unlink(missing_ok=True)

    def finished(self, state: GeneratorState) -> None:
        """Is told that the running average was changed after a stage's last step. If there is a best epoch, it becomes that."""
        if self.leads and (self.folder.path / BEST).is_file():
            self._keep_best(state)

    def calibration(self, factors: Factors) -> None:
        """Notes by how much motion was widened."""
        if self.leads:
            opened = {"opening_factor": factors.mouth, "closing_factor": factors.eyes}
            self.folder.log({"phase": "calibration", "step": 1, **opened})
        self.say(f"calibration: the mouth's motion times {factors.mouth:.2f}, the eyes' times {factors.eyes:.2f}")

    def _keep_best(self, state: GeneratorState) -> None:
        """Writes the generator beside the old one and swaps them. Raises RunError if it cannot; the old one is then kept."""
        path, average = self.folder.path / BEST, state.average_here()
        try:
            with whole(path) as part:
                write_generator(part, Trained(state.config, average.state_dict(), state.code, state.history))
        except (OSError, SafetensorError) as error:
            raise RunError(f"{path} could not be written ({error}); the one before it is kept.") from error
