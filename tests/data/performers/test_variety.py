"""What is drawn by chance, and that it is drawn the same again."""

import numpy as np
import pytest

from stillspeak.data.performers.variety import MOODS, Camera, draw_look, draw_variety, filmed, mood_coefficients


def test_a_clip_has_the_same_variety_whenever_it_is_made():
    first, again = draw_variety("ann", "s1_bbaf2n", 40), draw_variety("ann", "s1_bbaf2n", 40)
    assert np.array_equal(first.turns, again.turns)
    assert np.array_equal(first.moods, again.moods)
    assert first.look == again.look
    assert first.camera == again.camera


def test_a_person_has_one_mouth_and_two_people_have_two():
    assert draw_variety("ann", "one", 5).look == draw_variety("ann", "two", 5).look
    looks = {draw_look(f"person{k}") for k in range(20)}
    assert len(looks) == 20


def test_heads_turn_slowly_and_little():
    turns = np.concatenate([np.diff(draw_variety("ann", f"clip{k}", 75).turns, axis=0) for k in range(40)])
    whole = np.concatenate([draw_variety("ann", f"clip{k}", 75).turns for k in range(40)])
    assert np.abs(whole).max() < 20
    assert np.abs(turns).max() < 1.5
    assert 0.5 < whole[:, 0].std() < 5


def test_a_clip_has_at_most_one_mood_throughout_and_some_have_none():
    shown = [(draw_variety(f"person{k}", "clip", 10).moods[:, :-1] != 0).any(axis=0) for k in range(200)]
    assert max(one.sum() for one in shown) == 1
    assert 0.25 < np.mean([not one.any() for one in shown]) < 0.55
    assert all(np.any([one[mood] for one in shown]) for mood in range(len(MOODS) - 1))


def test_some_clips_begin_with_a_grin_that_is_gone_before_the_speech():
    grins = np.stack([draw_variety(f"person{k}", "clip", 75).moods[:, MOODS.index("grin")] for k in range(200)])
    begun = grins[:, 0] > 0
    assert 0.35 < begun.mean() < 0.65
    assert grins[begun, 0].min() >= 0.7
    assert (np.diff(grins, axis=1) <= 0).all()
    assert not grins[:, 34:].any()
    assert not grins[~begun].any()


def test_a_grin_shows_teeth():
    names = ("mouthUpperUp_L", "mouthLowerDown_R", "jawOpen", "browDown_L")
    moods = np.zeros((1, len(MOODS)), np.float32)
    moods[0, MOODS.index("grin")] = 1
    upper, lower, jaw, brow = mood_coefficients(moods, names)[0]
    assert upper > 0.3
    assert lower > 0.2
    assert 0 < jaw < 0.1
    assert brow == 0


def test_a_smile_raises_the_corners_of_the_mouth_and_no_brows():
    names = ("mouthSmile_L", "mouthSmile_R", "browDown_L", "jawOpen")
    moods = np.zeros((2, len(MOODS)), np.float32)
    moods[1, MOODS.index("smile")] = 1
    assert mood_coefficients(moods, names)[0] == pytest.approx([0, 0, 0, 0])
    left, right, brow, jaw = mood_coefficients(moods, names)[1]
    assert left == right > 0
    assert brow == jaw == 0


def test_a_perfect_camera_changes_nothing_and_others_do():
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (384, 288, 3)).astype(np.uint8)
    assert np.array_equal(filmed(picture, Camera(0.0, 0.0, 0), random), picture)
    blurred = filmed(picture, Camera(1.5, 0.0, 0), random)
    assert blurred.std() < 0.5 * picture.std()
    noisy = filmed(np.full((384, 288, 3), 100, np.uint8), Camera(0.0, 4.0, 0), random)
    assert noisy.std() == pytest.approx(4, rel=0.1)
    coded = filmed(picture, Camera(0.0, 0.0, 60), random)
    assert coded.shape == picture.shape
    assert coded.std() > 0
