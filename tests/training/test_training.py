"""Training end to end on a prepared corpus: it learns, resumes exactly, exports what it learnt, and says what is wrong."""

import errno
import itertools
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import of_unequal_lengths
from stillspeak.cli import main
from stillspeak.config import (
    AdversarialStage,
    Config,
    MouthDiscriminatorConfig,
    PictureStage,
)
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.errors import OutputError, RunError
from stillspeak.model.generator import Generator, WarpingDecoder
from stillspeak.model.lengths import Lengths
from stillspeak.presets import default, paper, tiny
from stillspeak.runtime.engine import Engine
from stillspeak.training import generator_state
from stillspeak.training.adversary import adversaries
from stillspeak.training.build import chosen_device
from stillspeak.training.calibration import calibrate
from stillspeak.training.export import difference, export, fold_batch_norms
from stillspeak.training.exported_warp import ExportedWarpingDecoder
from stillspeak.training.loop import Trainer, train
from stillspeak.training.overrides import overridden
from stillspeak.training.run import RunFolder, config_from_dict, config_to_dict, load_tensors
from stillspeak.training.warm_start import code_loss, concordance_loss
from stillspeak.training.weights import read_generator


def quiet(_: str) -> None:
    pass


@pytest.fixture(scope="module")
def finished(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of all three phases from the command line."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "tiny", "--data", str(prepared), "--run", str(run)]) == 0
    return run


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_every_phase_logs_finite_scalars_and_diagnostics(finished: Path):
    rows = metrics(finished)
    assert [row["step"] for row in rows if row["phase"] == "adversarial" and "l1" in row] == [1, 2, 3, 4]
    assert all(np.isfinite(value) for row in rows for key, value in row.items() if key != "phase")
    last = [row for row in rows if "frame_right_on_real" in row][-1]
    wanted = {
        "l1",
        "mouth_l1",
        "mouth_motion",
        "gradient",
        "sequence_right_on_fake",
        "fool_frame",
        "fool_sequence",
        "code_loss",
    }
    assert wanted <= set(last)
    assert any("validation_opening_correlation" in row for row in rows)


def test_samples_are_strips_and_videos_with_sound(finished: Path):
    names = {path.name for path in (finished / "samples").iterdir()}
    assert {"adversarial-000004.png", "adversarial-000004-validation.mp4"} <= names


@pytest.mark.parametrize("steps", [6, 10])  # sound 4, picture 2; sound 4, picture 4, adversarial 2
def test_a_resumed_run_equals_an_uninterrupted_one(prepared: Path, tmp_path: Path, steps: int):
    mouth = MouthDiscriminatorConfig((4, 8))
    sequence = replace(tiny().sequence, verdicts="every", wrong_sound=True, r1=1.0)
    config = replace(tiny(), train=replace(tiny().train, sample_every=1000), sequence=sequence)
    config = config.with_stages(PictureStage, mouth=mouth).with_stages(AdversarialStage, frames=0)
    data = of_unequal_lengths(prepared, tmp_path / "data")
    for name in ("whole", "halves"):
        RunFolder(tmp_path / name).create(config, data)
    Trainer(RunFolder(tmp_path / "whole"), say=quiet).run()
    stopped = Trainer(RunFolder(tmp_path / "halves"), say=quiet)
    stop_after(stopped, steps)
    with pytest.raises(RunError, match="stillspeak resume"):
        stopped.run()
    Trainer(RunFolder(tmp_path / "halves"), say=quiet).run()
    whole, halves = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "halves"))
    assert whole.keys() == halves.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(halves[name], tensor, rtol=0, atol=0, msg=name)


def stop_after(trainer: Trainer, steps: int) -> None:
    """Presses Ctrl-C in the middle of the step after so many, before it is counted and averaged."""
    done = 0
    for phase in trainer.state.phases:
        original = phase.step

        def counted(step, batch, original=original):
            nonlocal done
            done += 1
            made = original(step, batch)
            if done == steps:
                signal.raise_signal(signal.SIGINT)
            return made

        phase.step = counted


def test_the_average_of_the_weights_goes_on_from_phase_to_phase(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    decays = list[float]()
    original = generator_state.get_ema_multi_avg_fn
    monkeypatch.setattr(generator_state, "get_ema_multi_avg_fn", lambda decay: decays.append(decay) or original(decay))
    config = replace(tiny(), train=replace(tiny().train, sample_every=1000))
    RunFolder(tmp_path / "r").create(config, prepared)
    stopped = Trainer(RunFolder(tmp_path / "r"), say=quiet)
    stop_after(stopped, 6)
    with pytest.raises(RunError, match="Stopped"):
        stopped.run()
    Trainer(RunFolder(tmp_path / "r"), say=quiet).run()
    assert decays == [min(0.999, (1 + n) / (10 + n)) for n in range(12)]


def test_a_run_whose_time_is_over_takes_no_step_of_later_phases_and_shows_its_last_figures(
    prepared: Path, tmp_path: Path
):
    config = replace(tiny(), train=replace(tiny().train, hours=1e-9, sample_every=0, log_every=1000))
    train(config, prepared, tmp_path / "r", say=quiet)
    assert {row["phase"]: row["step"] for row in metrics(tmp_path / "r") if "seconds" in row} == {"sound": 1}
    assert any("validation_code_correlation" in row for row in metrics(tmp_path / "r"))
    assert [stage["phase"] for stage in read_generator(tmp_path / "r").history if stage["steps"]] == ["sound"]
    resumed = Trainer(RunFolder(tmp_path / "r"), say=quiet)
    resumed.run()
    assert resumed.state.updates == 1


def test_a_finished_run_is_exported_and_speaks(finished: Path, tmp_path: Path, photo: Path, speech: Path):
    assert main(["export", str(finished), "-o", str(tmp_path / "model")]) == 0
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "identity.onnx", "step.onnx", "model.json", "CARD.md", "generator.safetensors"
    }  # fmt: skip
    card = (tmp_path / "model" / "CARD.md").read_text()
    assert "adversarial | 4" in card
    assert "CC BY 4.0" in card
    assert "s1 (3), s3 (1)" in card
    out = tmp_path / "talk.mp4"
    assert main(["animate", str(photo), str(speech), "-o", str(out), "--model", str(tmp_path / "model")]) == 0
    assert out.is_file()


def test_an_export_without_room_leaves_the_model_that_was_there(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    export(finished, tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    copy, copied = shutil.copyfile, list[Path]()

    def room_for_two(source: Path, to: Path) -> None:
        copied.append(to)
        if len(copied) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        copy(source, to)

    monkeypatch.setattr(shutil, "copyfile", room_for_two)
    with pytest.raises(OutputError, match="No space left"):
        export(finished, tmp_path / "model")
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before


def test_the_exported_graphs_give_what_pytorch_gives(finished: Path, tmp_path: Path):
    export(finished, tmp_path)
    config, weights, _, _ = read_generator(finished)
    generator = Generator(config.generator).eval()
    generator.load_state_dict(weights)
    assert difference(generator, Engine(tmp_path, threads=1)) <= 1


@pytest.mark.parametrize("preset", [tiny, default, paper])
def test_folding_batch_norms_changes_nothing(preset):
    torch.manual_seed(0)
    generator = Generator(preset().generator)
    for module in generator.modules():
        if hasattr(module, "running_mean"):
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    generator.eval()
    folded = fold_batch_norms(generator)
    windows = torch.randn(1, 2, generator.config.context.window) * 0.1
    noise, still = generator.draw_noise(1, 2), torch.rand(1, 3, 128, 96)
    with torch.no_grad():
        expected, _ = generator(generator.identify(still), windows, noise, generator.begin(1))
        made, _ = folded(folded.identify(still), windows, noise, folded.begin(1))
    torch.testing.assert_close(made, expected, atol=2e-4, rtol=1e-3)
    assert not any(isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d) for module in folded.modules())


def test_training_starts_from_an_exported_model(finished: Path, prepared: Path, tmp_path: Path):
    export(finished, tmp_path / "model")
    nothing = [
        "--warm.sound-steps",
        "0",
        "--warm.picture-steps",
        "0",
        "--train.steps",
        "0",
        "--train.calibrate",
        "False",
    ]
    train(overridden("tiny", nothing), prepared, tmp_path / "next", tmp_path / "model", say=quiet)
    _, first, code, history = read_generator(finished)
    _, second, next_code, next_history = read_generator(tmp_path / "next")
    assert [stage["steps"] for stage in next_history] == [stage["steps"] for stage in history] == [4, 4, 4, 0]
    assert history[-1]["phase"].startswith("calibration: mouth x 1")
    for name, tensor in first.items():
        torch.testing.assert_close(second[name].float(), tensor.float(), atol=2e-3, rtol=2e-3)
    np.testing.assert_array_equal(next_code.basis, code.basis)


def test_the_discriminators_of_a_finished_run_go_on_in_one_that_starts_from_it(
    finished: Path, prepared: Path, tmp_path: Path
):
    config, said = tiny(), list[str]()
    assert config.frame is not None
    wider = replace(config, frame=replace(config.frame, channels=(4, 8, 16, 16, 16)))
    RunFolder(tmp_path / "next").create(wider, prepared)
    trainer = Trainer(RunFolder(tmp_path / "next"), finished, said.append)
    assert said == [f"discriminator sequence: from {finished}"]  # of the other the sizes are new
    for name, tensor in trainer.state.phases[-1].networks["sequence"].state_dict().items():
        assert torch.equal(tensor, load_file(finished / "checkpoint.safetensors")[f"network.sequence.{name}"])


def test_discriminators_of_a_run_to_start_from_outlive_a_stop_before_they_are_needed(
    finished: Path, prepared: Path, tmp_path: Path
):
    RunFolder(tmp_path / "next").create(tiny(), prepared)
    Trainer(RunFolder(tmp_path / "next"), finished, quiet).save()
    resumed = Trainer(RunFolder(tmp_path / "next"), say=quiet)
    for name, network in resumed.state.phases[-1].networks.items():
        for key, tensor in network.state_dict().items():
            assert torch.equal(tensor, load_file(finished / "checkpoint.safetensors")[f"network.{name}.{key}"])


def test_a_run_has_one_trainer_at_a_time_and_a_checkpoint_that_belongs_to_it(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "r"
    shutil.copytree(finished, run)
    with RunFolder(run).held():
        assert main(["resume", str(run)]) == 2
    assert "is being trained by another process" in capsys.readouterr().err
    (run / "config.toml").write_text((run / "config.toml").read_text().replace("size = 8", "size = 9"))
    assert main(["resume", str(run)]) == 2
    assert "does not belong to its config.toml" in capsys.readouterr().err


def test_a_run_that_was_ended_before_its_first_checkpoint_begins_anew(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    config = replace(tiny(), stages=tiny().stages[2:], train=replace(tiny().train, sample_every=0))
    config = config.with_stages(AdversarialStage, calibrate=False)
    RunFolder(tmp_path / "r").create(config, prepared)
    assert main(["resume", str(tmp_path / "r")]) == 2
    assert "start it again" in capsys.readouterr().err
    train(config, prepared, tmp_path / "r", say=quiet)
    with pytest.raises(RunError, match="resume"):
        train(config, prepared, tmp_path / "r", say=quiet)


def test_a_second_trainer_is_refused_and_touches_nothing(
    prepared: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, arguments = RunFolder(tmp_path / "r"), ["train", "tiny", "--data", str(prepared), "--run", str(tmp_path / "r")]
    run.make()
    with run.held(), run.created(tiny(), prepared):  # one that decodes its clips still
        written = (tmp_path / "r" / "config.toml").read_bytes()
        assert main([*arguments, "--train.steps", "9"]) == 2
        assert "is being trained by another process" in capsys.readouterr().err
        assert (tmp_path / "r" / "config.toml").read_bytes() == written
    shutil.copy(finished / "checkpoint.safetensors", tmp_path / "r")
    (tmp_path / "r" / "config.toml").unlink()
    assert main(arguments) == 2
    assert "config.toml is missing" in capsys.readouterr().err


def test_weights_that_are_no_numbers_are_not_kept(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = tmp_path / "a run"
    short = ["--warm.sound-steps", "0", "--warm.picture-steps", "0", "--train.steps", "1", "--train.sample-every", "0"]
    assert (
        main(["train", "tiny", "--data", str(prepared), "--run", str(run), *short, "--train.learning-rate", "1e38"])
        == 2
    )
    said = capsys.readouterr().err
    assert "adversarial step 1: a weight is not a number; the last checkpoint is good." in said
    assert f"stillspeak resume '{run}'" in said
    assert main(["export", str(run), "-o", str(tmp_path / "model")]) == 0
    tensors, metadata = load_tensors(run / "checkpoint.safetensors")
    tensors[next(name for name in tensors if name.startswith("average."))].fill_(torch.nan)
    save_file(tensors, run / "checkpoint.safetensors", metadata)
    assert main(["export", str(run), "-o", str(tmp_path / "other")]) == 2
    assert "weights that are not numbers" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "value"),
    [("progress", "null"), ("progress", "{}"), ("progress", '{"step": "a"}'), ("history", "null"), ("history", "[1]")],
)
def test_a_checkpoint_with_damaged_notes_is_said(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: str
):
    shutil.copytree(finished, tmp_path / "r")
    tensors, metadata = load_tensors(tmp_path / "r" / "checkpoint.safetensors")
    save_file(tensors, tmp_path / "r" / "checkpoint.safetensors", metadata | {key: value})
    assert main(["resume", str(tmp_path / "r")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_section_that_nobody_knows_is_said(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(finished, tmp_path / "r")
    text = (tmp_path / "r" / "config.toml").read_text()
    for wrong, said in (
        (text.replace("[train]", "[trian]"), "there is no section trian"),
        (text.replace("steps = 4", 'steps = "many"', 1), "steps: "),
        ("", "is missing"),
    ):
        (tmp_path / "r" / "config.toml").write_text(wrong)
        assert main(["resume", str(tmp_path / "r")]) == 2
        assert said in capsys.readouterr().err


_BAD = [
    case.strip()
    for case in """
tiny train.seed 99999999999999999999; tiny train.threads 100000
tiny adversarial.taught -1
tiny data.face-jitter -1; tiny data.face-jitter 1e9; tiny data.voice-jitter 50; tiny data.evenness -1000; tiny loss.mouth -1
tiny generator.context.rate-hz 1000000000; tiny generator.context.bands 100000
tiny sequence.code 0; sharp mouth.channels 0; sharp mouth.weight -1
synchronised sync.size 0; sync train.evenness -1000; sync train.weight-decay -1
lipreader network.dropout 2; lipreader network.hidden 0; sync network.size -3; sync network.temperature 0
lipreader train.seed 99999999999999999999; tiny train.back-off -1
tiny adversarial.clips -100000000000000000000; synchronised sync.sound-channels 0
""".replace("\n", ";").split(";")
    if case.strip()
]


@pytest.mark.parametrize("case", [*_BAD, f"tiny train.seed {10**400}"])
def test_a_number_out_of_bounds_is_refused_by_its_name(case: str):
    preset, name, value = case.split()
    with pytest.raises(RunError, match=f"{name} must be "):
        overridden(preset, [f"--{name}", value])


@pytest.mark.parametrize("strength", [0.0, 3.0])
def test_whatever_the_bounds_allow_can_be_drawn(prepared: Path, strength: float):
    size = tiny()
    data = replace(
        size.data, face_jitter=strength, voice_jitter=strength, evenness=2 * strength / 3, throats=strength / 6
    )
    clips = Clips(prepared, "train", size.generator.context)
    drawer = Drawer(clips, data, fit_mouth_code(clips.points, 4))
    for seed in range(20):
        assert np.isfinite(drawer.batch(2, 4, np.random.default_rng(seed)).windows).all()


def test_fields_are_set_on_the_command_line_with_either_spelling():
    config = overridden("default", ["--train.steps", "7", "--loss.mouth", "2.5", "--generator.context.size", "128"])
    assert config.stages[2].steps == 7
    assert (config.loss.mouth, config.generator.context.size) == (2.5, 128)
    assert overridden("paper", ["--train.log_every", "3"]).train.log_every == 3


@pytest.mark.parametrize("preset", [tiny, default, paper])
def test_a_config_survives_being_written_and_read(preset):
    config: Config = preset()
    assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
    alone = replace(config, frame=None)
    assert config_from_dict(config_to_dict(alone)) == alone


def test_what_cannot_be_trained_is_said_in_a_sentence(
    prepared: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    base = ["--data", str(prepared), "--run", str(tmp_path / "r")]
    for arguments, reason in [
        (["train", "nonsense", *base], "no preset"),
        (["train", "tiny", *base, "--train.nonsense", "1"], "not a setting, or not a value of it: --train.nonsense 1"),
        (
            ["train", "tiny", *base, "--train.steps", "many", "--train.clips", "2"],
            "not a value of it: --train.steps many",
        ),
        (["train", "tiny", "--data", str(tmp_path), "--run", str(tmp_path / "r")], "manifest.parquet"),
        (["train", "tiny", "--data", str(prepared), "--run", str(finished)], "resume"),
        (["train", "tiny", *base, "--init", str(tmp_path)], "neither a training run"),
        (["train", "default", *base, "--init", str(finished)], "other sizes"),
        (["resume", str(tmp_path / "gone")], "no training run"),
        (["train", "tiny", "--data", str(prepared), "--run", str(tmp_path / ("x" * 300))], "name"),
        (["runs", str(tmp_path / ("x" * 300))], "name"),
        (["export", str(tmp_path), "-o", str(tmp_path / "e")], "neither a training run"),
    ]:
        assert main(arguments) == 2, arguments
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert reason in error, (arguments, error)
    assert not (tmp_path / "r" / "config.toml").exists()


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (["--train.log-every", "0"], "train.log-every must be at least 1, not 0"),
        (["--train.sample-every", "-1"], "at least 0"),
        (["--train.accumulate", "0"], "at least 1"),
        (["--train.clips", "0"], "at least 1"),
        (["--train.frames", "-1"], "at least 0"),
        (["--train.threads", "-1"], "at least 0"),
        (["--warm.code", "0"], "at least 1"),
        (["--warm.code", "400"], "labels.code must be at most"),
        (["--train.seed", "-1"], "train.seed must be at least 0"),
        (["--train.hours", "-1"], "train.hours must be at least 0"),
        (["--train.learning-rate", "-1"], "adversarial.learning-rate must be at least 0"),
        (["--loss.mouth", "nan"], "loss.mouth must be a number"),
        (["--generator.context.window-seconds", "0.001"], "not a setting"),
        (["--generator.context.rate-hz", "8500"], "must be a multiple of 1000"),
        (["--generator.context.channels", "0", "4"], "numbers of at least 1"),
        (["--generator.context.bands", "-3"], "generator.context.bands must be at least 0"),
        (["--generator.identity.channels", "4", "8"], "must be 5 numbers"),
        (["--frame.channels", "4", "8", "8", "8"], "frame.channels must be 5 numbers"),
        (["--picture.learns", "mouth"], "leaves nothing to learn"),
    ],
)
def test_numbers_that_cannot_be_trained_with_are_refused(
    setting: list[str], reason: str, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "tiny", "--data", str(prepared), "--run", str(tmp_path / "r"), *setting]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_samples_may_be_made_at_the_end_alone(prepared: Path, tmp_path: Path):
    config = replace(tiny(), stages=tiny().stages[2:], train=replace(tiny().train, sample_every=0))
    config = config.with_stages(AdversarialStage, calibrate=False)
    train(config, prepared, tmp_path / "r", say=quiet)
    assert [path.name for path in (tmp_path / "r" / "samples").glob("*.png")] == ["adversarial-000004.png"]


def test_not_a_number_stops_with_a_way_on(prepared: Path, tmp_path: Path):
    RunFolder(tmp_path / "r").create(tiny(), prepared)
    trainer = Trainer(RunFolder(tmp_path / "r"), say=quiet)
    with torch.no_grad():
        trainer.state.generator.context.audio.last.weight.fill_(float("nan"))
    with pytest.raises(RunError, match="not a number"):
        trainer.run()


def test_a_damaged_checkpoint_is_said(finished: Path, tmp_path: Path):
    (tmp_path / "config.toml").write_text((finished / "config.toml").read_text())
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(RunError, match="damaged"):
        RunFolder(tmp_path).load()


def test_concordance_punishes_moving_too_little_where_correlation_does_not():
    real = torch.randn(2, 50, generator=torch.Generator().manual_seed(0))
    assert concordance_loss(real, real).item() == pytest.approx(0, abs=0.02)
    assert concordance_loss(real, 0.3 * real).item() > 0.3
    assert concordance_loss(real, real + 2).item() > 0.5


def test_the_code_loss_reads_the_first_elements_of_the_context_alone():
    context, codes = torch.zeros(1, 10, 32), torch.randn(1, 10, 4)
    context[..., :4] = 0.25 * codes
    context[..., 4:] = 0.9
    assert code_loss(context, codes, torch.ones(4)).item() == pytest.approx(0, abs=0.02)


def test_a_run_that_was_killed_before_its_first_step_still_knows_where_it_started(
    finished: Path, prepared: Path, tmp_path: Path
):
    config = replace(tiny(), train=replace(tiny().train, sample_every=1000))
    RunFolder(tmp_path / "r").create(config, prepared)
    Trainer(RunFolder(tmp_path / "r"), finished, say=quiet).save()
    resumed = Trainer(RunFolder(tmp_path / "r"), say=quiet)
    _, weights, _, history = read_generator(finished)
    torch.testing.assert_close(resumed.state.generator.state_dict(), weights)
    assert len(resumed.state.history) == len(history)


def test_a_rate_that_figure_10_cannot_divide_is_refused():
    with pytest.raises(RunError, match="multiple of 1000"):
        overridden("default", ["--generator.context.rate-hz", "22050"])


def test_discriminators_hear_the_generators_sound():
    config = overridden("default", ["--generator.context.rate-hz", "24000", "--generator.context.features", "64"])
    assert isinstance(config, Config)
    (sequence,) = [a for a in adversaries(config, torch.device("cpu")) if a.name == "sequence"]
    windows = torch.zeros(1, 2, config.generator.context.window)
    assert sequence.network(torch.zeros(2, 3, 128, 96), windows[0], Lengths([2])).shape == (1,)


@pytest.mark.parametrize("section", ["sequence", "sync"])
def test_a_sound_of_a_discriminators_own_cannot_be_set(section: str):
    with pytest.raises(RunError, match="not a setting"):
        overridden("synchronised", [f"--{section}.context.bands", "7"])


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(RunError, match="no device"):
        chosen_device("abacus")


def test_calibration_widens_a_mouth_and_eyes_that_move_too_little(
    finished: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
):
    config, weights, code, _ = read_generator(finished)
    generator = Generator(config.generator).eval().requires_grad_(False)
    generator.load_state_dict(weights)
    clips = Clips(prepared, "train", config.generator.context)
    before = generator.decoder.first.weight.clone()
    curve = np.sin(np.arange(30) / 3).astype(np.float32)
    for measure, scale in (("mouth_opening", 0.8), ("eye_aspect_ratio", 0.7)):
        curves = itertools.cycle([scale * curve, curve])  # made, real
        monkeypatch.setattr(f"stillspeak.training.calibration.{measure}", lambda _, curves=curves: next(curves))
    blinks = np.ones((30, 2), np.float32)
    monkeypatch.setattr("stillspeak.training.calibration.expression", lambda _: blinks)
    monkeypatch.setattr("stillspeak.training.calibration.render", lambda *_: clips.frames(0))
    factors = calibrate(generator, clips, code, expressions=True)
    assert factors == pytest.approx((1.25, 1 / 0.7), rel=1e-3)
    wider = torch.ones(len(before))
    wider[: len(code.basis)], wider[config.generator.context.size] = factors
    torch.testing.assert_close(generator.decoder.first.weight, wider[:, None, None, None] * before)


@pytest.mark.parametrize(
    ("stage", "learns"),
    [
        ("picture", {"identity", "noise", "decoder", "last"}),
        ("sound", {"context"}),
    ],
)
def test_what_is_kept_is_not_changed_by_the_adversaries(stage: str, learns: set[str], prepared: Path, tmp_path: Path):
    settings = [
        "--warm.sound-steps",
        "0",
        "--warm.picture-steps",
        "0",
        "--train.steps",
        "2",
        "--adversarial.learns",
        stage,
    ]
    config = overridden("tiny", [*settings, "--loss.code", "0", "--warm.expression", "False"])
    RunFolder(tmp_path / "r").create(config, prepared)
    trainer = Trainer(RunFolder(tmp_path / "r"), say=quiet)
    before = {name: value.clone() for name, value in trainer.state.generator.state_dict().items()}
    trainer.run()
    after = trainer.state.generator.state_dict()
    changed = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == learns


def test_the_papers_painting_decoder_trains_and_exports_in_every_phase(prepared: Path, tmp_path: Path):
    config = tiny()
    config = replace(config, generator=replace(config.generator, decoder="painting"))
    config = replace(config, train=replace(config.train, sample_every=1000))
    train(config, prepared, tmp_path / "r", say=quiet)
    assert {row["phase"] for row in metrics(tmp_path / "r")} >= {"sound", "picture", "adversarial"}
    export(tmp_path / "r", tmp_path / "model")
    assert read_generator(tmp_path / "model").config.generator.decoder == "painting"


def test_the_exported_warp_is_the_trained_one():
    torch.manual_seed(0)
    trained = WarpingDecoder(32)
    with torch.no_grad():
        trained.last.weight.mul_(30)  # motion to the furthest and beyond the edges
    features, still = torch.randn(3, 32, 64, 48), torch.rand(1, 3, 128, 96) * 2 - 1
    layers = trained.layers(features)
    assert layers.motion.abs().max() > 10
    torch.testing.assert_close(
        ExportedWarpingDecoder(trained)(features, still), trained(features, still), atol=1e-4, rtol=0
    )


def test_a_share_of_the_sounds_is_heard_as_recorded(prepared: Path):
    clips = Clips(prepared, "train", tiny().generator.context)
    config = replace(tiny().data, as_recorded=1.0, mirror=False)
    drawer = Drawer(clips, config, fit_mouth_code(clips.points, 4))
    windows, codes = drawer.sounds(4, 20, np.random.default_rng(0))
    known = [clips.windows(index) for index in range(len(clips))]
    for heard, code in zip(windows, codes, strict=True):
        matches = [
            (index, start)
            for index, whole in enumerate(known)
            for start in range(len(whole) - 20)
            if np.array_equal(whole[start + 5 : start + 15], heard[5:15])
        ]
        assert any(np.allclose(drawer.codes[i][start : start + 20], code, atol=1e-5) for i, start in matches)
