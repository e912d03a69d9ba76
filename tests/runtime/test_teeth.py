"""Teeth of a second photo: shown where the mouth is open and nowhere else, still in the photo, in the photo's light."""

import numpy as np
import pytest

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX, find_faces, similarity
from stillspeak.runtime.compose import Composer
from stillspeak.runtime.engine import Layers
from stillspeak.runtime.smile import Smile, find_smile

Image = np.ndarray


@pytest.fixture(scope="module")
def smile(astronaut: Image) -> Smile:
    return find_smile(astronaut)[0]


@pytest.fixture(scope="module")
def opened(astronaut: Image) -> Image:
    """An aligned frame whose mouth is open."""
    return still_of(astronaut)


def still_of(photo: Image) -> Image:
    return Composer(photo, similarity(find_faces(photo)[0].points)).still


def composed(photo: Image, smile: Smile | None, frame: Image, mask: Image | None = None) -> Image:
    """A photo in which nothing moves: the model drew ``frame``, with ``mask`` of paint, by default all of it."""
    composer = Composer(photo, similarity(find_faces(photo)[0].points), smile)
    shape = 1, HEIGHT_PX, WIDTH_PX
    painted = np.ones(shape, np.float32) if mask is None else mask[None]
    film = photo.copy()
    composer.paste(film, Layers(frame[None], np.zeros((*shape, 2), np.float32), painted), 0)
    return film


def shown(photo: Image, smile: Smile, frame: Image, mask: Image | None = None) -> tuple[Image, Image]:
    """The film with teeth, and where it is another than without."""
    plain, film = (composed(photo, one, frame, mask) for one in (None, smile))
    return film, (np.abs(film.astype(int) - plain) > 12).any(axis=2)


def test_a_closed_photo_whose_mouth_opens_shows_the_teeth_of_the_smile(
    closed_astronaut: Image, opened: Image, smile: Smile
):
    brown, between = opened.copy(), opened[80:96, 36:62].min(axis=2) > 110
    brown[80:96, 36:62][between] = 90, 60, 50  # the model paints a blur between the lips
    film, where = shown(closed_astronaut, smile, brown)
    assert where.sum() > 40
    assert where.sum() < 600  # of 512 x 512 pixels
    teeth, real = film[where].mean(axis=0), smile.pixels[smile.matte > 0].mean(axis=0)
    assert (teeth > 0.6 * real).all()
    assert (teeth < 1.05 * real).all()


def test_a_mouth_that_stays_closed_or_is_not_painted_shows_none(closed_astronaut: Image, opened: Image, smile: Smile):
    nothing = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    for frame, mask in ((still_of(closed_astronaut), None), (opened, nothing)):
        films = [composed(closed_astronaut, one, frame, mask) for one in (smile, None)]
        np.testing.assert_array_equal(*films)


def test_teeth_stand_still_while_lips_uncover_more_of_them(closed_astronaut: Image, opened: Image, smile: Smile):
    half = np.ones((HEIGHT_PX, WIDTH_PX), np.float32)
    half[:, :48] = 0
    whole, part, plain = (
        composed(closed_astronaut, one, opened, mask) for one, mask in ((smile, None), (smile, half), (None, half))
    )
    uncovered = (np.abs(part.astype(int) - plain) > 20).any(axis=2)
    assert uncovered.sum() > 20
    assert np.median(np.abs(whole[uncovered].astype(int) - part[uncovered]).max(axis=1)) <= 3


def test_teeth_take_the_light_of_the_photo(closed_astronaut: Image, opened: Image, smile: Smile):
    light, dark = (
        composed((share * closed_astronaut).astype(np.uint8), smile, (share * opened).astype(np.uint8))
        for share in (1, 0.6)
    )
    middle = np.argwhere(shown(closed_astronaut, smile, opened)[1])
    rows, columns = middle[len(middle) // 4 : 3 * len(middle) // 4].T
    assert abs(dark[rows, columns].mean() / light[rows, columns].mean() - 0.6) < 0.06


def test_teeth_in_a_grey_photo_are_grey(closed_astronaut: Image, opened: Image, smile: Smile):
    photo, frame = (
        np.repeat(one.mean(axis=2, keepdims=True).astype(np.uint8), 3, 2) for one in (closed_astronaut, opened)
    )
    film, where = shown(photo, smile, frame)
    assert where.sum() > 20
    assert np.ptp(film[where].astype(int), axis=1).max() <= 2


def test_teeth_are_as_large_as_the_photo(closed_astronaut: Image, opened: Image, smile: Smile):
    double = closed_astronaut.repeat(2, axis=0).repeat(2, axis=1)
    once, twice = (shown(photo, smile, opened)[1].sum() for photo in (closed_astronaut, double))
    assert 3 < twice / once < 5.5
