"""A recording with gaps is repaired: its good frames stay, the others are drawn, and what cannot be repaired is said."""

from pathlib import Path

import numpy as np
import pytest

from helpers import tone
from stillspeak.animate import Animator
from stillspeak.cli import main
from stillspeak.media.audio import Sound
from stillspeak.media.film import open_film
from stillspeak.media.inspection import inspect
from stillspeak.media.writer import VideoWriter

LENGTH = 30


def recording(path: Path, picture: np.ndarray, bad: range, how: str, sound: Sound | None) -> Path:
    """A film of a face that moves a little, and of which some frames are black or repeated."""
    last = picture
    with VideoWriter(path, 25, sound, synthetic=False) as writer:
        for number in range(LENGTH):
            last = last if number in bad else np.roll(picture, number % 3, axis=1)
            last = np.clip(last.astype(int) + (number % 2) * (number not in bad), 0, 255).astype(np.uint8)
            writer.write(np.zeros_like(picture) if number in bad and how == "black" else last)
    return path


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(astronaut[:300, 80:380])


@pytest.mark.parametrize("how", ["black", "frozen"])
def test_frames_of_a_gap_are_drawn_and_all_others_stay(animator: Animator, face: np.ndarray, tmp_path: Path, how: str):
    film = recording(tmp_path / "call.mp4", face, range(12, 18), how, tone(LENGTH / 25))
    fill = animator.fill(film)
    assert [(round(gap.begin * 25), round(gap.end * 25), gap.kind) for gap in fill.damage.gaps] == [(12, 18, how)]
    filmed = [one.picture for one in open_film(film).shown()]
    for number, made in enumerate(fill.frames()):
        assert bool(made.changed) == (12 <= number < 18)
        if not made.changed:
            assert np.array_equal(made.picture, filmed[number])
        else:
            assert made.picture.mean() > 0.8 * face.mean()
            assert not np.array_equal(made.picture, filmed[number])
    assert fill.drawn == 6


def test_a_drawn_frame_lies_between_its_neighbours(animator: Animator, face: np.ndarray, tmp_path: Path):
    film = recording(tmp_path / "call.mp4", face, range(0), "black", tone(LENGTH / 25))
    filmed = [one.picture.astype(float) for one in open_film(film).shown()]
    made = [one.picture for one in animator.fill(film, "0.4-0.44").frames()]
    outside = np.s_[:40, :40]
    assert np.abs(made[10][outside] - filmed[10][outside]).mean() < 12
    assert np.abs(made[9].astype(float) - filmed[9]).max() == 0


def test_the_file_has_its_sound_and_says_that_it_was_edited(
    animator: Animator, tiny_model: Path, face: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    film = recording(tmp_path / "call.mp4", face, range(12, 18), "black", tone(LENGTH / 25))
    out = tmp_path / "repaired.mp4"
    assert main(["fill", str(film), "-o", str(out), "--model", str(tiny_model)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0.48 to 0.72 s: frames are black.",
        f"6 of {LENGTH} frames were drawn.",
        str(out),
    ]
    made = open_film(out)
    assert len([*made.shown()]) == LENGTH
    assert made.has_sound
    assert "compositeWithTrainedAlgorithmicMedia" in str(inspect(out))


@pytest.mark.parametrize(("gaps", "bad"), [("0-0.4", range(10)), ("0.8-1.2", range(20, 30))])
def test_a_gap_at_the_edge_of_the_film_is_drawn_from_one_side(
    animator: Animator, face: np.ndarray, tmp_path: Path, gaps: str, bad: range
):
    film = recording(tmp_path / "call.mp4", face, bad, "black", tone(LENGTH / 25))
    made = [one.picture for one in animator.fill(film, gaps).frames()]
    assert len(made) == LENGTH
    assert all(made[number].mean() > 0.8 * face.mean() for number in bad)


def test_a_cut_is_not_faded_over(animator: Animator, face: np.ndarray, tmp_path: Path):
    other = np.ascontiguousarray(255 - face[::-1])
    with VideoWriter(tmp_path / "cut.mp4", 25, tone(LENGTH / 25), synthetic=False) as writer:
        for number in range(LENGTH):
            writer.write(face if number < 15 else other)
    filmed = [one.picture.astype(float) for one in open_film(tmp_path / "cut.mp4").shown()]
    made = [one.picture for one in animator.fill(tmp_path / "cut.mp4", "0.4-0.8").frames()]
    corner = np.s_[:40, :40]
    for number in range(10, 20):
        assert np.abs(made[number][corner] - filmed[9][corner]).mean() < 2


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        ("whole", [], "no gap"),
        ("whole", ["--gaps", "9-10"], "lasts"),
        ("whole", ["--gaps", "2-1"], "listed in seconds"),
        ("whole", ["--gaps", "0-9"], "no good frame"),
        ("mute", [], "no sound"),
        ("empty", [], "no face"),
        ("black", [], "no good frame"),
        ("sound", [], "a sound and not a film"),
        ("picture", [], "picture"),
        ("missing", [], "no file"),
    ],
)
def test_what_cannot_be_repaired_is_said_in_a_sentence(
    tiny_model: Path,
    face: np.ndarray,
    photo: Path,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: str,
    options: list[str],
    said: str,
):
    film, heard = tmp_path / "call.mp4", tone(LENGTH / 25)
    grey = np.random.default_rng(0).integers(60, 90, face.shape).astype(np.uint8)
    if make in ("whole", "mute"):
        recording(film, face, range(0), "black", heard if make == "whole" else None)
    elif make in ("empty", "black"):
        bad = range(12, 18) if make == "empty" else range(LENGTH)
        recording(film, grey, bad, "black", heard)
    film = {"sound": speech, "picture": photo}.get(make, film)
    out = tmp_path / "out.mp4"
    assert main(["fill", str(film), "-o", str(out), "--model", str(tiny_model), *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error.lower() or said in error
    assert not out.exists()
