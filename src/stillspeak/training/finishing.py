"""Finishes a generator: after the adversarial phase its mouth opens, and its eyes close, as far as real ones do. Ours."""

from stillspeak.data.clips import Clips
from stillspeak.training.calibration import calibrate
from stillspeak.training.generator_state import GeneratorState
from stillspeak.training.generator_watch import GeneratorWatch
from stillspeak.training.run import BEST
from stillspeak.training.team import Team
from stillspeak.training.weights import Stage, read_generator, remark

_CALIBRATION = "calibration"


def finish(state: GeneratorState, watch: GeneratorWatch, clips: Clips, team: Team) -> None:
    """Calibrates the generator that will be exported: the best epoch's if there is one, else the running average.

    Args:
        state: the run. Its running average and its history change.
        watch: is told by how much motion was widened.
        clips: the training clips, which say how far real mouths and eyes move.
        team: the processes that train together. Each of them calibrates, and gets the same factors.
    """
    best = watch.folder.path / BEST
    if best.is_file():  # what is exported is what is calibrated
        kept = read_generator(best)
        state.average.load_state_dict(kept.weights)
        if _calibrations(kept.history) > _calibrations(state.history):  # before a checkpoint could say so
            state.history = kept.history
            return
    average = state.average_here()
    factors = calibrate(average, clips, state.code, expressions=state.config.labels.expression)
    state.average.load_state_dict(average.state_dict())
    state.history.append(remark(f"{_CALIBRATION}: mouth x {factors.mouth:.2f}, eyes x {factors.eyes:.2f}"))
    team.wait()
    watch.calibration(factors, state)


def _calibrations(history: list[Stage]) -> int:
    return sum(stage["phase"].startswith(_CALIBRATION) for stage in history)
