"""The engine: many frames over several threads are what one thread makes, and the state goes on from them."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from stillspeak.errors import ModelError
from stillspeak.runtime import engine
from stillspeak.runtime.engine import Engine
from stillspeak.runtime.judge import JudgeModel


@pytest.mark.parametrize("count", [1, 11, 12, 25, 40])
def test_threads_share_a_call_and_nothing_changes(tiny_model: Path, count: int):
    rng = np.random.default_rng(0)
    windows = rng.normal(0, 0.3, (count + 2, 1280)).astype(np.float32)
    still = rng.integers(0, 255, (128, 96, 3), dtype=np.uint8)
    made = []
    for threads in (1, 3):
        made_by = Engine(tiny_model, threads)
        identity, noise = made_by.identify(still), made_by.noise(0, 0, count + 2)
        first, memory = made_by.step(identity, windows[:count], noise[:count], made_by.begin())
        then, _ = made_by.step(identity, windows[count:], noise[count:], memory)
        made.append(np.concatenate([first.frames, then.frames]).astype(int))
    assert made[0].shape == (count + 2, 128, 96, 3)
    assert np.abs(made[0] - made[1]).max() <= 1


def test_no_more_threads_are_started_than_help(tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    before = cv2.getNumThreads()
    try:
        for seen, threads in ((64, 4), (2, 2), (1, 1)):
            monkeypatch.setattr(engine, "usable_cores", lambda seen=seen: seen)
            assert Engine(tiny_model).threads == threads
            assert Engine(tiny_model, 64).threads == 4
            assert cv2.getNumThreads() <= seen
    finally:
        cv2.setNumThreads(before)


def test_a_talking_model_is_no_judge(tiny_model: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="is not a judge"):
        JudgeModel(tiny_model, ("mouth", "sound"))
    with pytest.raises(ModelError, match="no model nosuch"):
        JudgeModel("nosuch", ("reader",))


@pytest.mark.parametrize(("key", "value"), [("fps", 0), ("rate_hz", "fast"), ("noise_size", None)])
def test_a_description_that_makes_no_sense_is_refused(tiny_model: Path, tmp_path: Path, key: str, value: object):
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    table = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**table, key: value}))
    with pytest.raises(ModelError, match="damaged"):
        Engine(folder)
    (folder / "model.json").write_text(json.dumps({**table, "format": 1}))
    with pytest.raises(ModelError, match="format 1"):
        Engine(folder)
