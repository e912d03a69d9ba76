"""What was loaded or used before a fork works after it: in the child, in the child's child, and in the parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers import tone
from stillspeak.animate import Animator
from stillspeak.errors import OutputError
from stillspeak.media.writer import VideoWriter
from stillspeak.runtime.engine import Engine
from stillspeak.runtime.judge import JudgeModel

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
STILL = np.random.default_rng(0).integers(0, 255, (128, 96, 3), dtype=np.uint8)
SOUND = tone(1.0)


def in_a_fork(work: Callable[[], bool]) -> bool:
    """Whether some work, done in a fork, says that it went well; after 20 s it did not."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("used", [False, True])
def test_a_model_draws_after_a_fork_what_it_draws_before(tiny_model: Path, used: bool):
    animator = Animator(Engine(tiny_model, threads=3))
    wanted = Animator(Engine(tiny_model, threads=3)).animate_aligned(STILL, SOUND)
    if used:
        animator.animate_aligned(STILL, SOUND)

    def draws() -> bool:
        return np.array_equal(animator.animate_aligned(STILL, SOUND), wanted)

    assert in_a_fork(draws)
    assert in_a_fork(lambda: draws() and in_a_fork(draws))
    assert draws()


def test_a_talk_goes_on_after_a_fork(tiny_model: Path):
    animator = Animator(Engine(tiny_model, threads=2))
    talk, _ = animator.push(animator.begin_aligned(STILL), SOUND.samples[:4000])
    wanted = animator.push(talk, SOUND.samples[4000:6000])[1].frames
    assert in_a_fork(lambda: np.array_equal(animator.push(talk, SOUND.samples[4000:6000])[1].frames, wanted))


def test_a_judge_hears_after_a_fork():
    judge = JudgeModel("sync", ("mouth", "sound"), threads=2)
    shape = [side if isinstance(side, int) else 2 for side in judge._graphs["sound"]._session.get_inputs()[0].shape]
    inputs = {judge._graphs["sound"].inputs[0]: np.random.default_rng(0).random(shape, np.float32)}
    wanted = judge.run("sound", inputs)
    assert in_a_fork(lambda: np.allclose(judge.run("sound", inputs), wanted))


def test_opencv_shares_its_work_after_a_fork():
    picture, before = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8), cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        wanted = cv2.GaussianBlur(picture, (31, 31), 0)

        def blurs() -> bool:
            same = np.array_equal(cv2.GaussianBlur(picture, (31, 31), 0), wanted)
            cv2.setNumThreads(1)  # which crashes where threads of another process are to be ended
            return same

        assert in_a_fork(lambda: cv2.getNumThreads() == 3 and blurs())
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_a_film_is_finished_by_the_process_that_began_it(tmp_path: Path):
    def goes_on(writer: VideoWriter) -> bool:
        with pytest.raises(OutputError, match="a fork begins a file of its own"), writer:
            writer.write(STILL)
        return len([*tmp_path.iterdir()]) == 1

    with VideoWriter(tmp_path / "a.mp4", 25) as writer:
        writer.write(STILL)
        assert in_a_fork(lambda: goes_on(writer))
        writer.write(STILL)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


SCRIPT = """
import os, signal, sys, numpy as np, stillspeak
animator = stillspeak.load(sys.argv[1], threads=3)
still = np.zeros((128, 96, 3), np.uint8)
sound = stillspeak.Sound(np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000)
animator.animate_aligned(still, sound)
child = os.fork()
if not child:
    signal.alarm(20)
    if sys.argv[2] == "uses it":
        animator.animate_aligned(still, sound)
    if sys.argv[2] == "lets go":
        del animator
    sys.exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("what", ["uses it", "lets go", "only ends"])
def test_a_fork_ends_like_any_process(tiny_model: Path, what: str):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, tiny_model, what]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
