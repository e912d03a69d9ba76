"""Pictures of every kind, the right face of several, and the geometry of alignment."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from stillspeak.errors import FaceError
from stillspeak.media.faces import CANONICAL, align, every_face, find_faces, similarity, smooth
from stillspeak.media.portrait import require_faces


def test_the_astronauts_face_is_first_and_not_the_badge(astronaut: np.ndarray):
    left, top, right, bottom = require_faces(astronaut)[0].box
    assert 200 < (left + right) / 2 < 250
    assert 90 < (top + bottom) / 2 < 150


def test_the_aligned_face_has_its_points_at_the_canonical_places(astronaut: np.ndarray):
    face = require_faces(astronaut)[0]
    matrix = similarity(face.points)
    moved = face.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(moved - CANONICAL).mean() < 2.0
    crop = align(astronaut, matrix)
    assert crop.shape == (128, 96, 3)
    assert crop.dtype == np.uint8


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0.0, 1.0, (0, 0)), (0.4, 2.5, (100, -30)), (-1.2, 0.3, (5, 700))]
)
def test_similarity_undoes_a_known_rotation_scale_and_shift(angle: float, scale: float, shift: tuple[int, int]):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (CANONICAL @ turn.T + shift).astype(np.float32)
    matrix = similarity(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], CANONICAL, atol=1e-3)


def test_align_shrinks_without_aliasing():
    checks = (np.indices((1280, 960)).sum(0) % 2 * 255).astype(np.uint8)
    fine = np.repeat(checks[:, :, None], 3, 2)
    crop = align(fine, np.array([[0.1, 0, 0], [0, 0.1, 0]]))
    assert crop.std() < 8  # a checkerboard of single pixels is an even grey from afar


def test_smoothing_keeps_a_still_face_still_and_steadies_a_shaking_one():
    still = np.repeat(CANONICAL[None], 20, 0)
    np.testing.assert_allclose(smooth(still), still, rtol=1e-6)
    shaking = still + np.random.default_rng(0).normal(0, 1, still.shape).astype(np.float32)
    assert (smooth(shaking) - still).std() < 0.5 * (shaking - still).std()


def test_smoothing_is_the_mean_of_seven_frames():
    points = np.random.default_rng(0).normal(size=(20, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(smooth(points)[10], points[7:14].mean(0), rtol=1e-5)


def test_a_picture_without_a_face_is_refused():
    for shape in ((1, 1, 3), (5, 400, 3), (300, 300, 3)):
        assert find_faces(np.full(shape, 120, np.uint8)) == []
    with pytest.raises(FaceError, match="no face"):
        require_faces(np.zeros((200, 200, 3), np.uint8))


@pytest.mark.parametrize("side", [1000, 2400, 4000])
def test_a_small_face_in_a_large_photo_is_found(astronaut: np.ndarray, side: int):
    large = cv2.resize(astronaut, None, fx=2, fy=2)
    photo = np.full((side, side, 3), 90, np.uint8)
    photo[: min(side, 1024), : min(side, 1024)] = large[:side, :side]
    box = require_faces(photo)[0].box
    assert np.abs(np.array(box) / 2 - require_faces(astronaut)[0].box).max() < 12


def test_of_a_doubtful_face_the_clearest_look_is_kept(astronaut: np.ndarray):
    turned = cv2.warpAffine(astronaut, cv2.getRotationMatrix2D((225, 120), 12, 1.0), (512, 512))
    small = cv2.resize(turned, (200, 200), interpolation=cv2.INTER_AREA)
    assert every_face(small)[0].confidence >= find_faces(small)[0].confidence - 0.1


def test_faces_are_found_in_two_threads_at_once_as_in_one(astronaut: np.ndarray):
    """Two threads with one detector end the process, or find faces where there are none."""
    pictures = [astronaut, np.zeros((900, 1200, 3), np.uint8), astronaut[:300, 50:400]]
    alone = [[face.box for face in find_faces(picture)] for picture in pictures]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(3):
            assert [[face.box for face in found] for found in threads.map(find_faces, pictures)] == alone
