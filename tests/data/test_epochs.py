"""Epochs over clips of many lengths: every frame is shown, beside clips of about the same length."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from stillspeak.config import DataConfig
from stillspeak.data.drawer import Drawer
from stillspeak.data.epochs import Epochs, Order
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.errors import DataError
from stillspeak.media.windows import Windows


def lengths_like_tcd_timit(clips: int) -> list[int]:
    """Sentences of 20 to 180 frames, about 100 on average, as in TCD-TIMIT."""
    return np.random.default_rng(0).normal(100, 30, clips).clip(20, 180).astype(int).tolist()


class Numbered:
    """Clips whose frames say their clip, their number and which side was left."""

    def __init__(self, lengths: list[int]) -> None:
        random = np.random.default_rng(0)
        self.folder, self.cutter = None, Windows(8000, Fraction(25), 0.16)
        self.records = [SimpleNamespace(frames=frames) for frames in lengths]
        face = random.uniform(20, 100, (68, 2))
        self.points = [(face + random.normal(0, 1, (frames, 68, 2))).astype(np.float32) for frames in lengths]

    def __len__(self) -> int:
        return len(self.records)

    def frames(self, index: int) -> np.ndarray:
        count = self.records[index].frames
        video = np.zeros((count, 128, 96, 3), np.uint8)
        video[..., 0], video[..., 1] = index, np.arange(count)[:, None, None]
        video[:, :, 48:, 2] = 255
        return video

    def large(self, _: int) -> None:
        return None

    def sounds(self, index: int) -> list[np.ndarray]:
        return [np.full(self.records[index].frames, 1.0 + index, np.float32)]

    def heard(self, samples: np.ndarray, frames: int) -> np.ndarray:
        return np.pad(samples[:frames], (0, max(0, frames - len(samples))))[:, None]

    def speaker_weights(self, _: float) -> np.ndarray:
        return np.full(len(self), 1 / len(self))


def test_every_frame_of_every_clip_is_trained_on_once_an_epoch_as_it_is_and_mirrored():
    lengths = lengths_like_tcd_timit(30)
    clips = Numbered(lengths)
    drawer = Drawer(clips, DataConfig(), fit_mouth_code(clips.points, 4))  # type: ignore[arg-type]
    shown = np.zeros((3, 2, len(lengths), 180), int)
    clips_a_step, size = 4, drawer.epochs.size
    assert size == 2 * len(lengths)
    for step in range(3 * size // clips_a_step):  # three epochs
        order = Order((7, 3, 0), clips_a_step * step)
        for half in (slice(0, 2), slice(2, 4)):  # what each of two processes takes
            batch = drawer.batch(clips_a_step, 0, np.random.default_rng(step), half, order)
            clip, place, left = batch.frames[:, 64, 0].T
            np.add.at(shown[order.first // size], (left // 255, clip, place), 1)
    wanted = np.arange(180) < np.array(lengths)[:, None]
    assert (shown == wanted).all()


def test_the_next_epoch_comes_in_another_order_and_any_batch_can_be_drawn_alone():
    epochs = Epochs(lengths_like_tcd_timit(40), mirror=True)
    steps = [epochs.turns(6, Order((1,), 6 * step)) for step in range(80)]
    drawn = np.concatenate([turns.clips + 40 * turns.mirrored for turns in steps]).reshape(6, 80)
    assert (np.sort(drawn, axis=1) == np.arange(80)).all()
    assert len({tuple(epoch) for epoch in drawn.tolist()}) == 6
    alone = Epochs(lengths_like_tcd_timit(40), mirror=True).turns(6, Order((1,), 6 * 33))
    assert np.array_equal(alone.clips, steps[33].clips)
    assert np.array_equal(alone.mirrored, steps[33].mirrored)


def test_without_mirroring_an_epoch_is_every_clip_once():
    epochs = Epochs([20, 30, 40, 50, 60], mirror=False)
    turns = [epochs.turns(5, Order((0,), 5 * step)) for step in range(4)]
    assert all(sorted(batch.clips.tolist()) == [0, 1, 2, 3, 4] for batch in turns)
    assert not any(batch.mirrored.any() for batch in turns)


@pytest.mark.parametrize("count", [6, 8, 48])
def test_clips_of_a_batch_have_about_one_length(count: int):
    lengths = np.array(lengths_like_tcd_timit(2000))
    epochs = Epochs(lengths.tolist(), mirror=True)
    batches = [lengths[epochs.turns(count, Order((0,), count * step)).clips] for step in range(4000 // count)]
    padded = sum(batch.max() * count for batch in batches)
    assert 1 - sum(batch.sum() for batch in batches) / padded < 0.06  # by chance it would be 0.3 and more


def test_a_clip_and_its_mirror_image_seldom_share_a_batch():
    epochs = Epochs(lengths_like_tcd_timit(2000), mirror=True)
    steps = [epochs.turns(8, Order((0,), 8 * step)).clips for step in range(500)]
    assert sum(len(set(clips.tolist())) < 8 for clips in steps) < 50


def test_the_sound_of_another_clip_is_as_long_as_the_frames_and_never_the_clips_own():
    clips = Numbered([30, 20, 25, 6])
    drawer = Drawer(clips, DataConfig(mirror=False), fit_mouth_code(clips.points, 4))  # type: ignore[arg-type]
    for seed in range(20):
        batch = drawer.batch(3, 0, np.random.default_rng(seed), others=True)
        assert batch.others.shape == batch.windows.shape
        assert not (batch.others == batch.windows).any()
        assert ((batch.others > 0) | (batch.lengths[:, 1].repeat(batch.lengths[:, 1]) == 30)[:, None]).all()
        np.testing.assert_array_equal(batch.frames, drawer.batch(3, 0, np.random.default_rng(seed)).frames)


def test_without_another_clip_there_is_no_wrong_sound():
    clips = Numbered([30])
    drawer = Drawer(clips, DataConfig(), fit_mouth_code(clips.points, 4))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="two clips"):
        drawer.batch(1, 0, np.random.default_rng(0), others=True)
