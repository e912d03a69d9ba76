"""The tracker: what lies between its networks, and a portrait as MediaPipe itself finds it."""

from pathlib import Path

import numpy as np
import pytest

from stillspeak.data.performers import tracking
from stillspeak.data.performers.tracking import BLENDSHAPES, Tracker
from stillspeak.errors import DataError
from stillspeak.media.images import read_image

# people/female_10.jpg by mediapipe 1.2.2: x and y in pixels.
REFERENCE_POINTS = {
    33: (245.8, 226.4),
    263: (390.9, 222.0),
    1: (325.5, 285.3),
    61: (278.2, 319.9),
    291: (367.2, 318.9),
    13: (325.0, 324.2),
    14: (325.2, 326.4),
    152: (326.4, 395.8),
    10: (317.3, 140.2),
}
REFERENCE_BLENDSHAPES = {
    "mouthPucker": 0.65,
    "mouthSmileRight": 0.64,
    "mouthSmileLeft": 0.54,
    "eyeSquintLeft": 0.33,
    "eyeSquintRight": 0.33,
    "browOuterUpLeft": 0.21,
}


def test_anchors_are_the_middles_of_their_cells():
    anchors = tracking._anchors()
    assert anchors.shape == (896, 2)
    assert anchors[0] == pytest.approx([1 / 32, 1 / 32])
    assert anchors[1] == pytest.approx(anchors[0])
    assert anchors[512:518] == pytest.approx(np.full((6, 2), 1 / 16))
    assert anchors[-1] == pytest.approx([15 / 16, 15 / 16])


def test_boxes_of_one_face_are_averaged_by_their_scores_and_others_left_out():
    boxes, scores = np.zeros((896, 16), np.float32), np.full(896, -10.0, np.float32)
    for anchor, (x, y), score in ((600, (40, 40), 2.0), (700, (44, 40), 0.0), (800, (100, 100), 1.0)):
        boxes[anchor, :2] = np.array([x, y]) - tracking._anchors()[anchor] * 128
        boxes[anchor, 2:4] = 30
        scores[anchor] = score
    place = tracking._decoded(boxes, scores)
    assert place is not None
    first, second = 1 / (1 + np.exp(-2)), 0.5
    middle = (first * 40 + second * 44) / (first + second)
    assert place[:4] == pytest.approx([middle - 15, 25, middle + 15, 55], abs=1e-4)
    assert tracking._decoded(boxes, np.full(896, -10.0, np.float32)) is None


def test_a_turned_square_maps_its_corners_to_the_picture():
    square = tracking._Square(100.0, 50.0, 40.0, np.pi / 2)
    back = tracking._to_picture(square, 256)
    assert back @ [128, 128, 1] == pytest.approx([100, 50])
    assert back @ [256, 128, 1] == pytest.approx([100, 70])


def test_a_task_that_is_none_is_one_sentence(tmp_path: Path):
    with pytest.raises(DataError, match="is no face_landmarker"):
        Tracker(tmp_path / "missing.task")
    (tmp_path / "some.task").write_bytes(b"no zip")
    with pytest.raises(DataError, match="is no face_landmarker"):
        Tracker(tmp_path / "some.task")


@pytest.fixture(scope="module")
def tracker(corpus: Path) -> Tracker:
    return Tracker(corpus / "models" / "face_landmarker.task")


@pytest.mark.corpus
def test_a_portrait_is_found_as_mediapipe_finds_it(corpus: Path, tracker: Tracker):
    found = tracker.track(read_image(corpus / "people" / "female_10.jpg"))
    assert found is not None
    eyes = np.linalg.norm(np.subtract(REFERENCE_POINTS[33], REFERENCE_POINTS[263]))
    for point, place in REFERENCE_POINTS.items():
        assert np.linalg.norm(found.points[point, :2] - place) < 0.02 * eyes
    for name, score in REFERENCE_BLENDSHAPES.items():
        assert found.blendshapes[BLENDSHAPES.index(name)] == pytest.approx(score, abs=0.12)


@pytest.mark.corpus
def test_a_turned_picture_turns_the_points(corpus: Path, tracker: Tracker):
    image = read_image(corpus / "people" / "female_10.jpg")
    upright = tracker.track(image)
    turned = tracker.track(np.ascontiguousarray(np.rot90(image)), None)
    assert upright is not None
    if turned is None:  # the detector may not know faces that lie
        pytest.skip("a face that lies is not detected")
    eyes = np.linalg.norm(upright.points[33, :2] - upright.points[263, :2])
    back = np.stack([image.shape[1] - 1 - turned.points[:, 1], turned.points[:, 0]], axis=1)
    assert np.median(np.linalg.norm(back - upright.points[:, :2], axis=1)) < 0.05 * eyes


@pytest.mark.corpus
def test_where_there_is_no_face_there_is_none(tracker: Tracker):
    assert tracker.track(np.full((200, 300, 3), 120, np.uint8)) is None
