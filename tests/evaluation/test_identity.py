"""ACD: nothing for the same picture, small for the same person, large for another."""

import cv2
import numpy as np
import pytest

from stillspeak.evaluation.identity import acd, embeddings
from stillspeak.media.images import read_image
from stillspeak.runtime.scene import still


def test_brightness_moves_the_descriptor_little(astronaut: np.ndarray):
    crop = still(astronaut)
    brighter = cv2.convertScaleAbs(crop, alpha=1.1, beta=5)
    found = embeddings(np.stack([crop, crop, brighter]))
    assert acd(found[0], found[1:2]) == 0
    assert acd(found[0], found[2:]) < 0.25


@pytest.mark.corpus
def test_another_person_is_more_than_twice_as_far_as_the_same(corpus, astronaut: np.ndarray, prepared_real):
    video = prepared_real(corpus / "grid" / "s23" / "lrwp9a.mpg")
    own = embeddings(video[::15])
    others = embeddings(np.stack([still(astronaut), still(read_image(corpus / "portraits" / "grace_hopper.jpg"))]))
    assert acd(own[0], own) < 0.5 * acd(own[0], others)
