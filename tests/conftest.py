"""Shared fixtures. Types of tensors are checked at run time in the tests and nowhere else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import install_import_hook

install_import_hook("stillspeak.model", "beartype.beartype")

import skimage.data  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402

import stillspeak  # noqa: E402
from helpers import tone, write_video  # noqa: E402
from stillspeak.animate import Animator  # noqa: E402
from stillspeak.cli import main  # noqa: E402
from stillspeak.config import Config  # noqa: E402
from stillspeak.data.mouth_code import MouthCode  # noqa: E402
from stillspeak.data.prepare import aligned  # noqa: E402
from stillspeak.media.audio import Sound  # noqa: E402
from stillspeak.media.video import read_video  # noqa: E402
from stillspeak.model.generator import Generator, WarpingDecoder  # noqa: E402
from stillspeak.presets import tiny  # noqa: E402
from stillspeak.runtime.engine import Engine  # noqa: E402
from stillspeak.training.export import export  # noqa: E402
from stillspeak.training.weights import Trained, write_generator  # noqa: E402

torch.set_num_threads(1)
ROOT = Path(__file__).parent.parent
CORPUS = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def corpus() -> Path:
    if not CORPUS.is_dir():
        pytest.skip("the real clips of ../shared/data are not here")
    return CORPUS


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A portrait with a second, wrong detection in it: a badge on the arm."""
    return np.asarray(skimage.data.astronaut(), np.uint8)


@pytest.fixture
def photo(tmp_path: Path, astronaut: np.ndarray) -> Path:
    path = tmp_path / "face.png"
    skimage.io.imsave(path, astronaut, check_contrast=False)
    return path


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    sound = tone(1.0)
    soundfile.write(path, sound.samples, sound.rate_hz)
    return path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model of random weights: enough for everything but looks."""
    return random_model(tiny(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def unwarmed_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights, of a model that had no warm start, as the paper's had none."""
    config = tiny()
    config = replace(config, stages=config.stages[2:])
    return random_model(config, tmp_path_factory.mktemp("unwarmed"))


def random_model(config: Config, folder: Path) -> Path:
    """An exported model of random weights whose frames differ visibly with the sound."""
    torch.manual_seed(0)
    generator = Generator(config.generator)
    with torch.no_grad():
        assert isinstance(generator.last, WarpingDecoder)
        generator.last.last.weight.mul_(20)
        generator.decoder.first.weight[: config.generator.context.size] *= 50
    basis = np.eye(config.labels.code, 58, dtype=np.float32)
    trained = Trained(config, generator.state_dict(), MouthCode(basis, 1.0), [])
    write_generator(folder / "generator.safetensors", trained)
    return export(folder, folder / "export")


@pytest.fixture(scope="session")
def animator(tiny_model: Path) -> Animator:
    return Animator(Engine(tiny_model, threads=1))


@pytest.fixture(scope="session")
def shipped() -> Animator:
    """The model that ships."""
    return stillspeak.load(threads=1)


@pytest.fixture(scope="session")
def closed_astronaut(shipped: Animator, astronaut: np.ndarray) -> np.ndarray:
    """The portrait, which smiles with teeth, with its mouth closed, as silence leaves it."""
    *_, last = shipped.frames(astronaut, Sound(np.zeros(9600, np.float32), 16_000))
    return last


@pytest.fixture(scope="session")
def raw_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw corpus in GRID's layout: a slowly drifting portrait by speakers of every split, and clips that must be dropped."""
    source = tmp_path_factory.mktemp("grid")
    face = np.asarray(skimage.data.astronaut(), np.uint8)[:320, 60:380]
    for speaker, clips in {"s1": 3, "s3": 1, "s20": 1, "s2": 1, "sU1": 1}.items():
        (source / speaker).mkdir()
        for clip in range(clips):
            frames = [np.roll(face, (t // 4, (t + clip) // 3), (0, 1)) for t in range(30)]
            write_video(source / speaker / f"clip{clip}.mp4", np.stack(frames), tone(1.2, 48_000))
    write_video(
        source / "s1" / "noface.mp4",
        np.repeat(np.random.default_rng(0).integers(0, 255, (1, 96, 96, 3)), 10, 0),
        tone(0.4, 48_000),
    )
    start = np.concatenate([np.full((4, 320, 320, 3), 128), np.repeat(face[None], 20, 0)])
    write_video(source / "s1" / "blank.mp4", start, tone(0.96, 48_000))
    whole = (source / "s1" / "clip0.mp4").read_bytes()
    (source / "s1" / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    (source / "align" / "s1").mkdir(parents=True)
    (source / "align" / "s1" / "clip0.align").write_text("0 10000 sil\n10000 20000 bin\n")
    (source / "align" / "s20").mkdir()
    sentence = "".join(
        f"{4000 * i} {4000 * i + 4000} {word}\n" for i, word in enumerate(["lay", "red", "with", "p", "nine", "again"])
    )
    (source / "align" / "s20" / "clip0.align").write_text(sentence)
    return source


@pytest.fixture(scope="session")
def prepared(raw_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw corpus, prepared by the project's own command."""
    destination = tmp_path_factory.mktemp("prepared")
    assert main(["prepare", "grid", str(raw_grid), str(destination), "--workers", "1", "--voices", "1"]) == 0
    return destination


@pytest.fixture(scope="session")
def prepared_real():
    """Aligned crops of a real clip."""
    return lambda path: aligned(read_video(path))[0]
