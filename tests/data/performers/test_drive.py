"""From a performance to another head's expressions: invented heads whose expressions are known."""

import numpy as np
import pytest

from stillspeak.data.performers import drive
from stillspeak.data.performers.drive import FOLLOWED, Performance, coefficients, measured, steadied
from stillspeak.data.performers.sitter import Ground, Sitter
from stillspeak.data.performers.tracking import BLENDSHAPES

NAMES = ("jawOpen", "mouthPucker", "mouthSmile_L", "mouthSmile_R", "browInnerUp_L", "eyeBlink_L")


def invented_sitter() -> Sitter:
    random = np.random.default_rng(5)
    points = random.uniform(0, 300, (68, 3)).astype(np.float32)
    nothing = np.zeros(0, np.float32)
    ground = Ground(nothing, nothing.astype(int), nothing.astype(int), nothing, nothing.astype(bool))
    moves = random.normal(0, 12, (len(NAMES), 68, 3)).astype(np.float32)
    turn, five = np.eye(3, dtype=np.float32), np.zeros((5, 2), np.float32)
    triangles, landmarks = np.zeros((0, 3), np.int32), np.arange(68, dtype=np.int32)
    return Sitter(
        np.zeros((4, 4, 3), np.uint8),
        points,
        moves,
        NAMES,
        landmarks,
        turn,
        five,
        300.0,
        1.0,
        triangles,
        nothing,
        ground,
    )


def performance(moved: np.ndarray, blendshapes: np.ndarray) -> Performance:
    nothing = np.zeros(len(moved), np.float32)
    return Performance(moved, blendshapes, np.zeros((len(moved), 2), np.float32), nothing, nothing)


def test_expressions_are_those_that_move_the_landmarks_as_far_as_the_performers():
    sitter, random = invented_sitter(), np.random.default_rng(1)
    true = random.uniform(0, 0.9, (30, len(NAMES))).astype(np.float32)
    true[:, NAMES.index("eyeBlink_L")] = 0
    moved = np.tensordot(true, sitter.moves[:, FOLLOWED, :2], axes=1) / sitter.unit
    found = coefficients(sitter, performance(moved, np.zeros((30, len(BLENDSHAPES)), np.float32)))
    assert found == pytest.approx(drive._GAIN * true, abs=0.05)


def test_where_landmarks_say_nothing_the_network_is_followed():
    sitter = invented_sitter()
    sitter.moves[NAMES.index("mouthPucker")] = 0
    said = np.zeros((4, len(BLENDSHAPES)), np.float32)
    said[:, BLENDSHAPES.index("mouthPucker")] = [0, 0.2, 0.5, 0.9]
    found = coefficients(sitter, performance(np.zeros((4, len(FOLLOWED), 2), np.float32), said))
    assert found[:, NAMES.index("mouthPucker")] == pytest.approx([0, 0.2, 0.5, 0.9], abs=1e-3)


def test_no_expression_leaves_its_bounds():
    sitter = invented_sitter()
    moved = 9 * np.tensordot(np.ones((1, len(NAMES)), np.float32), sitter.moves[:, FOLLOWED, :2], axes=1) / sitter.unit
    found = coefficients(sitter, performance(moved, np.zeros((1, len(BLENDSHAPES)), np.float32)))
    assert found.max() <= drive._MOST
    assert found.min() >= drive._LEAST


def test_both_sides_take_what_the_network_says_of_both():
    named = drive.network_names(("browInnerUp_L", "browInnerUp_R", "eyeBlink_R", "PupilDilate_L"))
    assert [BLENDSHAPES[k] if k >= 0 else "" for k in named] == ["browInnerUp", "browInnerUp", "eyeBlinkRight", ""]


def test_a_head_that_turns_in_the_picture_moves_nothing_of_the_face():
    random = np.random.default_rng(2)
    shape = random.uniform(0, 90, (68, 2))
    frames = []
    for k in range(12):
        angle, scale = 0.02 * k, 1 + 0.01 * k
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        frames.append(shape @ turn.T + [k, -2 * k])
    still = steadied(np.stack(frames).astype(np.float32))
    assert np.abs(still - still[0]).max() < 1e-3
    assert np.linalg.norm(still[0, 45] - still[0, 36]) == pytest.approx(1, abs=0.1)


def test_opening_and_width_are_distances_of_lips():
    landmarks = np.zeros((1, 68, 2), np.float32)
    landmarks[0, [65, 66, 67], 1] = 7
    landmarks[0, 54, 0] = 30
    opening, width = measured(landmarks)
    assert opening == pytest.approx([7])
    assert width == pytest.approx([30])


def test_eyes_are_shut_together_at_the_trackers_full_score():
    scores = np.full((20, len(BLENDSHAPES)), 0.1, np.float32)
    scores[8, [9, 10]] = 0.8, 0.6
    shut = drive._shut(scores)
    assert shut[8] == pytest.approx([1, 1])
    assert shut[0] == pytest.approx([0, 0])
