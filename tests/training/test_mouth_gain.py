"""How far the mouth opens: the exported graph moves the mouth code away from rest, and nothing else."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stillspeak.cli import main
from stillspeak.data.mouth_code import MouthCode
from stillspeak.errors import MediaError, ModelError
from stillspeak.model.generator import Generator, WarpingDecoder
from stillspeak.presets import default, paper, tiny
from stillspeak.runtime.engine import Engine
from stillspeak.training.export import export_trained
from stillspeak.training.mouth_gain import code_at_rest, learnt_code, opened, widened
from stillspeak.training.tensors import pixels
from stillspeak.training.weights import Trained, read_generator, remark, write_generator

CODE = tiny().labels.code
SOUND = np.random.default_rng(0).normal(0, 0.3, (30, 1280)).astype(np.float32)
STILL = np.random.default_rng(1).integers(0, 255, (128, 96, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, Engine]:
    """A small generator whose decoder hears the mouth code and no other sound or noise, and what is exported of it."""
    config = tiny()
    context, noise = config.generator.context.size, config.generator.noise_size
    torch.manual_seed(0)
    generator = Generator(config.generator).eval().requires_grad_(False)
    assert isinstance(generator.last, WarpingDecoder)
    generator.last.last.weight.mul_(20)
    generator.decoder.first.weight[:CODE] *= 50
    generator.decoder.first.weight[CODE : context + noise] = 0
    trained = Trained(config, generator.state_dict(), MouthCode(np.eye(CODE, 58, dtype=np.float32), 1.0), [])
    return generator, Engine(export_trained(trained, tmp_path_factory.mktemp("talker")), threads=1)


def frames(engine: Engine, mouth: float = 1.0, sound: np.ndarray = SOUND) -> np.ndarray:
    """What an engine draws."""
    noise = engine.noise(0, 0, len(sound))
    made, _ = engine.step(engine.identify(STILL), sound, noise, engine.begin(), mouth)
    return made.frames.astype(int)


def test_a_gain_scales_the_code_about_rest_and_leaves_the_rest_of_the_context_alone():
    context, rest = torch.randn(2, 5, 12), torch.randn(3)
    assert torch.equal(opened(context, rest, torch.ones(1)), context)
    for gain in (0.0, 0.5, 2.0):
        made = opened(context, rest, torch.tensor([gain]))
        assert torch.equal(made[..., 3:], context[..., 3:])
        torch.testing.assert_close(made[..., :3] - rest, gain * (context[..., :3] - rest))


def test_a_mouth_moves_further_with_a_gain_above_1_and_less_below(talker: tuple[Generator, Engine]):
    spreads = [frames(talker[1], gain).std(axis=0).mean() for gain in (0.0, 0.5, 1.0, 1.3, 2.0)]
    assert spreads[0] == 0.0  # at rest all the time
    assert all(after > 1.1 * before for before, after in itertools.pairwise(spreads)), spreads


def test_the_graph_with_a_gain_gives_what_pytorch_gives(talker: tuple[Generator, Engine]):
    generator, engine = talker
    silence = torch.zeros(1, generator.config.context.fps, generator.config.context.window)
    heard, _ = generator.context(silence, generator.begin(1).context)
    rest = heard[0, -1, :CODE]
    torch.testing.assert_close(code_at_rest(generator, CODE), rest)
    still = torch.from_numpy(STILL.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    said, _ = generator.context(torch.from_numpy(SOUND)[None], generator.begin(1).context)
    noise, _ = generator.noise(torch.from_numpy(engine.noise(0, 0, len(SOUND)))[None], generator.begin(1).noise)
    for gain in (0.0, 1.4):
        context = torch.cat([rest + gain * (said[..., :CODE] - rest), said[..., CODE:]], dim=2)
        video = pixels(generator.decode(generator.identify(still), context, noise))[0]
        assert np.abs(frames(engine, gain) - video).max() <= 2


def test_a_mouth_rests_in_silence_whatever_the_gain(talker: tuple[Generator, Engine]):
    silence = np.zeros((40, SOUND.shape[1]), np.float32)
    still, wide = (frames(talker[1], gain, silence)[-10:] for gain in (1.0, 2.0))
    assert np.abs(still - wide).max() <= 1


def test_gain_1_draws_what_a_model_without_a_gain_draws(tiny_model: Path, unwarmed_model: Path):
    engine, plain = Engine(tiny_model, threads=1), Engine(unwarmed_model, threads=1)
    expected = frames(plain)
    assert np.array_equal(frames(engine, 1.0), expected)
    assert not np.array_equal(frames(engine, 1.2), expected)


def test_threads_share_a_gain(tiny_model: Path):
    alone, shared = (frames(Engine(tiny_model, threads), 1.5) for threads in (1, 3))
    assert np.abs(alone - shared).max() <= 1


def test_a_model_without_a_mouth_code_refuses_every_gain_but_1(unwarmed_model: Path):
    with pytest.raises(ModelError, match="leave the mouth at 1"):
        frames(Engine(unwarmed_model, threads=1), 1.2)


@pytest.mark.parametrize("mouth", [-0.1, 2.1, float("nan"), float("inf"), "1.2", None, np.ones(1)])
def test_a_gain_that_makes_no_sense_is_said(talker: tuple[Generator, Engine], mouth: object):
    with pytest.raises(MediaError, match="from 0 to 2"):
        talker[1].require_mouth(mouth)  # type: ignore[arg-type]


def test_a_warm_start_of_the_run_or_of_one_before_it_makes_a_mouth_code():
    code = MouthCode(np.eye(5, 58, dtype=np.float32), 1.0)
    cold = replace(default(), stages=default().stages[2:])
    assert learnt_code(Trained(default(), {}, code, [])) == 5  # as many as the code has, whatever the preset says
    assert learnt_code(Trained(cold, {}, code, [])) == 0
    assert learnt_code(Trained(paper(), {}, code, [{**remark("adversarial"), "steps": 9}])) == 0
    assert learnt_code(Trained(cold, {}, code, [{**remark("sound"), "steps": 9}])) == 5
    assert learnt_code(Trained(cold, {}, code, [remark("sound")])) == 0  # not a step of it was taken


def test_an_exported_mouth_opens_further_for_good_and_its_card_says_so(
    talker: tuple[Generator, Engine], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code = MouthCode(np.eye(CODE, 58, dtype=np.float32), 1.0)
    write_generator(tmp_path / "generator.safetensors", Trained(tiny(), talker[0].state_dict(), code, []))
    assert main(["export", str(tmp_path), "--mouth", "1.5", "-o", str(tmp_path / "wide")]) == 0
    before, after = (read_generator(folder) for folder in (tmp_path, tmp_path / "wide"))
    name = "decoder.first.weight"
    torch.testing.assert_close(after.weights[name][:CODE], 1.5 * before.weights[name][:CODE], rtol=1e-3, atol=1e-4)
    assert torch.equal(after.weights[name][CODE:], before.weights[name][CODE:])
    assert all(torch.equal(after.weights[key], value) for key, value in before.weights.items() if key != name)
    assert "| mouth x 1.50 | 0 |" in (tmp_path / "wide" / "CARD.md").read_text()
    wider = frames(Engine(tmp_path / "wide", threads=1)).std(axis=0).mean()
    assert wider > 1.2 * frames(talker[1]).std(axis=0).mean()
    for mouth in ("0", "2.5", "nan"):
        assert main(["export", str(tmp_path), "--mouth", mouth, "-o", str(tmp_path / "none")]) == 2
        assert "from more than 0 to 2 times as far" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_model_without_a_warm_start_has_no_mouth_to_open_further(talker: tuple[Generator, Engine]):
    code = MouthCode(np.eye(CODE, 58, dtype=np.float32), 1.0)
    unwarmed = replace(tiny(), stages=tiny().stages[2:])
    trained = Trained(unwarmed, talker[0].state_dict(), code, [])
    assert widened(trained, 1.0) is trained
    with pytest.raises(ModelError, match="no warm start"):
        widened(trained, 1.2)
