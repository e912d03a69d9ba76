"""Eyes and brows as numbers: what landmarks say, and landmarks that do what the numbers say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.expression import expression, move_eyes
from stillspeak.data.landmarks import crop_landmarks
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.errors import DataError
from stillspeak.presets import tiny
from stillspeak.runtime.scene import still


@pytest.fixture(scope="module")
def points(astronaut: np.ndarray) -> np.ndarray:
    return crop_landmarks(still(astronaut)[None])[0]


def test_eyes_that_shut_and_brows_that_rise_are_read_back(points: np.ndarray):
    wanted = np.zeros((40, 2), np.float32)
    wanted[10:14, 0], wanted[20:34, 1] = 1.0, 0.8
    found = expression(move_eyes(points, wanted))
    assert found[:8] == pytest.approx(np.zeros((8, 2)), abs=0.02)
    assert (found[10:14, 0] > 1).all()  # lids that meet: further than a predictor ever sees them go
    assert found[23:31, 1] == pytest.approx(0.8, abs=0.02)
    assert np.abs(found[14:, 0]).max() < 0.02


def test_a_clip_in_which_nothing_moves_has_no_expression(points: np.ndarray):
    assert not expression(np.repeat(points[None], 8, axis=0)).any()


def test_a_share_that_is_none_is_said(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    for wrong in ({"blinks": 2.0}, {"openings": -0.1}, {"open_stills": 1.5}, {"blinks": 0.6, "openings": 0.6}):
        with pytest.raises(DataError, match=r"from 0 to 1|more than 1"):
            Drawer(clips, replace(tiny().data, **wrong), fit_mouth_code(clips.points, 4))


def test_frames_are_drawn_where_eyes_close(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    shares = []
    for blinks in (0.0, 1.0):
        config = replace(tiny().data, blinks=blinks)
        drawer = Drawer(clips, config, fit_mouth_code(clips.points, 4))
        drawer.expressions = [np.zeros_like(values) for values in drawer.expressions]
        for values in drawer.expressions:
            values[5:7, 0] = 1.0
        batch = drawer.pictures(8, 6, np.random.default_rng(1))
        shares.append(batch.expressions[..., 0].mean())
    assert shares[0] < 0.3
    assert shares[1] == 1.0


def test_frames_are_drawn_where_mouths_open(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    drawer = Drawer(clips, replace(tiny().data, blinks=0.0, openings=1.0), fit_mouth_code(clips.points, 4))
    drawer.openings = [np.eye(1, len(values), 5)[0] for values in drawer.openings]
    codes = drawer.pictures(8, 6, np.random.default_rng(1)).codes
    np.testing.assert_array_equal(codes, np.repeat(codes[:, :1], 6, axis=1))


def test_stills_are_drawn_where_mouths_open(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    config = replace(tiny().data, any_still=True, face_jitter=0.0, mirror=False)
    wanted = {tuple(points[5].ravel()) for points in clips.points}
    for share, fewest, most in ((0.0, 0, 16), (1.0, 32, 32)):
        drawer = Drawer(clips, replace(config, open_stills=share), fit_mouth_code(clips.points, 4))
        drawer.openings = [np.eye(1, len(values), 5)[0] for values in drawer.openings]
        stills = drawer.pictures(32, 1, np.random.default_rng(1)).points[:, 0]
        assert fewest <= sum(tuple(still.ravel()) in wanted for still in stills) <= most
