"""The mouth decoder learns from large mouths where there are any, and speaks in the photo."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from stillspeak.config import AdversarialStage, MouthDecoderConfig, MouthDiscriminatorConfig, PictureStage, SoundStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.files import large_path
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.errors import RunError
from stillspeak.media.writer import VideoWriter
from stillspeak.model.generator import Generator
from stillspeak.presets import tiny
from stillspeak.runtime.compose import Composer
from stillspeak.runtime.engine import Engine, Layers
from stillspeak.training.build import make_phases
from stillspeak.training.checks import checked
from stillspeak.training.export import export
from stillspeak.training.loop import Trainer, train
from stillspeak.training.run import RunFolder, config_from_dict, config_to_dict
from stillspeak.training.team import Team
from stillspeak.training.weights import Trained, load_generator, write_generator

FINE = replace(
    tiny(),
    generator=replace(tiny().generator, mouth=MouthDecoderConfig((6, 6))),
    data=replace(tiny().data, face_jitter=0.0, mirror=False),
    stages=(
        SoundStage(steps=4, clips=2),
        PictureStage(steps=4, clips=4, frames=2, fine_mouth=MouthDiscriminatorConfig((4, 8))),
    ),
    train=replace(tiny().train, sample_every=1000),
)


@pytest.fixture(scope="module")
def prepared_large(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prepared clips of which the first has large frames."""
    folder = tmp_path_factory.mktemp("large") / "prepared"
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("cache"))
    clips = Clips(folder, "train", FINE.generator.context)
    with VideoWriter(large_path(folder / clips.records[0].path), 25, crf=4, pixel_format="yuv444p") as writer:
        for frame in clips.frames(0):
            writer.write(cv2.resize(frame, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    return folder


def clips_of(folder: Path) -> Clips:
    return Clips(folder, "train", FINE.generator.context, fine=True)


def test_large_mouths_are_those_of_the_crops(prepared_large: Path):
    clips = clips_of(prepared_large)
    assert clips.large(1) is None
    drawer = Drawer(clips, FINE.data, fit_mouth_code(clips.points, 4))
    batch = drawer.pictures(8, 3, np.random.default_rng(0), fine=True)
    assert batch.fine is not None
    known = batch.fine.known
    assert 0 < known.sum() < 8
    assert not batch.fine.mouths[~known].any()
    small = batch.fine.mouths[known].reshape(-1, 3, 48, 3, 48, 3, 3).mean(axis=(3, 5))
    assert np.abs(small - batch.frames[known][:, :, 74:122, 24:72]).mean() < 4
    stills = batch.fine.stills.reshape(8, 128, 3, 96, 3, 3).mean(axis=(2, 4))
    assert np.abs(stills - batch.stills).mean() < 4


def test_a_look_changes_large_frames_as_it_changes_crops(prepared_large: Path):
    clips = clips_of(prepared_large)
    varied = replace(FINE.data, face_jitter=1.0, mirror=True)
    drawer = Drawer(clips, varied, fit_mouth_code(clips.points, 4))
    batch = drawer.pictures(8, 3, np.random.default_rng(1), fine=True)
    assert batch.fine is not None
    small = batch.fine.mouths[batch.fine.known].reshape(-1, 3, 48, 3, 48, 3, 3).mean(axis=(3, 5))
    assert np.abs(small - batch.frames[batch.fine.known][:, :, 74:122, 24:72]).mean() < 5


def test_the_picture_phase_teaches_the_mouth_decoder_and_its_discriminator(prepared_large: Path):
    torch.manual_seed(0)
    clips, generator = clips_of(prepared_large), Generator(FINE.generator)
    drawer = Drawer(clips, FINE.data, fit_mouth_code(clips.points, 4))
    phase = make_phases(FINE, generator, drawer, Team())[1]
    assert generator.mouth is not None
    learning = [*generator.mouth.parameters(), *phase.networks["fine_mouth"].parameters()]
    before = [parameter.clone() for parameter in learning]
    losses = [float(phase.step(step, phase.draw(step))["fine_l1"]) for step in range(3)]
    assert losses[0] > 0
    assert all((old != new).any() for old, new in zip(before, learning, strict=True))


def test_a_run_with_large_mouths_is_exported_and_starts_from_a_model_without(prepared_large: Path, tmp_path: Path):
    train(replace(tiny(), train=FINE.train), prepared_large, tmp_path / "plain", say=lambda _: None)
    RunFolder(tmp_path / "fine").create(FINE, prepared_large)
    Trainer(RunFolder(tmp_path / "fine"), init=tmp_path / "plain", say=lambda _: None).run()
    engine = Engine(export(tmp_path / "fine", tmp_path / "model"))
    still = clips_of(prepared_large).frames(0)[0]
    windows = np.zeros((3, engine.windows.length), np.float32)
    layers, _ = engine.step(engine.identify(still), windows, engine.noise(0, 0, 3), engine.begin())
    assert layers.mouth_paint is not None
    assert layers.mouth_mask is not None
    assert layers.mouth_paint.shape == (3, 144, 144, 3)
    assert layers.mouth_mask.shape == (3, 144, 144)
    joined = Layers.joined([layers, layers])
    assert joined.mouth_mask is not None
    assert len(joined.mouth_mask) == 6


def test_a_run_without_a_mouth_decoder_starts_from_a_model_with_one(tmp_path: Path):
    torch.manual_seed(0)
    fine, plain = Generator(FINE.generator), Generator(tiny().generator)
    code = MouthCode(np.eye(4, 58, dtype=np.float32), 1.0)
    write_generator(tmp_path / "generator.safetensors", Trained(FINE, fine.state_dict(), code, []))
    load_generator(tmp_path, plain)
    torch.testing.assert_close(plain.decoder.first.weight, fine.decoder.first.weight, atol=1e-3, rtol=1e-2)


def test_settings_that_do_not_fit_a_mouth_decoder_are_refused():
    assert config_from_dict(config_to_dict(FINE)) == FINE
    with pytest.raises(RunError, match="picture stage"):
        checked(replace(FINE, stages=(*FINE.stages, AdversarialStage(steps=1))))
    with pytest.raises(RunError, match=r"picture\.fine-mouth\.channels must be numbers of at least 1"):
        checked(FINE.with_stages(PictureStage, fine_mouth=MouthDiscriminatorConfig((4, 0))))
    with pytest.raises(RunError, match="whose windows"):
        checked(replace(tiny(), stages=FINE.stages))


def test_the_film_shows_the_painted_mouth_and_nothing_else_of_its_window():
    photo = np.full((512, 384, 3), (120, 90, 60), np.uint8)
    to_crop = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    composer, film = Composer(photo, to_crop), photo.copy()
    mask, paint = np.zeros((1, 144, 144), np.float32), np.zeros((1, 144, 144, 3), np.uint8)
    mask[0, 60:84, 60:84], paint[0, ..., 0] = 1.0, 255
    layers = Layers(composer.still[None], np.zeros((1, 128, 96, 2), np.float32), np.zeros((1, 128, 96), np.float32))
    composer.paste(film, layers._replace(mouth_paint=paint, mouth_mask=mask), 0)
    changed = np.abs(film.astype(int) - photo).max(axis=2) > 40
    rows, columns = np.nonzero(changed)
    assert abs(rows.min() - 4 * (74 + 20)) <= 2
    assert abs(rows.max() - 4 * (74 + 28)) <= 2
    assert abs(columns.min() - 4 * (24 + 20)) <= 2
    assert abs(columns.max() - 4 * (24 + 28)) <= 2
    assert np.abs(film[4 * 98, 4 * 48].astype(int) - (255, 0, 0)).max() <= 1
