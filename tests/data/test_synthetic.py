"""Drawn talking faces: what is drawn is what is said to be drawn."""

from pathlib import Path

import numpy as np
import pytest

from stillspeak.cli import main
from stillspeak.data.clips import Clips
from stillspeak.data.landmarks import crop_landmarks, mouth_opening
from stillspeak.data.manifest import read_manifest
from stillspeak.data.synthetic import RATE_HZ, DrawnClip, draw_clip, draw_corpus, draw_person
from stillspeak.errors import DataError
from stillspeak.presets import tiny


@pytest.fixture(scope="module")
def drawn() -> DrawnClip:
    random = np.random.default_rng(3)
    return draw_clip(draw_person(random), random)


def test_landmarks_lie_as_far_apart_as_the_opening_says(drawn: DrawnClip):
    assert mouth_opening(drawn.points) == pytest.approx(drawn.opening, abs=1e-3)
    assert drawn.opening.max() > 3


def test_a_landmark_predictor_that_knows_real_faces_sees_the_mouth_move(drawn: DrawnClip):
    seen = mouth_opening(crop_landmarks(drawn.frames))
    assert np.corrcoef(seen, drawn.opening)[0, 1] > 0.9


def test_an_open_mouth_is_loud_and_silence_is_shut(drawn: DrawnClip):
    level = np.sqrt(np.square(drawn.sound.samples.reshape(len(drawn.frames), RATE_HZ // 25)).mean(axis=1))
    assert np.corrcoef(level, drawn.opening)[0, 1] > 0.6
    assert drawn.opening[:8].max() == 0
    assert level[:8].max() < 0.01 * level.max()


def test_eyes_are_shut_in_the_frames_that_say_so():
    random = np.random.default_rng(1)
    clips = [draw_clip(draw_person(random), random) for _ in range(4)]
    heights = np.concatenate([np.ptp(clip.points[:, 36:42, 1], axis=1) for clip in clips])
    shut = np.concatenate([clip.shut_eyes for clip in clips])
    assert shut.sum() >= 4
    assert heights[shut == 1].max() < heights[shut == 0].min()


def test_a_drawn_folder_is_a_prepared_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "drawn"
    assert main(["data", "draw", str(out), "--seed", "-1"]) == 2
    assert main(["data", "draw", str(out), "--speakers", "5", "--clips", "1"]) == 0
    assert "| synthetic | validation | 1 |" in capsys.readouterr().out
    assert [record.speaker for record in read_manifest(out, "validation")] == ["drawn4"]
    clips = Clips(out, "train", tiny().generator.context)
    assert len(clips) == 4
    assert clips.windows(0).shape[0] == len(clips.frames(0)) == 75
    draw_corpus(tmp_path / "again", 5, 1)
    assert (tmp_path / "again" / "manifest.parquet").read_bytes() == (out / "manifest.parquet").read_bytes()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="new folder"):
        draw_corpus(tmp_path)
    assert main(["data", "draw", str(tmp_path / "none"), "--clips", "0"]) == 2
