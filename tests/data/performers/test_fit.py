"""The fit: an invented head whose identity and pose are known."""

import numpy as np
import pytest

from stillspeak.data.performers.fit import eye_distance, fit, pose
from stillspeak.data.performers.head import Head
from stillspeak.errors import FaceError


def invented_head(identities: int = 6) -> Head:
    """Points about a face's size, 68 of which are landmarks, with directions by which people differ."""
    random = np.random.default_rng(3)
    neutral = random.uniform([-7, -8, 4], [7, 8, 12], (200, 3)).astype(np.float32)
    neutral[36], neutral[45] = (-4.5, 3.4, 8.6), (4.5, 3.4, 8.6)
    moves = random.normal(0, 0.3, (identities, 200, 3)).astype(np.float16)
    return Head(neutral, moves, moves[:1], ("jawOpen",), np.zeros((0, 3), np.int32), np.arange(68, dtype=np.int32))


def turned(yaw: float, pitch: float, scale: float) -> np.ndarray:
    """The rows x, y (down) and nearness of a head that is turned, times pixels a cm."""
    y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    return scale * np.diag([1, -1, 1]) @ x @ y


def test_the_pose_of_a_rigid_shape_is_found():
    head = invented_head()
    turn = turned(0.2, -0.1, 21.0)
    shape = head.neutral.astype(float)
    found, shift = pose(shape, shape @ turn[:2].T + [310, 250], np.ones(len(shape)))
    assert found == pytest.approx(turn, abs=1e-6)
    assert shift == pytest.approx([310, 250], abs=1e-6)


def test_identity_and_pose_of_a_synthetic_head_are_recovered():
    head = invented_head()
    identity = np.array([1.2, -0.8, 0.5, 0.0, -1.0, 0.7])
    turn = turned(0.12, 0.05, 20.0)
    vertices = head.neutral + np.tensordot(identity, head.identities.astype(float), axes=1)
    wanted = vertices @ turn[:2].T + [320, 300]
    found = fit(head, wanted[:68].astype(np.float32))
    assert found.identity == pytest.approx(identity, abs=0.1)
    assert found.turn == pytest.approx(turn, abs=0.2)
    away = np.linalg.norm(found.points[:, :2] - wanted, axis=1)
    assert np.median(away) < 0.02 * eye_distance(wanted[:68])


def test_the_warp_takes_landmarks_nearer_to_the_photos_than_the_fit_alone():
    head = invented_head()
    plain = head.neutral @ turned(0, 0, 20.0)[:2].T + [320, 300]
    bent = plain + 6 * np.sin(plain / 60)  # no head of these identities looks so
    found = fit(head, bent[:68].astype(np.float32))
    after = np.median(np.linalg.norm(found.points[:68, :2] - bent[:68], axis=1))
    assert after < 0.6 * found.error * eye_distance(bent[:68])


def test_what_is_no_face_is_refused():
    landmarks = np.random.default_rng(0).uniform(0, 600, (68, 2)).astype(np.float32)
    with pytest.raises(FaceError, match="does not fit"):
        fit(invented_head(1), landmarks)
