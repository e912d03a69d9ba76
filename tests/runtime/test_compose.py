"""Back into the photo: nothing outside the face changes, nothing has an edge, what moves keeps its detail."""

import cv2
import numpy as np
import pytest

from helpers import tone
from stillspeak.animate import Animator
from stillspeak.errors import FaceError, MediaError
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, every_face, similarity
from stillspeak.runtime.compose import Composer, outline_weight, warp
from stillspeak.runtime.engine import Layers
from stillspeak.runtime.scene import MOST_PX, Scene, numbered, open_scene


@pytest.fixture(scope="module")
def scene(astronaut: np.ndarray) -> Scene:
    return open_scene(astronaut)


@pytest.fixture(scope="module")
def film(shipped: Animator, astronaut: np.ndarray) -> np.ndarray:
    return shipped(astronaut, tone(1.0)).frames


def unmoved(composer: Composer, frame: np.ndarray | None = None) -> Layers:
    """A frame that is the still itself, or another; nothing moves, nothing is painted."""
    still = composer.still if frame is None else frame
    return Layers(
        still[None], np.zeros((1, HEIGHT_PX, WIDTH_PX, 2), np.float32), np.zeros((1, HEIGHT_PX, WIDTH_PX), np.float32)
    )


def reached(composer: Composer) -> np.ndarray:
    """Pixels of the photo that a frame may change."""
    weight = np.zeros(composer.photo.shape[:2], np.float32)
    weight[composer.place] = composer._enlarged(cv2.dilate(outline_weight(), np.ones((5, 5))))
    return weight > 0


def test_a_still_that_does_not_move_is_the_photo_to_the_bit(scene: Scene):
    (frame,) = scene.film([unmoved(scene.faces[0])])
    np.testing.assert_array_equal(frame, scene.photo)


def test_outside_the_face_every_frame_is_the_photo_to_the_bit(scene: Scene, film: np.ndarray):
    outside = ~reached(scene.faces[0])
    assert outside.mean() > 0.8
    assert (film[:, outside] == scene.photo[outside]).all()
    assert (film[:, ~outside] != scene.photo[~outside]).any()


def test_at_the_rim_there_is_no_step(scene: Scene, film: np.ndarray):
    inside = reached(scene.faces[0]).astype(np.uint8)
    rim = inside.astype(bool) & ~cv2.erode(inside, np.ones((3, 3), np.uint8)).astype(bool)
    change = np.abs(film[:, rim].astype(int) - scene.photo[rim])
    assert change.mean() < 0.5


def test_a_crop_has_no_edge_of_its_own_weight():
    weight = outline_weight()
    assert max(weight[0].max(), weight[-1].max(), weight[:, 0].max(), weight[:, -1].max()) == 0
    assert np.abs(np.diff(weight, axis=0)).max() < 0.2
    assert weight[90, 48] == 1  # the mouth


@pytest.mark.parametrize("turn", [0.0, 20.0])
def test_motion_moves_the_photo_at_its_own_resolution(turn: float):
    """A motion of 3 crop pixels downwards on a photo 4 times as large moves it by 12, along the face's own axes."""
    rng = np.random.default_rng(0)
    photo = cv2.GaussianBlur(rng.integers(0, 255, (900, 900, 3), dtype=np.uint8), (0, 0), 2)
    angle = np.deg2rad(turn)
    linear = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / 4
    matrix = np.column_stack([linear, np.array([48.5, 75.0]) - linear @ [450, 450]])
    composer = Composer(photo, matrix)
    drawn = unmoved(composer)
    drawn.motion[..., 1] = -3
    moved = warp(composer.still, drawn.motion[0])
    (frame,) = Scene(photo, [composer]).film([drawn._replace(frames=np.rint(moved).astype(np.uint8)[None])])
    down = np.linalg.inv(linear) @ [0, 3]
    at = np.rint([450 - down[1], 450 - down[0]]).astype(int)
    expected = photo[at[0] - 20 : at[0] + 20, at[1] - 20 : at[1] + 20].astype(int)
    assert np.abs(frame[430:470, 430:470] - expected).mean() < 3


def test_what_a_model_paints_reaches_the_photo(scene: Scene):
    composer = scene.faces[0]
    red = composer.still.copy()
    red[88:96, 40:58] = (200, 20, 20)
    mask = np.zeros((1, HEIGHT_PX, WIDTH_PX), np.float32)
    mask[:, 86:98, 38:60] = 1
    (frame,) = scene.film([unmoved(composer, red)._replace(mask=mask)])
    x, y = np.linalg.inv(composer._to_crop[:, :2]) @ (np.array([49, 92]) - composer._to_crop[:, 2])
    assert np.abs(frame[composer.place][round(y), round(x)].astype(int) - [200, 20, 20]).max() < 25


def test_two_faces_talk_with_a_voice_each(shipped: Animator, astronaut: np.ndarray):
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    voices = {1: tone(1.0), 2: tone(0.5)}
    frames = list(shipped.frames(two, voices))
    assert len(frames) == 25
    places = [face.place for face in open_scene(two, "all").faces]
    moves = [[np.abs(frame[place].astype(int) - two[place]).mean() for frame in frames] for place in places]
    assert min(max(one) for one in moves) > 0.3
    assert np.mean(moves[1][18:]) < np.mean(moves[0][18:])  # face 2 has been silent for a while


def test_a_face_at_the_edge_of_its_photo_talks_too(shipped: Animator, astronaut: np.ndarray):
    cut = astronaut[:200, 150:300]
    assert shipped(cut, tone(0.4)).frames.shape == (10, 200, 150, 3)


@pytest.mark.parametrize(("scale", "shape"), [(2.0, (1024, 1024)), (0.5, (256, 256))])
def test_a_scale_is_of_the_photo(astronaut: np.ndarray, scale: float, shape: tuple[int, int]):
    scene = open_scene(astronaut, scale=scale)
    assert scene.photo.shape[:2] == shape
    assert np.abs(scene.faces[0].still.astype(int) - open_scene(astronaut).faces[0].still).mean() < 6


def test_photos_longer_than_4k_are_made_smaller_and_nonsense_is_refused(astronaut: np.ndarray):
    large = cv2.resize(astronaut[:400, 80:380], (3300, 4400))
    assert max(open_scene(large).photo.shape) == MOST_PX
    for scale, said in ((20.0, "is the most"), (0.001, "at least"), (float("nan"), "at least")):
        with pytest.raises(MediaError, match=said):
            open_scene(astronaut, scale=scale)
    with pytest.raises(FaceError, match="no face 3"):
        open_scene(astronaut, [1, 3])


def test_a_badge_beside_a_clear_face_is_no_face(astronaut: np.ndarray):
    assert len(every_face(astronaut)) > 1
    assert len(open_scene(astronaut, "all").faces) == 1
    assert len(numbered(astronaut)[1]) == 1


def test_a_grey_photo_stays_grey(shipped: Animator, astronaut: np.ndarray):
    grey = np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    frames = shipped(grey, tone(0.8)).frames.astype(int)
    assert np.ptp(frames, axis=3).max() <= 1
    assert np.abs(frames - grey).max() > 20


def test_a_face_has_the_number_that_the_list_gives_it(astronaut: np.ndarray):
    group, sizes = np.full((700, 1500, 3), 200, np.uint8), (0.6, 1.1, 0.8)
    for place, size in enumerate(sizes):
        head = cv2.resize(astronaut[20:220, 130:330], None, fx=size, fy=size)
        group[100 : 100 + len(head), 80 + 480 * place : 80 + 480 * place + head.shape[1]] = head
    _, faces = numbered(group)
    assert len(faces) == 3
    for number, face in enumerate(faces, 1):
        for chosen in (number, str(number), [number]):
            (one,) = open_scene(group, chosen).faces
            np.testing.assert_array_equal(one.still, Composer(group, similarity(face.points)).still)
    for wrong in (0, -1, [], [0], ["1.5"], 1.0, None, True, {}):
        with pytest.raises(FaceError):
            open_scene(group, wrong)  # type: ignore[arg-type]
