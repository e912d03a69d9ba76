"""The training reader: pure functions of a seed, sound and picture in step."""

import dataclasses
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from stillspeak.config import DataConfig
from stillspeak.data import drawer as drawer_module
from stillspeak.data.augment import change_speed
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.epochs import Order
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.errors import DataError
from stillspeak.presets import tiny


@pytest.fixture(scope="module")
def clips(prepared: Path) -> Clips:
    return Clips(prepared, "train", tiny().generator.context)


def test_a_batch_is_a_pure_function_of_its_seed(clips: Clips):
    drawer = Drawer(clips, tiny().data, fit_mouth_code(clips.points, 4))
    first, again, other = (drawer.batch(3, 5, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("stills", "frames", "windows", "codes", "lengths"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.frames, other.frames)
    assert len(first.frames) == 15
    assert len(first.windows) == first.lengths[:, 0].sum()
    assert (first.lengths[:, 0] >= first.lengths[:, 1]).all()


def test_without_variation_frames_and_windows_are_those_of_the_clip(clips: Clips):
    plain = DataConfig(mirror=False)
    drawer = Drawer(clips, plain, fit_mouth_code(clips.points, 4))
    batch = drawer.batch(1, 6, np.random.default_rng(0))
    end = len(batch.windows)
    matches = [
        index
        for index in range(len(clips))
        if np.array_equal(batch.frames, clips.frames(index)[end - 6 : end])
        and np.array_equal(batch.stills[0], clips.frames(index)[0])
        and np.array_equal(batch.windows, clips.windows(index)[:end])
    ]
    assert matches


def test_the_endings_of_long_clips_are_drawn_beside_short_ones(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    short, shown = 10, 6
    clips.records[0] = dataclasses.replace(clips.records[0], frames=short)
    long = clips.records[1].frames
    drawer = Drawer(clips, DataConfig(mirror=False), fit_mouth_code(clips.points, 4))
    drawer._choose = lambda count, random: np.array([0, 1])  # type: ignore[method-assign]
    ends = set()
    for seed in range(60):
        batch = drawer.batch(2, shown, np.random.default_rng(seed))
        heard, end = batch.lengths[:, 0].tolist()
        np.testing.assert_array_equal(batch.frames[shown:], clips.frames(1)[end - shown : end])
        np.testing.assert_array_equal(batch.windows[heard:], clips.windows(1)[:end])
        np.testing.assert_array_equal(batch.frames[:shown], clips.frames(0)[heard - shown : heard])
        np.testing.assert_array_equal(batch.windows[:heard], clips.windows(0)[:heard])
        ends.add((heard, end))
    assert {shorter for shorter, _ in ends} == set(range(6, short + 1))
    assert min(end for _, end in ends) < 10
    assert max(end for _, end in ends) > 0.9 * long


def test_even_drawing_gives_every_speaker_the_same_chance(clips: Clips):
    weights = clips.speaker_weights(1.0)
    speakers = np.array([record.speaker for record in clips.records])
    assert weights[speakers == "s1"].sum() == pytest.approx(weights[speakers == "s3"].sum())
    plain = clips.speaker_weights(0.0)
    assert plain.min() == pytest.approx(plain.max())


def test_short_clips_are_heard_at_every_speed_too(clips: Clips, monkeypatch: pytest.MonkeyPatch):
    speeds = list[float]()

    def noted(samples: np.ndarray, speed: float) -> np.ndarray:
        speeds.append(speed)
        return change_speed(samples, speed)

    monkeypatch.setattr(drawer_module, "change_speed", noted)
    drawer = Drawer(clips, tiny().data, fit_mouth_code(clips.points, 4))
    windows, codes = drawer.sounds(12, 56, np.random.default_rng(0), 1)
    assert 0.78 <= min(speeds) < 1 < max(speeds) <= 1.3
    assert windows.shape[:2] == codes.shape[:2] == (12, 22)  # 30 frames at the fastest


def test_a_cache_without_room_is_said(clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shutil.copytree(clips.folder, tmp_path / "p", ignore=shutil.ignore_patterns("cache"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left"):
        Clips(tmp_path / "p", "train", tiny().generator.context)
    assert not [*(tmp_path / "p" / "cache").iterdir()]


def test_decoded_frames_of_clips_as_they_were_before_are_not_kept(clips: Clips, tmp_path: Path):
    folder = tmp_path / "p"
    shutil.copytree(clips.folder, folder, ignore=shutil.ignore_patterns("cache"))
    Clips(folder, "train", tiny().generator.context)
    (before,) = (folder / "cache").iterdir()
    manifest = folder / "manifest.parquet"
    os.utime(before, (0, manifest.stat().st_mtime - 1))
    os.utime(manifest)
    Clips(folder, "train", tiny().generator.context)
    (now,) = (folder / "cache").iterdir()
    assert now != before


def test_there_is_a_window_for_every_frame(clips: Clips):
    for index, record in enumerate(clips.records):
        assert len(clips.windows(index)) == record.frames == len(clips.frames(index))


def test_a_clip_shorter_than_a_piece_is_drawn_whole_beside_longer_ones(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    clips.records[0] = dataclasses.replace(clips.records[0], frames=4)
    drawer = Drawer(clips, DataConfig(mirror=False), fit_mouth_code(clips.points, 4))
    drawer._choose = lambda count, random: np.array([0, 1])  # type: ignore[method-assign]
    batch = drawer.batch(2, 6, np.random.default_rng(1))
    assert batch.lengths[:, 1].tolist() == [4, 6]
    np.testing.assert_array_equal(batch.frames[:4], clips.frames(0)[:4])


def test_a_favoured_speaker_is_drawn_by_chance(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    code, order = fit_mouth_code(clips.points, 4), Order((0,), 0)
    favoured, alike = (Drawer(clips, DataConfig(evenness=evenness), code) for evenness in (1.0, 0.0))
    drawn = [
        {drawer.batch(4, 2, np.random.default_rng(seed), order=order).stills.tobytes() for seed in range(8)}
        for drawer in (favoured, alike)
    ]
    assert len(drawn[0]) > 1
    assert len(drawn[1]) == 1
