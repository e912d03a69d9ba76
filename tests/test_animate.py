"""The product: the same frames however the sound arrives, silence, timing, faces, seeds."""

import itertools
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import skimage.data

import stillspeak
from helpers import tone
from stillspeak.animate import Animator, at_rate, load
from stillspeak.errors import FaceError, MediaError, ModelError, SpeechError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.video import read_video
from stillspeak.runtime.engine import find_model
from stillspeak.runtime.scene import still

HELLO = Path(__file__).parents[1] / "examples" / "hello.flac"
MOUTH = np.s_[:, 66:116, 20:76]  # of aligned crops


def test_three_seconds_of_sound_give_75_frames_and_a_file_that_reads_back(
    animator: Animator, photo: Path, tmp_path: Path
):
    video = animator(photo, tone(3.0))
    assert video.frames.shape == (75, 512, 512, 3)
    assert video.frames.dtype == np.uint8
    assert (video.fps, video.rate_hz, len(video.audio)) == (25, 16_000, 48_000)
    video.save(tmp_path / "talk.mp4")
    assert read_video(tmp_path / "talk.mp4").shape == (75, 512, 512, 3)


@pytest.mark.parametrize("sizes", [[1, 1, 998], [137], [8000], [640, 3, 5000]])
def test_any_chunking_of_the_sound_gives_the_same_frames(shipped: Animator, astronaut: np.ndarray, sizes: list[int]):
    sound = tone(1.3, shipped.rate_hz)
    whole = shipped(astronaut, sound).frames

    def chunks():
        at, size = 0, itertools.cycle(sizes)
        while at < len(sound.samples):
            start, at = at, at + next(size)
            yield sound.samples[start:at]

    live = np.stack(list(shipped.stream(astronaut, chunks())))
    assert live.shape == whole.shape
    assert np.abs(live.astype(int) - whole).max() <= 1


def test_later_sound_never_changes_an_earlier_frame(shipped: Animator, astronaut: np.ndarray):
    sound = tone(1.0, shipped.rate_hz)
    changed = sound.samples.copy()
    changed[12 * sound.rate_hz // 25 :] = 0.3
    first = shipped(astronaut, sound).frames
    second = shipped(astronaut, Sound(changed, sound.rate_hz)).frames
    heard_before = 12 - 2  # a frame hears 60 ms past its end
    np.testing.assert_array_equal(first[: heard_before - 1], second[: heard_before - 1])
    assert not np.array_equal(first, second)


def test_a_talk_can_be_gone_on_from_twice(animator: Animator, astronaut: np.ndarray):
    samples = tone(1.0, animator.rate_hz).samples
    talk, _ = animator.push(animator.begin(astronaut), samples[:4000])
    once, again = (animator.push(talk, samples[4000:])[1] for _ in range(2))
    np.testing.assert_array_equal(once.frames, again.frames)
    np.testing.assert_array_equal(once.motion, again.motion)


@pytest.mark.parametrize(("fainter_db", "noise_db"), [(-25, None), (-45, None), (-45, -30)])
def test_quiet_speech_moves_the_mouth_as_far_as_loud_speech(shipped: Animator, fainter_db: int, noise_db: int | None):
    speech = read_audio(HELLO).at(shipped.rate_hz).samples[: 3 * shipped.rate_hz]
    if noise_db is not None:
        noise = np.random.default_rng(0).normal(size=len(speech))
        speech = speech + np.float32(speech.std() * 10 ** (noise_db / 20)) * noise.astype(np.float32)
    crop = still(np.asarray(skimage.data.astronaut(), np.uint8))

    def motion(samples: np.ndarray) -> np.ndarray:
        frames = shipped.animate_aligned(crop, Sound(samples, shipped.rate_hz))[MOUTH].astype(np.float32)
        return np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))

    loud, quiet = motion(speech), motion(speech * np.float32(10 ** (fainter_db / 20)))
    assert quiet.mean() > 0.9 * loud.mean()
    assert quiet[10:35].mean() > 0.8 * loud[10:35].mean()  # the first second of the voice


def test_the_seed_decides_the_noise(animator: Animator):
    assert np.array_equal(animator.engine.noise(3, 5, 4), animator.engine.noise(3, 0, 9)[5:])
    assert not np.array_equal(animator.engine.noise(3, 0, 4), animator.engine.noise(4, 0, 4))


@pytest.mark.parametrize("fps", [24, 25, Fraction(30_000, 1001), 30, 50, 60])
def test_frames_are_placed_by_time_at_any_rate(fps: float):
    frames = [np.full((1, 1, 3), t, np.uint8) for t in range(50)]
    placed = list(at_rate(iter(frames), 25, fps, lambda: 2.0))
    assert len(placed) == math.ceil(2 * fps - 1e-6)
    for k, frame in enumerate(placed):
        assert frame[0, 0, 0] == min(49, int(k * 25 / fps + 1e-9))


@pytest.mark.parametrize(("seconds", "fps", "count"), [(5.55, 1, 6), (5.55, 12, 67), (5.0004, 1, 5), (5.55, 30, 167)])
def test_no_sound_is_left_without_a_frame(seconds: float, fps: int, count: int):
    frames = [np.full((1, 1, 3), t, np.uint8) for t in range(int(seconds * 25))]
    assert len(list(at_rate(iter(frames), 25, fps, lambda: seconds))) == count


def test_how_far_the_mouth_opens_is_the_same_live_and_offline(animator: Animator, astronaut: np.ndarray):
    sound = tone(0.8, animator.rate_hz)
    one, plain, wide = (
        animator(astronaut, sound, crop=True, **how).frames for how in ({"mouth": 1}, {}, {"mouth": 1.6})
    )
    assert np.array_equal(one, plain)
    assert not np.array_equal(wide, plain)
    live = list(animator.stream(astronaut, np.split(sound.samples, 10), crop=True, mouth=1.6))
    assert np.abs(np.stack(live).astype(int) - wide).max() <= 1


def test_teeth_of_a_second_photo_show_live_and_offline_and_nothing_else_changes(
    shipped: Animator, astronaut: np.ndarray, closed_astronaut: np.ndarray
):
    speech = read_audio(Path(__file__).parent.parent / "examples" / "hello.flac").at(shipped.rate_hz)
    sound = Sound(speech.samples[: shipped.rate_hz], shipped.rate_hz)
    plain, with_teeth = (shipped(closed_astronaut, sound, teeth=teeth).frames for teeth in (None, astronaut))
    rows, columns = np.nonzero((plain != with_teeth).any(axis=(0, 3)))
    assert len(rows) > 30
    assert np.ptp(rows) < 25  # of 512: a mouth
    assert np.ptp(columns) < 50
    np.testing.assert_array_equal(plain[0], with_teeth[0])
    live = np.stack(list(shipped.stream(closed_astronaut, np.split(sound.samples, 10), teeth=astronaut)))
    assert np.abs(live.astype(int) - with_teeth).max() <= 1


def test_teeth_that_cannot_be_shown_are_refused(
    animator: Animator, astronaut: np.ndarray, closed_astronaut: np.ndarray
):
    sound = tone(0.4)
    with pytest.raises(FaceError, match="The photo for the teeth shows no teeth"):
        animator(astronaut, sound, teeth=closed_astronaut)
    with pytest.raises(MediaError, match="leave out the crop or the teeth"):
        animator(astronaut, sound, teeth=astronaut, crop=True)
    with pytest.raises(FaceError, match="several faces talk; choose one with --face"):
        animator(np.hstack([astronaut, astronaut]), sound, teeth=astronaut, face="all")
    with pytest.raises(MediaError, match="file or RGB pixels, not bytes"):
        animator(astronaut, sound, teeth=b"smile")


def test_a_model_that_cannot_open_its_mouth_more_says_so_before_it_draws(unwarmed_model: Path, astronaut: np.ndarray):
    plain, sound = load(unwarmed_model, threads=1), tone(0.4)
    for animate in (plain, plain.frames, lambda *_, mouth: plain.begin(astronaut, mouth=mouth)):
        with pytest.raises(ModelError, match="leave the mouth at 1"):
            animate(astronaut, sound, mouth=1.2)
    assert len(plain(astronaut, sound, mouth=1.0).frames) == 10


def test_silence_is_valid_and_too_little_sound_is_not(animator: Animator, astronaut: np.ndarray):
    assert len(animator(astronaut, Sound(np.zeros(16_000, np.float32), 16_000)).frames) == 25
    with pytest.raises(SpeechError):
        animator(astronaut, Sound(np.zeros(160, np.float32), 16_000))


def test_what_makes_no_sense_is_said(animator: Animator, astronaut: np.ndarray):
    speech = tone(0.5)
    not_numbers = float("nan"), float("inf")
    wrong = [*({"fps": fps} for fps in (0, -5, *not_numbers)), {"seed": -1}]
    wrong += [{"mouth": mouth} for mouth in (-0.1, 2.1, "wide", *not_numbers)]
    for how in wrong:
        with pytest.raises(MediaError, match=r"frame rate must|seed must|mouth opens must"):
            animator(astronaut, speech, **how)
    for photo in (astronaut[..., 0], np.dstack([astronaut, astronaut[..., :1]]), astronaut / 255):
        with pytest.raises(MediaError, match="uint8"):
            animator(photo, speech)
    for samples in ((speech.samples * 32767).astype(np.int16), np.stack([speech.samples] * 2)):
        with pytest.raises(MediaError, match="float32 samples"):
            animator(astronaut, Sound(samples, 16_000))
    doubled = animator(astronaut, Sound(speech.samples.astype(np.float64), 16_000), crop=True)
    assert np.array_equal(doubled.frames, animator(astronaut, speech, crop=True).frames)
    with pytest.raises(FaceError, match="number from 1"):
        still(astronaut, "9" * 5000)


def test_live_sound_is_looked_at_as_closely(animator: Animator, astronaut: np.ndarray):
    talk, samples = animator.begin(astronaut, face=1), tone(0.5, animator.rate_hz).samples
    for chunk in ((samples * 32767).astype(np.int16), samples[None], None, samples * 1e9):
        with pytest.raises(MediaError, match=r"chunk holds"):
            animator.push(talk, chunk)
    with pytest.raises(MediaError, match="seed"):
        animator.begin(astronaut, seed=-1)
    with pytest.raises(MediaError, match="mouth opens must"):
        animator.begin(astronaut, mouth=3)
    with pytest.raises(MediaError, match="mouth opens must"):
        next(animator.stream(astronaut, [samples], mouth=3))
    with pytest.raises(MediaError, match="file or RGB pixels, not bytes"):
        animator.begin(b"photo")
    with pytest.raises(MediaError, match="file or a Sound, not ndarray"):
        animator(astronaut, samples)
    silent, broken = samples.copy(), samples.copy()
    silent[100], broken[100] = 0.0, np.nan
    np.testing.assert_array_equal(animator.push(talk, broken)[1].frames, animator.push(talk, silent)[1].frames)


def test_a_face_is_chosen_by_number(astronaut: np.ndarray):
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    assert np.abs(still(two, "1").astype(int) - still(two, "2")).mean() > 5
    with pytest.raises(FaceError, match="there is no face 9"):
        still(two, "9")
    with pytest.raises(FaceError, match="largest, all or a number"):
        still(two, "leftmost")


def test_all_faces_of_a_photo_talk_live_as_they_do_offline(animator: Animator, astronaut: np.ndarray):
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    speech = tone(0.5, animator.rate_hz)
    live = list(animator.stream(two, np.array_split(speech.samples, 7), face="all"))
    assert np.array_equal(live, list(animator.frames(two, speech, face="all")))


def test_an_unknown_model_is_refused_by_name(tmp_path: Path):
    with pytest.raises(ModelError, match="nonsense"):
        find_model("nonsense")
    with pytest.raises(ModelError, match="missing"):
        stillspeak.load(tmp_path)


def test_the_api_is_what_the_readme_says():
    assert set(stillspeak.__all__) <= set(dir(stillspeak)) | {"Animator", "Sound", "Video", "load", "presets"}
    for name in stillspeak.__all__:
        assert getattr(stillspeak, name) is not None
    with pytest.raises(AttributeError):
        _ = stillspeak.nonsense
