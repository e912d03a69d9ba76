"""What a user hears of a photo: one order of faces, what is wrong with the photo, and what lies over or beyond a mouth."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from stillspeak.errors import FaceError
from stillspeak.media import portrait
from stillspeak.media.covers import is_covered, mouth_score
from stillspeak.media.faces import Face, align, every_face, find_faces, similarity
from stillspeak.media.images import read_image
from stillspeak.media.portrait import mouth_share, require_faces, trouble
from stillspeak.runtime.scene import numbered, open_scene


def place(photo: np.ndarray, points: list[tuple[float, float]]) -> np.ndarray:
    """Points of the aligned face as the photo's pixels."""
    matrix = similarity(find_faces(photo)[0].points)
    return (np.array(points, float) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def painted(photo: np.ndarray, points: list[tuple[float, float]], colour: tuple[int, int, int]) -> np.ndarray:
    """The photo with one colour over a polygon of its aligned face."""
    out = photo.copy()
    cv2.fillPoly(out, [place(photo, points).round().astype(np.int32)], colour)
    return out


def two(astronaut: np.ndarray, sizes: tuple[float, float]) -> np.ndarray:
    """A photo of two heads, beside each other, of two sizes."""
    group = np.full((700, 1200, 3), 200, np.uint8)
    for number, size in enumerate(sizes):
        head = cv2.resize(astronaut[20:220, 130:330], None, fx=size, fy=size)
        group[100 : 100 + len(head), 60 + 560 * number : 60 + 560 * number + head.shape[1]] = head
    return group


@pytest.mark.parametrize("sizes", [(0.5, 1.6), (1.6, 0.5), (0.7, 0.8)])
def test_the_face_that_speaks_by_default_is_number_one_everywhere(astronaut: np.ndarray, sizes: tuple[float, float]):
    group = two(astronaut, sizes)
    faces = numbered(group)[1]
    assert [face.box for face in faces] == [face.box for face in require_faces(group)]
    assert len(faces) == 2
    default = open_scene(group)
    for face in (1, "1", [1]):
        np.testing.assert_array_equal(default.faces[0].still, open_scene(group, face).faces[0].still)
    np.testing.assert_array_equal(default.faces[0].still, open_scene(group, "all").faces[0].still)
    assert default.notes == ("2 faces; face 1 speaks (--face chooses another).",)
    assert open_scene(group, 1).notes == open_scene(group, "all").notes == ()


def test_one_face_alone_is_not_spoken_of(astronaut: np.ndarray):
    assert open_scene(astronaut).notes == ()


@pytest.mark.parametrize(("quarters", "said"), [(1, "lies on its side"), (2, "upside down"), (3, "lies on its side")])
def test_a_photo_that_is_not_upright_is_said_to_be_so(astronaut: np.ndarray, quarters: int, said: str):
    with pytest.raises(FaceError, match=f"holiday.jpg .*{said}; turn it"):
        require_faces(np.ascontiguousarray(np.rot90(astronaut, quarters)), "holiday.jpg")


def test_a_profile_is_said_to_be_one():
    with pytest.raises(FaceError, match=r"from the side .*; use a frontal photo"):
        require_faces(np.repeat(np.asarray(skimage.data.camera(), np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("picture", ["chelsea", "coffee", "rocket"])
def test_what_shows_nobody_is_told_what_would_work(picture: str):
    with pytest.raises(FaceError, match=r"no face that can be found; use a frontal, .*Drawings, cartoons and animals"):
        require_faces(np.asarray(getattr(skimage.data, picture)(), np.uint8)[..., :3])


def test_a_drawing_is_told_that_drawings_do_not_work():
    drawing = np.full((400, 400, 3), 255, np.uint8)
    cv2.circle(drawing, (200, 200), 150, (0, 0, 0), 3)
    for x in (140, 260):
        cv2.circle(drawing, (x, 160), 15, (0, 0, 0), -1)
    cv2.ellipse(drawing, (200, 250), (70, 40), 0, 0, 180, (0, 0, 0), 4)
    with pytest.raises(FaceError, match="Drawings"):
        require_faces(drawing)


def test_a_photo_of_few_pixels_is_said_to_be_small(astronaut: np.ndarray):
    with pytest.raises(FaceError, match="only 20 x 20 pixels; use a larger photo"):
        require_faces(cv2.resize(astronaut, (20, 20)))


def test_half_a_face_is_said_to_be_cut_off(astronaut: np.ndarray):
    middle = int(place(astronaut, [(49, 90)])[0, 0])
    with pytest.raises(FaceError, match="cut off by the edge"):
        require_faces(np.ascontiguousarray(astronaut[:300, :middle]))


def test_half_a_face_in_a_large_photo_is_said_to_be_cut_off_though_only_small_copies_are_searched(
    astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    """The first search sees the whole photo, the turned ones a copy as large as the detector looks at, the mirrored one less."""
    middle = int(place(astronaut, [(49, 90)])[0, 0])
    large = cv2.resize(np.ascontiguousarray(astronaut[:300, :middle]), None, fx=12, fy=12)
    longest: list[int] = []

    def noted(image: np.ndarray, *limit: int) -> list[Face]:
        longest.append(max(image.shape[:2]))
        return find_faces(image, *limit)

    monkeypatch.setattr(portrait, "find_faces", noted)
    with pytest.raises(FaceError, match="cut off by the edge"):
        require_faces(large)
    assert longest == [2560, 2560, 2560, 960]


def test_a_photo_that_is_a_strip_is_refused_with_a_sentence():
    with pytest.raises(FaceError, match="no face that can be found"):
        require_faces(np.full((40, 60_000, 3), 127, np.uint8))


@pytest.mark.parametrize(
    ("last_row", "works", "said"),
    [
        (84.0, False, "cut off by the edge"),
        (88.0, False, "mouth outside the photo"),
        (94.0, True, "mouth cut off by the photo's edge"),
        (112.0, True, ""),
    ],
)
def test_a_mouth_beyond_the_edge_is_refused_and_one_cut_by_it_is_said(
    astronaut: np.ndarray, last_row: float, works: bool, said: str
):
    """A chin that is cut off is nothing to speak of."""
    cut = np.ascontiguousarray(astronaut[: int(place(astronaut, [(49, last_row)])[0, 1])])
    if not works:
        with pytest.raises(FaceError, match=said):
            open_scene(cut)
        return
    notes = open_scene(cut).notes
    assert len(notes) == bool(said)
    assert said in "".join(notes)


def test_a_face_without_its_mouth_is_left_out_where_all_are_asked_for(astronaut: np.ndarray):
    height = int(place(astronaut, [(49, 88)])[0, 1])
    group = np.concatenate([astronaut[60 : 60 + height, 100:350], astronaut[:height, 100:350]], axis=1)
    assert len(require_faces(group)) == 2
    scene = open_scene(group, "all")
    assert len(scene.faces) == 1
    assert "Face 2 has its mouth outside" in scene.notes[0]
    with pytest.raises(FaceError, match="Face 2 has its mouth outside"):
        open_scene(group, 2)


BELOW_THE_NOSE = [(22.0, 80.0), (76.0, 80.0), (76.0, 112.0), (22.0, 112.0)]
OVER_THE_MOUTH = [(26.0, 80.0), (72.0, 80.0), (72.0, 101.0), (26.0, 101.0)]


@pytest.mark.parametrize("colour", [(240, 240, 240), (150, 200, 230), (20, 20, 20), (90, 160, 120), (215, 165, 140)])
@pytest.mark.parametrize("cover", [BELOW_THE_NOSE, OVER_THE_MOUTH])
def test_what_lies_over_the_mouth_is_said(
    astronaut: np.ndarray, cover: list[tuple[float, float]], colour: tuple[int, int, int]
):
    notes = open_scene(painted(astronaut, cover, colour)).notes
    assert ["mouth covered" in note for note in notes] == [True]


@pytest.mark.parametrize("light", [1.0, 0.4, 0.15])
@pytest.mark.parametrize("colours", ["colour", "grey"])
def test_a_bare_face_is_no_covered_one_in_any_light(astronaut: np.ndarray, light: float, colours: str):
    seen = astronaut if colours == "colour" else np.repeat(astronaut.mean(axis=2, keepdims=True), 3, axis=2)
    dim = np.rint(seen * light).astype(np.uint8)
    for size in (1.0, 0.35):
        small = cv2.resize(dim, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
        assert not is_covered(align(small, similarity(find_faces(astronaut)[0].points * size)))


def test_the_mouths_share_is_of_its_area():
    """An identity for a matrix: the crop itself is the photo."""
    identity = np.eye(2, 3)
    assert mouth_share((128, 96), identity) == 1
    assert mouth_share((81, 96), identity) == 0
    assert mouth_share((90, 96), identity) == pytest.approx(0.5, abs=0.06)
    assert mouth_share((128, 51), identity) == pytest.approx(0.5, abs=0.06)


@pytest.mark.corpus
def test_of_real_portraits_hardly_any_is_said_to_be_wrong(corpus: Path):
    """Beards, moustaches, dark faces, open smiles, grey photos: every ninth person and every thirtieth grey portrait."""
    paths = [
        *sorted((corpus / "people").glob("*.jpg"))[::9],
        *sorted((corpus / "portraits" / "legislators").iterdir())[::30],
    ]
    wrong = []
    for path in paths:
        photo = read_image(path)
        try:
            faces = require_faces(photo)
        except FaceError:
            continue
        if trouble(photo, faces[0])[0] or len(faces) > 1:
            wrong.append(path.name)
    assert len(wrong) <= 1, wrong


@pytest.mark.corpus
def test_covers_drawn_over_real_portraits_are_said(corpus: Path):
    scores = [
        mouth_score(align(covered, similarity(every_face(covered)[0].points)))
        for number, path in enumerate(sorted((corpus / "people").glob("*.jpg"))[3::14])
        for covered in [painted(read_image(path), BELOW_THE_NOSE, ((150, 200, 230), (30, 30, 30))[number % 2])]
    ]
    assert np.mean(np.array(scores) < 0) > 0.9
