"""A real photo on the 3D head: at rest it is the photo, lids shut, lips part, the mouth has teeth."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from stillspeak.data.performers.head import TEETH, Head, read_head
from stillspeak.data.performers.lids import BLINKS
from stillspeak.data.performers.mouth import Look, normals
from stillspeak.data.performers.move import Moved, as_predicted, move
from stillspeak.data.performers.render import Stage, frame, stage_of
from stillspeak.data.performers.sitter import MARGIN_PX, SMOOTH, Sitter, sit
from stillspeak.data.performers.tracking import BLENDSHAPES, Tracker
from stillspeak.errors import FaceError
from stillspeak.media.images import read_image

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def head(corpus: Path) -> Head:
    return read_head(corpus / "heads" / "ict_facekit.npz")


@pytest.fixture(scope="module")
def tracker(corpus: Path) -> Tracker:
    return Tracker(corpus / "models" / "face_landmarker.task")


@pytest.fixture(scope="module")
def sitter(corpus: Path, head: Head, tracker: Tracker) -> Sitter:
    return sit(head, read_image(corpus / "people" / "female_09.jpg"), "female_09.jpg", tracker)


@pytest.fixture(scope="module")
def stage(head: Head, sitter: Sitter) -> Stage:
    return stage_of(head, sitter, Look())


def moved(stage: Stage, yaw: float = 0.0, shut: float = 0.0, **expressions: float) -> Moved:
    said = np.zeros((1, len(stage.sitter.names)), np.float32)
    for name, how_much in expressions.items():
        said[0, stage.sitter.names.index(name)] = how_much
    said[0, [stage.sitter.names.index(name) for name in BLINKS]] = shut
    return move(stage, said, np.array([shut], np.float32), np.array([[yaw, 0, 0]], np.float32))[0]


def picture(stage: Stage, at: Moved) -> np.ndarray:
    return frame(stage, at.points, at.ground, at.apart, at.shut)


def photo(sitter: Sitter) -> np.ndarray:
    inner = sitter.texture[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]
    return cv2.resize(inner, (inner.shape[1] // SMOOTH, inner.shape[0] // SMOOTH), interpolation=cv2.INTER_AREA)


def test_at_rest_the_picture_is_the_photo(stage: Stage, sitter: Sitter):
    at = moved(stage)
    still = frame(stage, stage.points, sitter.ground.points, 0.0, 0.0)
    assert np.abs(still.astype(int) - photo(sitter)).max() <= 1
    assert at.apart == 0
    held = np.abs(picture(stage, at).astype(int) - photo(sitter))
    assert held.mean() < 2  # the crop is held by the mean of five points, whose places are rounded


def test_lids_that_shut_look_shut_to_the_tracker(stage: Stage, tracker: Tracker):
    found = tracker.track(picture(stage, moved(stage, shut=1.0)))
    assert found is not None
    scores = [found.blendshapes[BLENDSHAPES.index(f"eyeBlink{side}")] for side in ("Left", "Right")]
    assert min(scores) > 0.45
    assert abs(scores[0] - scores[1]) < 0.2


def test_an_open_jaw_shows_the_mouth_and_moves_nothing_above_the_nose(stage: Stage, sitter: Sitter):
    at = moved(stage, jawOpen=0.3)
    change = np.abs(picture(stage, at).astype(int) - picture(stage, moved(stage)))
    nose = int(at.landmarks[30, 1] * 3)
    assert at.apart == 1
    assert change[: nose - 60].max() <= 8
    inner = at.landmarks[62:67, :].mean(axis=0) * 3
    assert change[int(inner[1]) - 4 : int(inner[1]) + 4, int(inner[0]) - 8 : int(inner[0]) + 8].mean() > 15


def test_teeth_that_show_are_brighter_than_what_is_behind_them(stage: Stage):
    at = moved(stage, jawOpen=0.25, mouthUpperUp_L=0.8, mouthUpperUp_R=0.8)
    shown = picture(stage, at).mean(axis=2)
    middle = int(at.landmarks[62, 0] * 3)
    top, bottom = int(at.landmarks[62, 1] * 3) + 2, int(at.landmarks[66, 1] * 3) - 2
    column = shown[top:bottom, middle - 6 : middle + 6].mean(axis=1)
    assert column.max() > 2 * column.min()


def test_upper_teeth_stay_with_the_skull_and_lower_teeth_go_with_the_jaw(stage: Stage, head: Head):
    rest, opened = moved(stage).points, moved(stage, jawOpen=0.3).points
    upper, lower = np.arange(18067, 18219), np.arange(20263, 20435)
    assert np.abs(opened[upper] - rest[upper]).max() < 0.5
    assert (opened[lower, 1] - rest[lower, 1]).min() > 0.02 * stage.sitter.unit
    assert TEETH.start <= upper[0] <= upper[-1] < TEETH.stop


def test_a_head_that_turns_takes_the_nose_further_than_the_eyes(stage: Stage):
    rest, turned = moved(stage).landmarks, moved(stage, yaw=5.0).landmarks
    nose = turned[30, 0] - rest[30, 0]
    eyes = (turned[[36, 45], 0] - rest[[36, 45], 0]).mean()
    assert abs(nose) > abs(eyes) + 0.5
    assert picture(stage, moved(stage, yaw=5.0)).min(axis=2).mean() > 0  # nothing is left uncovered


def test_labels_are_those_of_a_predictor_that_sees_lips_and_lids_move_less(stage: Stage):
    still, at = moved(stage).landmarks, moved(stage, shut=1.0, jawOpen=0.3).landmarks
    seen = as_predicted(at[None], still, np.ones(1, np.float32))[0]
    open_eye, shut_eye = still[41, 1] - still[37, 1], seen[41, 1] - seen[37, 1]
    assert shut_eye == pytest.approx(0.5 * open_eye, abs=0.05)
    assert seen[66, 1] - seen[62, 1] == pytest.approx(0.9 * (at[66, 1] - at[62, 1]), abs=0.05)
    assert np.array_equal(seen[:36], at[:36])


def test_a_vertex_of_a_plane_that_faces_the_camera_faces_the_camera():
    points = np.array([[0, 0, 1], [4, 0, 1], [0, 4, 1]], np.float32)
    for triangle in ([0, 2, 1],):  # counter-clockwise where y is up, as the head's are
        assert normals(points, np.array([triangle])) == pytest.approx(np.array([[0, 0, 1]] * 3))


@pytest.mark.parametrize(
    ("name", "why"), [("female_14.jpg", "shows an open mouth"), ("female_65.jpg", "is turned by"), ("", "no face")]
)
def test_a_photo_that_cannot_sit_is_named_with_the_reason(
    corpus: Path, head: Head, tracker: Tracker, name: str, why: str
):
    image = read_image(corpus / "people" / name) if name else np.full((300, 300, 3), 90, np.uint8)
    with pytest.raises(FaceError, match=why) as refused:
        sit(head, image, name or "wall.jpg", tracker)
    assert str(refused.value).startswith(name or "wall.jpg")
