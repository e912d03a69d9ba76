"""The training engine: parts and processes that add up, what a crash leaves, what is said when training goes wrong."""

import json
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers import launch, of_unequal_lengths
from stillspeak.cli import main
from stillspeak.config import AdversarialStage, Config, PictureStage, SoundStage, SyncDiscriminatorConfig
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.errors import ModelError, RunError
from stillspeak.model.generator import Generator
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import adversarial_loss, discriminator_loss
from stillspeak.presets import PRESETS, default, l1, l1_frame, static, synchronised, tiny
from stillspeak.runtime.engine import Engine
from stillspeak.training import finishing, loader
from stillspeak.training.adversary import (
    Adversary,
    FrameAdversary,
    Scene,
    SequenceAdversary,
    SyncAdversary,
    adversaries,
    judge,
    own_sound,
)
from stillspeak.training.build import make_phases
from stillspeak.training.calibration import Factors
from stillspeak.training.checkpoint import pack_optimiser, unpack_optimiser
from stillspeak.training.export import difference, export
from stillspeak.training.loader import batches, ended_workers_said, loader_workers
from stillspeak.training.loop import Trainer, train
from stillspeak.training.patience import Patience
from stillspeak.training.run import BEST, RunFolder
from stillspeak.training.team import Draws, Share, Team
from stillspeak.training.tensors import adam
from stillspeak.training.trouble import Collapse, standing_mouth
from stillspeak.training.weights import ANEW, find_weights, read_generator


def quiet(_: str) -> None:
    pass


TINY_SOUND = tiny().generator.context


def short(config: Config, **train_fields: object) -> Config:
    """A config without figures in between."""
    return replace(config, train=replace(config.train, sample_every=1000, **train_fields))  # type: ignore[arg-type]


def ending(**fields: object) -> Config:
    """``tiny`` with another adversarial stage and without figures in between."""
    return short(tiny()).with_stages(AdversarialStage, **fields)


def small(config: Config) -> Config:
    """A preset at the sizes of ``tiny``: the same parts, losses and adversaries."""
    size = tiny()
    context = size.generator.context
    if config.generator.context.bands:
        context = replace(context, bands=12, channels=(4, 8))
    sounds = (4, 8) if context.bands else (4, 4, 8, 8)
    generator = replace(size.generator, context=context, recurrent=config.generator.recurrent)
    sync = config.sync and SyncDiscriminatorConfig((4, 4, 8, 8), sounds, 16)
    return replace(
        config,
        generator=generator,
        frame=config.frame and size.frame,
        sequence=config.sequence and size.sequence,
        sync=sync,
        labels=replace(size.labels, expression=config.labels.expression),
        stages=size.with_stages(AdversarialStage, learns=config.stages[-1].learns).stages,
        train=replace(size.train, sample_every=1000),
    )


def trainer(config: Config, prepared: Path, folder: Path, say: Callable[[str], None] = quiet) -> Trainer:
    RunFolder(folder).create(config, prepared)
    made = Trainer(RunFolder(folder), say=say)
    made.save()
    return made


# ---------------------------------------------------------------- presets


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        (l1, []),
        (l1_frame, ["frame"]),
        (static, ["frame"]),
        (default, ["frame", "sequence"]),
        (synchronised, ["frame", "sequence", "sync"]),
    ],
)
def test_the_rows_of_the_ablation_differ_in_their_adversaries(preset: Callable[[], Config], names: list[str]):
    assert [adversary.name for adversary in adversaries(preset(), torch.device("cpu"))] == names


@pytest.mark.parametrize("preset", [l1, l1_frame, static, synchronised])
def test_every_row_of_the_ablation_trains_and_exports(preset: Callable[[], Config], prepared: Path, tmp_path: Path):
    config = small(preset())
    train(config, prepared, tmp_path / "r", say=quiet)
    export(tmp_path / "r", tmp_path / "model")
    rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    seen = {key for row in rows for key in row if key.startswith("fool_")}
    assert seen == {f"fool_{adversary.name}" for adversary in adversaries(config, torch.device("cpu"))}
    trained = read_generator(tmp_path / "model")
    assert trained.config == config


def test_no_code_of_the_training_asks_for_a_presets_name():
    source = "".join(path.read_text() for path in Path("src/stillspeak/training").glob("*.py"))
    assert not any(f'== "{name}"' in source for name in PRESETS)


def test_the_static_baseline_draws_each_frame_from_its_own_window_alone(tmp_path: Path):
    torch.manual_seed(0)
    generator = Generator(small(static()).generator).eval()
    still, windows = torch.rand(1, 3, 128, 96), torch.randn(1, 6, generator.config.context.window)
    noise = torch.randn(1, 6, generator.config.noise_size)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    with torch.no_grad():
        identity = generator.identify(still)
        video, state = generator(identity, windows, noise, generator.begin(1))
        shuffled, _ = generator(identity, windows[:, order], noise[:, order], generator.begin(1))
    torch.testing.assert_close(shuffled, video[:, order])
    assert all(not part.any() for part in state)


def test_the_papers_preset_has_the_papers_schedule():
    config = PRESETS["paper"]()
    (stage,) = config.stages
    assert isinstance(stage, AdversarialStage)
    assert stage.learning_rate == 2e-4
    assert config.frame is not None
    assert config.sequence is not None
    assert (config.frame.learning_rate, config.sequence.learning_rate) == (1e-3, 5e-5)
    assert (config.loss.reconstruction, config.loss.upper, config.loss.mouth) == (400.0, 0.0, 0.0)
    assert (config.generator.noise_variance, stage.patience_epochs) == (0.6, 10)


# ---------------------------------------------------------------- the third adversary


def toy_scene(*frames: int) -> tuple[torch.Tensor, Scene]:
    """A video and a sound that both say the number of their frame, everywhere; the clips' hundreds are different."""
    lengths = Lengths(frames)
    number = lengths.place + 100.0 * lengths.clip
    video = number[:, None, None, None].expand(-1, 3, 128, 96)
    size = TINY_SOUND.rate_hz // TINY_SOUND.fps
    windows = torch.full((lengths.frames, TINY_SOUND.window), -1.0)
    start = (TINY_SOUND.window - size) // 2
    windows[:, start : start + size] = number[:, None]
    return video, Scene(video[lengths.starts], windows, lengths)


def test_the_third_adversary_hears_what_it_sees_and_counts_real_pairs_out_of_sync_as_fake():
    config = SyncDiscriminatorConfig((4, 4, 8, 8), (4, 4, 8, 8), 16)
    adversary = SyncAdversary(config, TINY_SOUND, torch.device("cpu"))
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    adversary.network.forward = lambda mouths, sounds: (  # type: ignore[method-assign]
        pairs.append((mouths[:, :, 0, 0, 0], sounds.unflatten(1, (config.frames, -1))[:, :, 0]))
        or torch.zeros(len(mouths))
    )
    video, scene = toy_scene(20, 9, 40)
    assert torch.equal(own_sound(scene.windows, TINY_SOUND)[:20, 0], torch.arange(20).float())
    adversary.look(video, scene, Draws(Share(), 1))
    seen, heard = pairs.pop()
    assert torch.equal(seen, heard)
    assert seen.shape == (12, 5)
    assert [int(at) // 100 for at in seen[:, 0]] == [int(at) // 100 for at in seen[:, 4]] == [0] * 4 + [1] * 4 + [2] * 4
    adversary.look_apart(video, scene, Draws(Share(), 1))
    apart_seen, apart_heard = pairs[0]
    distance = (apart_seen - apart_heard)[:, 0].abs()
    assert distance.min() >= 1
    assert distance.max() <= config.furthest
    assert {float(d) for d in (apart_seen - apart_heard).std(dim=1)} == {0.0}


def test_the_third_adversary_learns_what_belongs_together():
    torch.manual_seed(0)
    config = SyncDiscriminatorConfig((4, 8, 8, 8), (4, 4, 8, 8), 8, learning_rate=3e-3)
    adversary = SyncAdversary(config, TINY_SOUND, torch.device("cpu"))
    right = []
    for step in range(100):
        loud, lengths = torch.rand(96, 1), Lengths([16] * 6)
        video = (2 * loud - 1)[..., None, None].expand(-1, 3, 128, 96)
        tone = torch.sin(torch.arange(TINY_SOUND.window) * 0.7)
        scene = Scene(video[lengths.starts], loud * tone, lengths)
        draws = Draws(Share(), step)
        real = adversary.look(video, scene, draws)
        fake = adversary.look(torch.zeros_like(video), scene, draws).beside(adversary.look_apart(video, scene, draws))
        right.append((float((real.logits > 0).float().mean()) + float((fake.logits < 0).float().mean())) / 2)
        loss = discriminator_loss(real, fake)
        adversary.optimiser.zero_grad()
        loss.backward()
        adversary.optimiser.step()
    assert np.mean(right[-10:]) > 0.7


@pytest.mark.parametrize("adversary_type", [FrameAdversary, SequenceAdversary, SyncAdversary])
def test_one_look_gives_each_side_the_gradient_of_its_own_loss(adversary_type: type[Adversary]):
    torch.manual_seed(0)
    arguments = {
        FrameAdversary: (tiny().frame,),
        SequenceAdversary: (tiny().sequence, TINY_SOUND),
        SyncAdversary: (SyncDiscriminatorConfig((4, 4, 8, 8), (4, 4, 8, 8), 16), TINY_SOUND),
    }[adversary_type]
    adversary = adversary_type(*arguments, torch.device("cpu"))
    video, scene = toy_scene(12, 7)
    real, fake = torch.rand_like(video), torch.rand_like(video).requires_grad_()
    slope, scalars = judge(adversary, real, fake, scene, Draws(Share(), 1))
    assert fake.grad is None  # the generator's side is returned and not yet applied
    given = [parameter.grad.clone() for parameter in adversary.network.parameters() if parameter.grad is not None]

    adversary.optimiser.zero_grad()
    draws = Draws(Share(), 1)
    says_real, says_fake = adversary.look(real, scene, draws), adversary.look(fake, scene, draws)
    adversarial_loss(says_fake).backward(retain_graph=True)
    torch.testing.assert_close(slope, fake.grad)
    adversary.optimiser.zero_grad()
    says_fake = says_fake.beside(adversary.look_apart(real, scene, draws))
    loss = discriminator_loss(says_real, says_fake)
    loss.backward()
    wanted = [parameter.grad for parameter in adversary.network.parameters()]
    assert len(given) == len(wanted)
    for ours, theirs in zip(given, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert float(scalars[f"{adversary.name}_loss"]) == pytest.approx(float(loss.detach()))


# ---------------------------------------------------------------- parts and processes


@pytest.mark.parametrize("place", range(3))
def test_the_parts_of_a_batch_are_together_the_batch(place: int, prepared: Path, tmp_path: Path):
    config = replace(tiny(), stages=tuple(replace(stage, clips=4) for stage in tiny().stages))
    config = config.with_stages(AdversarialStage, frames=0)
    clips = Clips(of_unequal_lengths(prepared, tmp_path / "data"), "train", config.generator.context)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, 4))
    phase = make_phases(config, Generator(config.generator), drawer, Team())[place]
    whole = phase.draw_part(3, Share())
    halves = [phase.draw_part(3, Share(index, 2)) for index in range(2)]
    for tensor, *parts in zip(whole, *halves, strict=True):
        assert torch.equal(torch.cat(parts), tensor)


def test_random_numbers_of_the_parts_are_together_those_of_the_whole():
    whole = Draws(Share(), 5, 6).normal(6, 2)
    parts = [Draws(Share(index, 3), 5, 6).normal(2, 2) for index in range(3)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(RunError, match="equal parts"):
        Share(0, 4).of(6)


def test_a_batch_of_a_later_phase_that_cannot_be_shared_is_refused_before_the_first_step(
    prepared: Path, tmp_path: Path
):
    config = short(tiny(), accumulate=2).with_stages(PictureStage, clips=3)
    with pytest.raises(RunError, match=r"picture\.clips"):
        trainer(config, prepared, tmp_path / "r")


def test_gradients_of_accumulated_parts_are_the_whole_batchs(prepared: Path, tmp_path: Path):
    gradients = []
    for parts in (1, 2):
        made = trainer(short(tiny(), accumulate=parts), prepared, tmp_path / str(parts))
        made.state.generator.eval()  # batch norms of parts see parts
        phase = made.state.phases[1]
        phase.optimisers["picture"].step = lambda: None  # type: ignore[method-assign]
        phase.optimisers["picture"].zero_grad = lambda: None  # type: ignore[method-assign]
        phase.step(0, phase.draw(0))
        gradients.append([parameter.grad for parameter in phase.parameters])  # type: ignore[attr-defined]
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-3)


def test_two_processes_with_half_a_batch_each_take_the_step_of_one(prepared: Path, tmp_path: Path):
    fields = ["--train.sample-every", "1000", "--train.calibrate", "False"]
    fields += ["--adversarial.frames", "0", "--data.evenness", "0", "--sequence.wrong-sound", "True"]
    base = ["train", "tiny", "--data", str(of_unequal_lengths(prepared, tmp_path / "data")), *fields]
    together = launch([*base, "--run", str(tmp_path / "two")], 2)
    assert together.returncode == 0, together.stderr[-2000:]
    assert main([*base, "--run", str(tmp_path / "one")]) == 0
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    for name in [name for name in one if name.startswith("generator.")]:
        torch.testing.assert_close(two[name], one[name], atol=2e-3, rtol=2e-2, msg=name)
    rows = [
        [json.loads(line) for line in (tmp_path / n / "metrics.jsonl").read_text().splitlines()] for n in ("one", "two")
    ]
    assert len(rows[0]) == len(rows[1])
    for alone, shared in zip(*rows, strict=True):
        assert shared["frames"] == alone["frames"]
        for key in ("code_loss", "l1"):
            assert shared.get(key, 0) == pytest.approx(alone.get(key, 0), rel=2e-3), (key, alone)


# ---------------------------------------------------------------- what a crash leaves


def test_kill_9_in_the_middle_of_a_save_leaves_a_run_that_goes_on(prepared: Path, tmp_path: Path):
    RunFolder(tmp_path / "r").create(short(tiny()), prepared)
    process = multiprocessing.get_context("fork").Process(target=die_in_the_second_save, args=(tmp_path / "r",))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert list((tmp_path / "r").glob(".*.part*"))
    Trainer(RunFolder(tmp_path / "r"), say=quiet).run()
    assert not list((tmp_path / "r").glob(".*.part*"))


def die_in_the_second_save(run: Path) -> None:
    """Saves once, and is killed when half of the second checkpoint is written."""
    import stillspeak.training.run as module

    made = Trainer(RunFolder(run), say=quiet)
    made.save()

    def half(tensors: object, path: Path, metadata: object) -> None:
        whole = (run / "checkpoint.safetensors").read_bytes()
        Path(path).write_bytes(whole[: len(whole) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    module.save_file = half
    made.save()


def test_a_full_disk_is_said_and_the_last_checkpoint_kept(prepared: Path, tmp_path: Path):
    made = trainer(short(tiny()), prepared, tmp_path / "r")
    before = (tmp_path / "r" / "checkpoint.safetensors").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 3, hard))
    try:
        with pytest.raises(RunError, match="the one before it is kept"):
            made.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "r" / "checkpoint.safetensors").read_bytes() == before
    assert not list((tmp_path / "r").glob(".*.part*"))


def test_an_optimisers_moments_lie_as_their_weights_do_after_a_resume():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(8, 4, 3).to(memory_format=torch.channels_last)
    first = adam(layer.parameters(), 1e-3)
    layer(torch.rand(2, 8, 9, 9)).mean().backward()
    first.step()
    second = adam(layer.parameters(), 1e-3)
    unpack_optimiser("o.", second, {k: v.contiguous() for k, v in pack_optimiser("o.", first).items()})
    state = second.state[layer.weight]
    assert state["exp_avg"].stride() == layer.weight.stride()
    torch.testing.assert_close(state["exp_avg"], first.state[layer.weight]["exp_avg"])


def test_the_quick_adam_takes_adams_steps():
    weights = []
    for make in (lambda p: adam(p, 1e-2, (0.5, 0.999)), lambda p: torch.optim.Adam(p, 1e-2, (0.5, 0.999), fused=False)):
        torch.manual_seed(0)
        layer = torch.nn.Conv2d(8, 4, 3).to(memory_format=torch.channels_last)
        optimiser = make(layer.parameters())
        for _ in range(5):
            optimiser.zero_grad()
            layer(torch.rand(2, 8, 9, 9)).square().mean().backward()
            optimiser.step()
        weights.append(layer.weight.detach().clone())
    torch.testing.assert_close(*weights, atol=1e-5, rtol=1e-4)


# ---------------------------------------------------------------- what is said


def break_step(made: Trainer, index: int, at: int, times: int = 1) -> None:
    """Makes a phase's step give not-a-number, so many times, once it is at a step."""
    phase, left = made.state.phases[index], [times]
    original = phase.step

    def broken(step: int, parts: list) -> dict[str, torch.Tensor]:
        scalars = original(step, parts)
        if step == at and left[0]:
            left[0] -= 1
            with torch.no_grad():
                next(made.state.generator.parameters()).fill_(float("nan"))
            scalars["l1"] = torch.tensor(float("nan"))
        return scalars

    phase.step = broken  # type: ignore[method-assign]


def test_not_a_number_goes_back_to_the_checkpoint_at_half_the_learning_rate(prepared: Path, tmp_path: Path):
    said: list[str] = []
    made = trainer(short(tiny(), back_off=1), prepared, tmp_path / "r", said.append)
    break_step(made, 2, at=2)
    made.run()
    assert any("0.5 of the learning rates" in line for line in said)
    assert made.state.phases[2].rate == 0.5
    assert all(torch.isfinite(value).all() for value in made.state.generator.state_dict().values())


def test_not_a_number_that_comes_back_ends_the_run(prepared: Path, tmp_path: Path):
    made = trainer(short(tiny(), back_off=1), prepared, tmp_path / "r")
    break_step(made, 2, at=2, times=2)
    with pytest.raises(RunError, match="not a number"):
        made.run()
    Trainer(RunFolder(tmp_path / "r"), say=quiet).run()  # the checkpoint is good


def test_a_discriminator_that_is_always_right_is_said_once_after_ten_ticks():
    collapse = Collapse()
    sure = {
        "frame_right_on_real": 1.0,
        "frame_right_on_fake": 0.99,
        "sequence_right_on_real": 0.7,
        "sequence_right_on_fake": 1.0,
    }
    said = [collapse.sees(sure) for _ in range(12)]
    assert [bool(line) for line in said] == [False] * 9 + [True, False, False]
    assert "frame.learning-rate" in said[9]


def test_a_mouth_that_stands_still_is_said_and_ends_the_run_if_it_is_to(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert "hardly moves" in standing_mouth({"validation_opening_spread": 0.1})
    assert not standing_mouth({"validation_opening_spread": 0.9, "validation_opening_correlation": 0.1})
    made = trainer(replace(tiny(), train=replace(tiny().train, on_trouble="stop")), prepared, tmp_path / "r")
    monkeypatch.setattr(made.watch.monitor, "sample", lambda *_: {"validation_opening_spread": 0.1})
    with pytest.raises(RunError, match=r"hardly moves.*resume"):
        made.run()


def test_patience_ends_when_neither_figure_gains():
    patience = Patience(2)
    figures = [(20.0, 0.8), (20.1, 0.7), (20.0, 0.81), (19.0, 0.8), (20.1, 0.81)]
    gains = [patience.gains({"psnr": a, "ssim": b}) for a, b in figures]
    assert gains == [True, True, True, False, False]
    assert patience.over
    other = Patience(2)
    other.restore(patience.state())
    assert other.over
    assert not Patience(0).over


def test_training_ends_with_the_papers_patience_and_keeps_the_best_epoch(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = trainer(ending(steps=40, patience_epochs=2, clips=2, calibrate=False), prepared, tmp_path / "r")
    qualities = iter([30.0, 31.0, 30.5, 30.5, 30.5])
    monkeypatch.setattr(made.watch.monitor, "quality", lambda _: {"psnr": next(qualities)})
    made.run()
    epoch = len(Clips(prepared, "train", made.state.config.generator.context))  # two clips a step of the mirrored set
    rows = [json.loads(line) for line in (tmp_path / "r" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "psnr" in row] == [epoch * k for k in (1, 2, 3, 4)]
    assert max(row["step"] for row in rows if row["phase"] == "adversarial") == 4 * epoch
    assert find_weights(tmp_path / "r").name == BEST
    export(tmp_path / "r", tmp_path / "model")


def test_a_run_whose_patience_has_ended_takes_no_more_steps(prepared: Path, tmp_path: Path):
    made = trainer(ending(steps=4, patience_epochs=1, calibrate=False), prepared, tmp_path / "r")
    made.state.phase_index, made.state.patience.waited = 2, 1
    made.run()
    assert (tmp_path / "r" / "metrics.jsonl").exists() is False


def test_a_mouth_is_widened_once_however_often_the_end_is_lost(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = ending(steps=4, patience_epochs=2, clips=2, calibrate=True)
    monkeypatch.setattr(finishing, "calibrate", widen)
    for name in ("whole", "lost"):
        made = trainer(config, prepared, tmp_path / name)
        if name == "lost":
            with pytest.raises(RunError, match="full"):
                FullAtTheEnd(RunFolder(tmp_path / name), say=quiet).run()
            made = Trainer(RunFolder(tmp_path / name), say=quiet)
        made.run()
        assert sum(stage["phase"].startswith("calibration") for stage in made.state.history) == 1
    whole, lost = (read_generator(tmp_path / name / BEST).weights for name in ("whole", "lost"))
    assert all(torch.equal(whole[key], lost[key]) for key in whole)


def widen(generator: Generator, *_: object, **__: object) -> Factors:
    with torch.no_grad():
        generator.decoder.first.weight *= 1.5
    return Factors(1.5, 1.0)


class FullAtTheEnd(Trainer):
    """A run for whose last checkpoint there is no room."""

    def save(self) -> None:
        if self.state.phase_index == len(self.state.phases):
            raise RunError("The disk is full.")
        super().save()


def test_batches_come_in_order_whoever_draws_them_and_errors_where_they_belong():
    def draw(step: int) -> list[tuple[torch.Tensor, ...]]:
        if step == 7:
            raise RunError("a bad clip")
        return [(torch.tensor([step]),)]

    for workers in (0, 2):
        source = batches(draw, 3, 9, torch.device("cpu"), workers)
        assert [int(next(source)[0][0]) for _ in range(4)] == [3, 4, 5, 6]
        with pytest.raises(RunError, match="bad clip"):
            next(source)


def test_processes_draw_what_a_thread_draws(prepared: Path):
    config = PRESETS["tiny"]()
    clips = Clips(prepared, "train", config.generator.context)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    phase = make_phases(config, Generator(config.generator), drawer, Team())[1]
    cpu = torch.device("cpu")
    drawn = [list(batches(phase.draw, 0, 4, cpu, workers)) for workers in (0, 2)]
    for ours, theirs in zip(*drawn, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(ours[0], theirs[0], strict=True))


def test_a_process_that_draws_and_is_ended_is_said_in_one_sentence():
    def draw(step: int) -> list[tuple[torch.Tensor, ...]]:
        if step == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return [(torch.tensor([step]),)]

    def train_on() -> None:
        with ended_workers_said("stillspeak resume r"):
            for _ in batches(draw, 0, 9, torch.device("cpu"), 1):
                time.sleep(0.1)

    with pytest.raises(RunError, match=r"draws batches was ended.*resume r"):
        train_on()


def test_no_room_for_a_batch_in_shared_memory_and_errors_that_no_pipe_can_carry_are_told(
    monkeypatch: pytest.MonkeyPatch,
):
    class OwnError(Exception):
        pass

    def draw(step: int) -> list[tuple[torch.Tensor, ...]]:
        if step:
            raise OwnError("the seventh clip")
        return [(torch.tensor([step]),)]

    source = batches(draw, 0, 9, torch.device("cpu"), 1)
    next(source)
    with pytest.raises(RuntimeError, match="the seventh clip"):
        next(source)

    def full(tensor: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)
    with pytest.raises(RunError, match="--shm-size"):
        next(batches(draw, 0, 9, torch.device("cpu"), 1))


def test_what_ends_a_group_of_processes_is_left_to_the_one_that_saves():
    def draw(step: int) -> list[tuple[torch.Tensor, ...]]:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        return [(torch.tensor([step]),)]

    assert len(list(batches(draw, 0, 3, torch.device("cpu"), 1))) == 3


def test_beside_a_gpu_a_core_is_left_to_the_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loader, "granted_cores", lambda: 16)
    assert loader_workers(torch.device("cpu")) == 0
    assert loader_workers(torch.device("cuda")) == 15
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert loader_workers(torch.device("cuda")) == 1


# ---------------------------------------------------------------- what a user sees


def test_runs_are_listed_and_compared_and_shown_in_tensorboard(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    for name, clips in (("a", "2"), ("b", "1")):
        run = ["--run", str(tmp_path / name), "--train.clips", clips]
        assert main(["train", "tiny", "--data", str(prepared), *run]) == 0
    with (tmp_path / "b" / "metrics.jsonl").open("a") as file:
        file.write('5\n{"psnr": "x"}\n{"phase": "adversarial", "st')  # cut off by a crash
    with (tmp_path / "b" / "metrics.jsonl").open("ab") as file:
        file.write(b"\n\xff\n")
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.count("| tiny | calibration | 1 |") == 2
    assert "| adversarial.clips | 2 | 1 |" in out
    assert main(["runs", str(tmp_path / "none")]) == 2
    assert "no training run" in capsys.readouterr().err
    events = EventAccumulator(str(tmp_path / "a" / "board"), size_guidance={"images": 0}).Reload()
    assert {"sound/code_loss", "picture/l1", "adversarial/fool_sequence"} <= set(events.Tags()["scalars"])
    assert {"adversarial/strip", "adversarial-validation/video"} <= set(events.Tags()["images"])
    assert "adversarial-validation/sound" in events.Tags()["audio"]
    assert events.Images("adversarial-validation/video")[0].encoded_image_string.startswith(b"GIF8")


def test_a_static_model_streams_as_it_trains(prepared: Path, tmp_path: Path):
    config = small(static())
    train(config, prepared, tmp_path / "r", say=quiet)
    export(tmp_path / "r", tmp_path / "m")
    generator = Generator(config.generator).eval()
    generator.load_state_dict(read_generator(tmp_path / "m").weights)
    assert difference(generator, Engine(tmp_path / "m", threads=1)) <= 2


# ---------------------------------------------------------------- two models into one


def test_a_run_from_a_model_that_hears_otherwise_learns_sound_anew(prepared: Path, tmp_path: Path):
    raw = small(default())
    raw = replace(raw, generator=replace(raw.generator, context=tiny().generator.context))
    train(raw, prepared, tmp_path / "raw", say=quiet)
    said: list[str] = []
    config = small(default())
    config = replace(config, stages=config.stages[:1])
    train(config, prepared, tmp_path / "mel", tmp_path / "raw", say=said.append)
    assert any("hears otherwise" in line for line in said)
    first, second = (read_generator(tmp_path / name) for name in ("raw", "mel"))
    pictures = [name for name in first.weights if name.startswith(("identity.", "decoder.", "last."))]
    assert pictures
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in pictures)
    assert [stage["phase"] for stage in second.history][-2:] == [ANEW, "sound"]
    unheard = config.with_stages(SoundStage, steps=0)
    with pytest.raises(ModelError, match=r"set sound\.steps above 0"):
        train(unheard, prepared, tmp_path / "unheard", tmp_path / "raw", say=quiet)
    said.clear()
    train(config, prepared, tmp_path / "more", tmp_path / "mel", say=said.append)  # hears as it did
    assert not any("hears otherwise" in line for line in said)
