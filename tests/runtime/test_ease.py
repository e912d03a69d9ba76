"""A talk begins with the photo as it is and leaves it without a jump."""

from pathlib import Path

import numpy as np
import pytest

import stillspeak
from stillspeak.media.audio import Sound
from stillspeak.runtime.ease import eased
from stillspeak.runtime.engine import Layers


@pytest.fixture
def still() -> np.ndarray:
    random = np.random.default_rng(0)
    smooth = np.repeat(np.repeat(random.integers(0, 256, (16, 12, 3)), 8, axis=0), 8, axis=1)
    return smooth.astype(np.uint8)


def normal(still: np.ndarray) -> np.ndarray:
    return (still.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def shifted(still: np.ndarray, frames: int, mask: float = 0.0, paint: int = 0) -> Layers:
    """What a decoder makes that shows each pixel 4 px from its right and paints a share of it."""
    moved = np.concatenate([still[:, 4:], np.repeat(still[:, -1:], 4, axis=1)], axis=1)
    made = np.rint((1 - mask) * moved + mask * paint).astype(np.uint8)
    motion = np.zeros((frames, 128, 96, 2), np.float32)
    motion[..., 0] = 4.0
    return Layers(np.repeat(made[None], frames, axis=0), motion, np.full((frames, 128, 96), mask, np.float32))


def test_the_first_frame_is_the_photo_and_later_ones_are_the_models(still: np.ndarray):
    layers = shifted(still, 8, 0.5, 200)
    made = eased(layers, normal(still), 0, 5)
    np.testing.assert_array_equal(made.frames[0], still)
    assert not made.motion[0].any()
    assert not made.mask[0].any()
    for now, then in zip(made[:3], layers[:3], strict=True):
        np.testing.assert_array_equal(now[5:], then[5:])


def test_on_the_way_everything_moves_and_is_painted_a_little(still: np.ndarray):
    layers = shifted(still, 6, 0.5, 200)
    made = eased(layers, normal(still), 0, 4)
    assert made.motion[2, 0, 0, 0] == pytest.approx(2.0)
    assert made.mask[2, 0, 0] == pytest.approx(0.25)
    half = np.concatenate([still[:, 2:], np.repeat(still[:, -1:], 2, axis=1)], axis=1)
    np.testing.assert_allclose(made.frames[2], 0.75 * half + 0.25 * 200, atol=1.5)


def test_pieces_of_any_length_are_eased_alike(still: np.ndarray):
    whole = eased(shifted(still, 7), normal(still), 0, 5)
    pieces = [eased(shifted(still, count), normal(still), first, 5) for first, count in ((0, 2), (2, 1), (3, 4))]
    np.testing.assert_array_equal(Layers.joined(pieces).frames, whole.frames)


def test_a_decoder_that_paints_begins_with_the_photo_too(still: np.ndarray):
    made = eased(Layers.painted(np.full((5, 128, 96, 3), 90, np.uint8)), normal(still), 0, 4)
    np.testing.assert_array_equal(made.frames[0], still)
    np.testing.assert_array_equal(made.frames[4], 90)


def test_a_talk_begins_with_its_still(tiny_model: Path, still: np.ndarray):
    animator = stillspeak.load(tiny_model)
    sound = Sound(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), animator.rate_hz)
    frames = animator.animate_aligned(still, sound)
    np.testing.assert_array_equal(frames[0], still)
    assert (frames[6] != still).any()
