"""What is wrong with a video is caught by the metric meant for it: on a real sentence, with the judges that ship."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from stillspeak.data.prepare import aligned
from stillspeak.evaluation.identity import embeddings
from stillspeak.evaluation.measure import Judges, Reference, Row, measure, reference
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.video import read_video
from stillspeak.runtime.engine import find_model

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges()


@pytest.fixture(scope="module")
def real(corpus: Path) -> Reference:
    """A sentence of s1 that no weights were trained on."""
    path = corpus / "grid" / "s1" / "bgbb2p.mp4"
    frames, _ = aligned(read_video(path))
    stranger, _ = aligned(read_video(corpus / "grid" / "s23" / "lrwp9a.mpg")[:2])
    return reference(frames, read_audio(path), 25, "bin green by b two please", embeddings(stranger[:1]))


@pytest.fixture(scope="module")
def truth(real: Reference, judges: Judges) -> Row:
    return measure(real.frames, real, judges)


def test_the_real_video_is_its_own_best(truth: Row):
    assert truth["opening_correlation"] == pytest.approx(1, abs=1e-4)
    assert truth["width_correlation"] == pytest.approx(1, abs=1e-4)
    assert truth["width_spread"] == pytest.approx(1, abs=1e-4)
    assert abs(truth["av_offset"]) <= 1
    assert truth["wer"] <= 1 / 6
    assert truth["acd_ratio_people"] < 0.5


def test_a_frozen_mouth_is_caught_by_its_opening_and_by_the_lip_reader(real: Reference, truth: Row, judges: Judges):
    frozen = real.frames.copy()
    frozen[:, 80:] = real.frames[0, 80:]
    found = measure(frozen, real, judges)
    assert found["opening_spread"] < 0.3
    assert found["opening_correlation"] < 0.7
    assert found["width_spread"] < 0.3
    assert found["wer"] > truth["wer"] + 0.3
    assert found["av_confidence"] < 0.5 * truth["av_confidence"]


def test_another_sentences_sound_is_caught_by_the_confidence(real: Reference, truth: Row, judges: Judges, corpus: Path):
    other = read_audio(corpus / "grid" / "s1" / "lwae9s.mp4")
    found = measure(real.frames, replace(real, sound=other), judges)
    assert found["av_confidence"] < 0.7 * truth["av_confidence"]


@pytest.mark.parametrize("late", [-8, -3, 2, 6])
def test_shifted_sound_is_caught_by_the_offset(real: Reference, judges: Judges, late: int):
    samples = real.sound.samples
    moved = Sound(np.roll(samples, round(late * real.sound.rate_hz / 25)), real.sound.rate_hz)
    assert abs(judges.scorer.match(real.frames, moved).offset - late) <= 1


def test_blur_is_caught_by_cpbd_and_fdbm(real: Reference, truth: Row, judges: Judges):
    soft = np.stack([np.asarray(cv2.GaussianBlur(frame, (0, 0), 1.2)) for frame in real.frames])
    found = measure(soft, real, judges)
    assert found["cpbd"] < 0.6 * truth["cpbd"]
    assert found["fdbm"] < 0.8 * truth["fdbm"]


def test_another_persons_face_is_caught_by_acd(real: Reference, truth: Row, judges: Judges, corpus: Path):
    stranger, _ = aligned(read_video(_clip(corpus, "s20")))
    found = measure(stranger, real, judges)
    assert found["acd"] > 2 * truth["acd"]
    assert found["acd_ratio"] > 2


def test_a_mouth_that_talks_in_silence_is_caught(real: Reference, truth: Row, judges: Judges):
    talking = real.frames[25:50]
    found = measure(np.concatenate([talking, talking, talking]), real, judges)
    assert found["silence_motion_px"] > 1.5 * truth["silence_motion_px"]


def test_the_judges_are_small_and_say_how_well_they_judge(judges: Judges):
    size = sum(path.stat().st_size for name in ("lipreader", "sync") for path in find_model(name).iterdir())
    assert size < 15e6
    assert judges.reader.model.accuracy["heldout"]["wer_percent"] < 10
    assert judges.scorer.model.accuracy["heldout"]["within_1_frame_percent"] >= 90
    for name in ("lipreader", "sync"):
        card = (find_model(name) / "CARD.md").read_text()
        assert "CC BY 4.0" in card
        assert not any(f" s{n} (" in card for n in (2, 4, 9, 11, 13, 15, 18, 19, 20, 23, 25, 27, 29, 30, 31, 33, 34))


def _clip(corpus: Path, speaker: str) -> Path:
    return next((corpus / "grid" / speaker).iterdir())
