"""The shipped weights: all there, and a mouth that moves with speech, rests in silence, and leaves the person alone."""

from pathlib import Path

import numpy as np
import pytest

import stillspeak
from stillspeak.evaluation.mouth import match, opening
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.video import read_video
from stillspeak.runtime.engine import find_model
from stillspeak.runtime.scene import still
from stillspeak.training.weights import read_generator

HELLO = Path(__file__).parent.parent / "examples" / "hello.flac"


MODELS = pytest.mark.parametrize("name", ["default", "sharp"])


@MODELS
def test_the_folder_is_complete_and_under_40_megabytes(name: str):
    folder = find_model(name)
    names = {path.name for path in folder.iterdir()}
    assert {"identity.onnx", "step.onnx", "model.json", "CARD.md", "generator.safetensors"} <= names
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40e6


@MODELS
def test_no_validation_or_test_speaker_was_trained_on(name: str):
    speakers = {speaker for stage in read_generator(find_model(name)).history for speaker in stage["speakers"]}
    assert speakers
    assert speakers <= {f"s{n}" for n in (1, 3, 5, 6, 7, 8, 10, 12, 14, 16, 17, 22, 26, 28, 32)}


@MODELS
def test_the_card_names_the_corpus_its_licence_and_what_not_to_do(name: str):
    card = (find_model(name) / "CARD.md").read_text()
    for words in ("GRID", "CC BY 4.0", "must not be used for"):
        assert words in card


@MODELS
def test_speech_opens_the_mouth_and_silence_does_not(name: str, astronaut: np.ndarray):
    animator, speech = stillspeak.load(name), read_audio(HELLO)
    talking = opening(animator(astronaut, speech, crop=True).frames)
    silent = opening(animator(astronaut, Sound(np.zeros_like(speech.samples), speech.rate_hz), crop=True).frames)
    assert talking.std() > 3 * silent[10:].std()
    assert talking.max() - np.median(silent) > 1.5


@MODELS
def test_the_upper_face_keeps_the_photos_colours(name: str, astronaut: np.ndarray):
    crop = still(astronaut)
    frames = stillspeak.load(name)(astronaut, read_audio(HELLO), crop=True).frames
    assert np.abs(frames[:, :64].mean((0, 1, 2)) - crop[:64].mean((0, 1))).max() < 4


@pytest.mark.corpus
@pytest.mark.parametrize(("clip", "least"), [("s1/bgbb2p.mp4", 0.6), ("s23/lrwp9a.mpg", 0.5)])
def test_the_mouth_follows_a_real_sentence_never_trained_on(
    corpus: Path, prepared_real, shipped: stillspeak.Animator, clip: str, least: float
):
    source = corpus / "grid" / clip
    real = opening(prepared_real(source))
    made = opening(shipped(read_video(source)[0], source, crop=True).frames)
    assert match(made, real).correlation > least
    frozen = match(np.full_like(made, made.mean()), real)
    assert frozen.correlation == 0
