"""Portraits that talk as clips do: geometry, light, and what is kept of the portrait."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.io

from stillspeak.cli import main
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.expression import EXPRESSION
from stillspeak.data.landmarks import crop_landmarks, eye_aspect_ratio, mouth_opening
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.data.portraits import kept_back, prepare_portraits, read_portraits
from stillspeak.data.recombine import coloured, move_points, recombine
from stillspeak.errors import DataError
from stillspeak.presets import tiny
from stillspeak.runtime.scene import still

LOWER_LIP_AND_CHIN = np.r_[4:13, 55:60, 65:68]
AWAKE = np.zeros((3, EXPRESSION), np.float32)  # eyes as in the photo


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> np.ndarray:
    return still(astronaut)


@pytest.fixture(scope="module")
def points(face: np.ndarray) -> np.ndarray:
    return crop_landmarks(face[None])[0]


@pytest.fixture(scope="module")
def shut(points: np.ndarray) -> np.ndarray:
    """The same face with lips that meet."""
    shut = points.copy()
    shut[[67, 66, 65]] = shut[[61, 62, 63]]
    return shut


def opened(shut: np.ndarray, far: float) -> np.ndarray:
    moved = shut.copy()
    moved[LOWER_LIP_AND_CHIN, 1] += far
    return moved


def test_a_face_that_rests_as_its_clip_does_stays_what_it_is(face: np.ndarray, shut: np.ndarray):
    made, moved = recombine(face, shut, face[None], shut[None], shut, 0.0, AWAKE[:1])
    assert np.allclose(moved[0], shut, atol=1e-4)
    assert np.abs(made[0].astype(float) - face).max() <= 1


def test_lips_part_as_far_as_the_clips_do_and_the_upper_half_stays(face: np.ndarray, shut: np.ndarray):
    clip = np.stack([opened(shut, far) for far in (0.0, 3.0, 6.0)])
    frames = np.repeat(face[None], 3, 0)
    made, moved = recombine(face, shut, frames, clip, shut, 0.0, AWAKE)
    assert mouth_opening(moved) == pytest.approx([0, 3, 6], abs=0.2)
    assert np.abs(made[:, :50].astype(float) - face[:50]).max() <= 1
    assert np.abs(made[2, 80:].astype(float) - face[80:]).mean() > 2


def test_an_open_smile_is_shut_by_a_clip_at_rest(points: np.ndarray, shut: np.ndarray):
    smile = opened(points, 4.0)
    assert mouth_opening(smile[None])[0] > 3
    for kept in (0.0, 1.0):
        assert mouth_opening(move_points(smile, shut[None], shut, kept, AWAKE[:1]))[0] < 0.3


def test_a_portrait_blinks_and_its_mouth_does_not_know(face: np.ndarray, shut: np.ndarray):
    closing = np.array([[0, 0], [0.5, 0], [1, 0]], np.float32)
    made, moved = recombine(face, shut, np.repeat(face[None], 3, 0), np.repeat(shut[None], 3, 0), shut, 0.0, closing)
    ratio = eye_aspect_ratio(moved) / eye_aspect_ratio(shut[None])
    assert ratio == pytest.approx([1, 0.54, 0.08], abs=0.03)
    assert np.abs(made[:, 80:].astype(float) - face[80:]).max() <= 1
    seen = eye_aspect_ratio(crop_landmarks(made))
    assert seen[2] < 0.7 * seen[0]


def test_a_grey_portrait_takes_the_colours_of_a_face_and_keeps_its_light(face: np.ndarray, points: np.ndarray):
    grey = np.repeat(face.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    made = coloured(grey, points, face, points)
    assert np.abs(made.astype(float).mean(axis=2) - grey[..., 0]).mean() < 6
    cheek = slice(70, 76), slice(25, 32)
    assert made[cheek].astype(float).mean(axis=(0, 1)) == pytest.approx(face[cheek].mean(axis=(0, 1)), abs=12)
    assert coloured(face, points, grey, points) is face


def test_a_grey_portrait_gets_a_grey_mouth(face: np.ndarray, shut: np.ndarray):
    grey = np.repeat(face.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    red = np.full_like(face, (200, 20, 20))
    made, _ = recombine(grey, shut, red[None], opened(shut, 6.0)[None], shut, 0.0, AWAKE[:1])
    assert np.ptp(made.astype(int), axis=3).max() <= 1


@pytest.fixture(scope="module")
def with_portraits(prepared: Path, astronaut: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of clips and two portraits, made by the project's own command."""
    photos = tmp_path_factory.mktemp("photos")
    names = [f"face{number}.png" for number in range(20)]
    for name in [name for name in names if not kept_back(name)][:2] + [name for name in names if kept_back(name)][:1]:
        skimage.io.imsave(photos / name, astronaut, check_contrast=False)
    skimage.io.imsave(photos / "nobody.png", np.zeros((64, 64, 3), np.uint8), check_contrast=False)
    assert main(["prepare", "portraits", str(photos), str(prepared)]) == 0
    return prepared


def test_portraits_that_are_kept_back_are_not_in_the_file(with_portraits: Path):
    portraits = read_portraits(with_portraits)
    assert len(portraits.crops) == len(portraits.points) == len(portraits.names) == 2
    assert not any(kept_back(name) for name in portraits.names)
    assert 150 < sum(kept_back(f"{number}.jpg") for number in range(800)) < 250


def test_photos_of_the_same_name_in_several_folders_are_all_kept(astronaut: np.ndarray, tmp_path: Path):
    name = next(name for name in map("{}.png".format, range(20)) if not kept_back(name))
    for folder in ("a", "b"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        skimage.io.imsave(tmp_path / "photos" / folder / name, astronaut, check_contrast=False)
    assert "Kept 2 of 2" in prepare_portraits(tmp_path / "photos", tmp_path / "made")
    assert read_portraits(tmp_path / "made").names == [f"a/{name}", f"b/{name}"]


def test_a_recombined_batch_shows_the_portrait_and_is_the_same_for_the_same_seed(with_portraits: Path):
    config = replace(tiny().data, recombined=1.0, mirror=False, face_jitter=0.0)
    clips = Clips(with_portraits, "train", tiny().generator.context)
    drawer = Drawer(clips, config, fit_mouth_code(clips.points, 4))
    first, again = (drawer.pictures(6, 3, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    portraits = read_portraits(with_portraits)
    shown = [any(np.array_equal(still, crop) for crop in portraits.crops) for still in first.stills]
    assert 2 <= sum(shown) <= 6


def test_what_is_missing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(DataError, match="prepare portraits"):
        read_portraits(tmp_path)
    (tmp_path / "portraits.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DataError, match="damaged"):
        read_portraits(tmp_path)
    assert main(["prepare", "portraits", str(tmp_path), str(tmp_path / "out")]) == 2
    assert main(["prepare", "portraits", str(tmp_path / "gone"), str(tmp_path / "out")]) == 2
    assert "no folder" in capsys.readouterr().err
