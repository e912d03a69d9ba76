"""A smile's row of teeth is found whatever its size, and only where there is one."""

import cv2
import numpy as np
import pytest

from stillspeak.data.landmarks import CORNERS, LOWER_INNER, UPPER_INNER
from stillspeak.errors import FaceError
from stillspeak.media.faces import find_faces, similarity
from stillspeak.runtime.smile import ENLARGED, Smile, find_smile


@pytest.fixture(scope="module")
def smile(astronaut: np.ndarray) -> Smile:
    return find_smile(astronaut)[0]


def test_the_row_lies_between_the_lips_and_is_lighter_and_less_red_than_skin(smile: Smile):
    red, green, blue = smile.pixels[smile.matte > 0].mean(axis=0)
    assert green > smile.skin[1] + 25
    assert red - blue < smile.skin[0] - smile.skin[2]
    upper, lower = (smile.landmarks[[*lip], 1].mean() for lip in (UPPER_INNER, LOWER_INNER))
    assert upper + 1 < smile.edge_px < lower + 1
    across = np.ptp(np.nonzero(smile.matte.any(axis=0))[0]) / ENLARGED
    assert 0.4 < across / np.linalg.norm(smile.landmarks[48] - smile.landmarks[54]) < 1


@pytest.mark.parametrize("scale", [0.6, 2.0])
def test_the_row_is_the_same_in_a_smaller_and_a_larger_photo(smile: Smile, astronaut: np.ndarray, scale: float):
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = np.asarray(cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=how), np.uint8)
    other, _ = find_smile(resized)
    both, either = ((smile.matte + other.matte) >= least for least in (2, 1))
    assert both.sum() / either.sum() > 0.6
    assert abs(other.edge_px - smile.edge_px) < 1


def test_a_lip_that_shines_below_the_teeth_is_none_of_them(astronaut: np.ndarray):
    large = np.asarray(cv2.resize(astronaut, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC), np.uint8)
    bare, _ = find_smile(large)
    from_crop = cv2.invertAffineTransform(similarity(find_faces(large)[0].points))
    middle, crop_px = bare.landmarks[[*CORNERS], 0].mean(), float(np.hypot(*from_crop[:, 0]))
    ends = np.array([(middle + across, bare.edge_px + 1.2, 1) for across in (-4, 4)]) @ from_crop.T
    gloss = (235, 205, 195)
    cv2.line(large, *ends.round().astype(int).tolist(), gloss, round(0.8 * crop_px))
    assert abs(find_smile(large)[0].edge_px - bare.edge_px) < 0.5


def test_a_closed_mouth_shows_no_teeth(closed_astronaut: np.ndarray):
    with pytest.raises(FaceError, match=r"^anna\.jpg shows no teeth; give a photo with an open smile"):
        find_smile(closed_astronaut, "anna.jpg")


def test_of_several_faces_the_largest_gives_the_teeth_and_a_note_says_so(smile: Smile, astronaut: np.ndarray):
    small = np.zeros_like(astronaut)
    small[:256, :256] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    found, notes = find_smile(np.hstack([small, astronaut]), "both.jpg")
    assert len(notes) == 1
    assert notes[0].startswith("both.jpg shows ")
    assert notes[0].endswith(" faces; the teeth are those of face 1.")
    assert abs(found.edge_px - smile.edge_px) < 0.5


def test_a_photo_without_a_face_is_named():
    with pytest.raises(FaceError, match=r"^The photo for the teeth shows no face"):
        find_smile(np.full((200, 200, 3), 128, np.uint8))
