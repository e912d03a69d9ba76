"""Preparing: aligned clips, drop reasons, resuming."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from stillspeak.config import ContextConfig
from stillspeak.data.clips import Clips
from stillspeak.data.manifest import read_manifest
from stillspeak.data.prepare import aligned, prepare
from stillspeak.errors import DataError
from stillspeak.media.faces import CANONICAL
from stillspeak.media.video import read_video

EYES_AND_NOSE = [45, 42, 36, 39, 33]


def test_good_clips_are_kept_and_bad_ones_dropped_with_a_reason(prepared: Path):
    kept = read_manifest(prepared)
    assert {record.speaker for record in kept} == {"s1", "s3", "s20", "s2", "sU1"}
    reasons = {record.clip: record.dropped for record in read_manifest(prepared, dropped=True) if record.dropped}
    assert set(reasons) == {"noface", "cut", "blank"}
    assert "no face" in reasons["noface"]
    assert "blank" in reasons["blank"]
    assert "dropped s1/noface" in (prepared / "report.md").read_text()


def test_eyes_and_nose_land_on_the_canonical_points(prepared: Path):
    points = read_manifest(prepared, speakers=["s1"])[0].points()
    assert np.abs(points[:, EYES_AND_NOSE].mean(0) - CANONICAL).mean() < 1.5


def test_a_prepared_clip_looks_like_what_was_aligned(prepared: Path, raw_grid: Path):
    made = read_video(prepared / "clips" / "s1" / "clip0.mp4")
    frames, _ = aligned(read_video(raw_grid / "s1" / "clip0.mp4"))
    error = np.mean((made.astype(float) - frames) ** 2)
    assert 10 * np.log10(255**2 / error) > 38


def test_preparing_again_keeps_what_is_done_and_redoes_what_is_missing(prepared: Path, raw_grid: Path, tmp_path: Path):
    again = tmp_path / "again"
    shutil.copytree(prepared, again)
    (again / "clips" / "s1" / "clip1.json").unlink()
    stamp = (again / "clips" / "s1" / "clip0.mp4").stat().st_mtime_ns
    prepare("grid", raw_grid, again, workers=1)
    assert (again / "clips" / "s1" / "clip0.mp4").stat().st_mtime_ns == stamp
    assert (again / "manifest.parquet").read_bytes() == (prepared / "manifest.parquet").read_bytes()


def test_revoiced_copies_are_made_for_training_clips_alone(prepared: Path):
    assert (prepared / "clips" / "s1" / "clip0.voice1.flac").is_file()
    assert not (prepared / "clips" / "s20" / "clip0.voice1.flac").exists()
    clips = Clips(prepared, "train", ContextConfig(rate_hz=8000))
    assert [len(sounds) for sounds in clips.sounds] == [2] * 4
    assert len({len(sound) for sounds in clips.sounds for sound in sounds}) == 1


def test_what_cannot_be_prepared_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no corpus"):
        prepare("nonsense", tmp_path, tmp_path)
    with pytest.raises(DataError, match="no folder"):
        prepare("grid", tmp_path / "gone", tmp_path)


@pytest.mark.corpus
def test_the_first_clip_of_each_real_speaker_is_aligned_within_a_pixel_and_a_half(corpus: Path):
    for speaker in ("s1", "s10", "s20", "s22", "s26", "sU2"):
        _, points = aligned(read_video(sorted((corpus / "grid" / speaker).iterdir())[0]))
        assert np.abs(points[:, EYES_AND_NOSE].mean(0) - CANONICAL).mean() < 1.5, speaker
