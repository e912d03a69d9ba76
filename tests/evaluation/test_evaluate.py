"""The judge from the command line: the contract of its files, resuming, any two videos, and what it says of bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from helpers import tone, write_video
from stillspeak.cli import main
from stillspeak.errors import DataError
from stillspeak.evaluation import evaluate as module
from stillspeak.evaluation.measure import METRICS
from stillspeak.evaluation.report import interval, markdown, summary

ROWS = ["ground_truth", "model", "still", "shuffled_audio"]


@pytest.fixture(scope="module")
def judged(prepared: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("judged")
    arguments = ["evaluate", str(tiny_model), "--data", str(prepared), "--split", "validation", "--workers", "1"]
    assert main([*arguments, "-o", str(out)]) == 0
    return out


def test_the_json_keeps_its_contract(judged: Path):
    results = json.loads((judged / "results.json").read_text())
    assert list(results["rows"]) == ROWS
    for figures in results["rows"].values():
        for metric, cell in figures.items():
            assert metric in METRICS
            assert cell["ci95"][0] <= cell["mean"] <= cell["ci95"][1] or cell["n"] == 1
            assert 1 <= cell["n"] <= 2
    truth, still = results["rows"]["ground_truth"], results["rows"]["still"]
    assert truth["ssim"]["mean"] == pytest.approx(1)
    assert "psnr" not in truth  # infinite
    assert truth["opening_correlation"]["mean"] == pytest.approx(1, abs=1e-4)
    assert truth["acd_ratio"]["mean"] == pytest.approx(1)
    assert still["acd"]["mean"] == pytest.approx(0)
    assert still["silence_motion_px"]["mean"] == 0 if "silence_motion_px" in still else True
    assert "sync scorer on real clips" in results["judges"]


def test_the_table_has_a_row_for_each_clip_and_row(judged: Path):
    table = pq.read_table(judged / "results.parquet").to_pylist()
    assert {(row["clip"], row["row"]) for row in table} == {
        (clip, row) for clip in ("s20/clip0", "sU1/clip0") for row in ROWS
    }
    assert all(row["ssim"] is not None for row in table)
    assert [row["wer"] is not None for row in table if row["clip"] == "sU1/clip0"] == [False] * 4


def test_the_markdown_has_the_papers_figures_and_the_judges_own(judged: Path):
    text = (judged / "results.md").read_text()
    for words in ("27.98", "0.281", "lip reader on real clips", "cannot", "| CPBD |"):
        assert words in text


def test_a_second_run_judges_nothing_again(
    judged: Path, prepared: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    before = (judged / "results.json").read_text()
    monkeypatch.setattr(module, "ProcessPoolExecutor", None)
    module.evaluate(tiny_model, prepared, judged, split="validation")
    assert (judged / "results.json").read_text() == before.replace('"model": "', '"model": "', 1)


def test_figures_over_seeds_of_noise_are_their_mean_and_spread(prepared: Path, tiny_model: Path, tmp_path: Path):
    results = module.evaluate(tiny_model, prepared, tmp_path, split="validation", workers=1, noise_seeds=3)
    assert list(results["rows"]) == ["ground_truth", "model", "no_noise", "still", "shuffled_audio"]
    table = pq.read_table(tmp_path / "results.parquet").to_pylist()
    for clip in ("s20/clip0", "sU1/clip0"):
        seeds = [row["psnr"] for row in table if row["clip"] == clip and row["row"].startswith("seed ")]
        (mean,) = (row["psnr"] for row in table if row["clip"] == clip and row["row"] == "model")
        assert len(set(seeds)) == 3
        assert mean == pytest.approx(np.mean(seeds))
    cell = results["rows"]["model"]["psnr"]
    assert cell["seeds_sd"] > 0
    assert "s.d. over seeds" in (tmp_path / "results.md").read_text()


def test_the_spread_over_seeds_is_that_of_the_means_over_clips():
    clips = {
        "a": {"ground_truth": {}, "model": {"ssim": 0.4}, "seed 5": {"ssim": 0.3}, "seed 6": {"ssim": 0.5}},
        "b": {"ground_truth": {}, "model": {"ssim": 0.8}, "seed 9": {"ssim": 0.7}, "seed 10": {"ssim": 0.9}},
    }
    cell = summary(clips)["model"]["ssim"]
    assert cell["mean"] == pytest.approx(0.6)
    assert cell["seeds_sd"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert list(summary(clips)) == ["ground_truth", "model"]


def test_a_damaged_result_or_another_seed_is_judged_again(judged: Path, prepared: Path, tiny_model: Path):
    jobs = module.list_jobs(module.read_manifest(prepared, "validation"), None, 0)
    done = module.Done(judged, module._fingerprint(tiny_model, module.read_manifest(prepared)), prepared)
    assert all(done.figures(job) is not None for job in jobs)
    other = module.list_jobs(module.read_manifest(prepared, "validation"), None, 1)
    assert all(done.figures(job) is None for job in other)
    assert module.Done(judged, "another model", prepared).figures(jobs[0]) is None


def test_the_other_clip_says_something_else(prepared: Path):
    jobs = module.list_jobs(module.read_manifest(prepared), 3, 0)
    assert len(jobs) == 3
    assert all(job.other is not None and job.other.path != job.record.path for job in jobs)
    assert module.list_jobs(module.read_manifest(prepared, "test"), None, 0)[0].other is None


def test_a_clip_that_cannot_be_judged_is_left_out_and_named(prepared: Path, tiny_model: Path, tmp_path: Path):
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    (data / "clips" / "grid" / "s20" / "clip0.mp4").write_bytes(b"no video")
    out = tmp_path / "out"
    results = module.evaluate(tiny_model, data, out, split="validation", workers=1)
    assert results["clips"] == 1
    assert "clip0.mp4" in results["skipped"]["s20/clip0"]
    assert "s20/clip0" in (out / "results.md").read_text()
    before = (out / "clips" / "sU1" / "clip0.json").stat().st_mtime_ns
    shutil.copy(prepared / "clips" / "grid" / "s20" / "clip0.mp4", data / "clips" / "grid" / "s20" / "clip0.mp4")
    assert module.evaluate(tiny_model, data, out, split="validation", workers=1)["clips"] == 2
    assert (out / "clips" / "sU1" / "clip0.json").stat().st_mtime_ns >= before
    (data / "clips" / "grid" / "s20" / "clip0.mp4").unlink()
    (data / "clips" / "grid" / "sU1" / "clip0.flac").unlink()
    with pytest.raises(DataError, match="No clip could be judged"):
        module.evaluate(tiny_model, data, tmp_path / "new", split="validation", workers=1)


def test_a_ratio_is_that_of_the_means():
    clips = {
        "a": {"ground_truth": {"acd": 0.1, "acd_ratio": 1.0}, "model": {"acd": 0.1, "acd_ratio": 1.0}},
        "b": {"ground_truth": {"acd": 0.3, "acd_ratio": 1.0}, "model": {"acd": 0.6, "acd_ratio": 2.0}},
    }
    table = summary(clips)
    assert table["model"]["acd_ratio"]["mean"] == pytest.approx(0.7 / 0.4)
    assert table["ground_truth"]["acd_ratio"]["ci95"] == [1.0, 1.0]


def test_any_two_videos_can_be_judged(tmp_path: Path, astronaut: np.ndarray):
    face = astronaut[:320, 60:380]
    real = np.stack([np.roll(face, t // 4, 0) for t in range(20)])
    write_video(tmp_path / "real.mp4", real, tone(0.8, 48_000))
    write_video(tmp_path / "made.mp4", real[:15, ::2, ::2], None)  # another size, shorter, silent
    out = tmp_path / "out"
    assert main(["evaluate", "--video", str(tmp_path / "made.mp4"), str(tmp_path / "real.mp4"), "-o", str(out)]) == 0
    rows = json.loads((out / "results.json").read_text())["rows"]
    assert rows["video"]["psnr"]["mean"] > 20
    assert rows["ground_truth"]["av_confidence"]["n"] == 1


def test_what_cannot_be_judged_is_said_in_one_sentence(
    prepared: Path, tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    out = str(tmp_path / "out")
    write_video(tmp_path / "short.mp4", np.zeros((3, 64, 64, 3)), tone(0.2, 48_000))
    write_video(tmp_path / "blank.mp4", np.zeros((20, 64, 64, 3)), tone(0.8, 48_000))
    soundfile.write(tmp_path / "sound.wav", tone(1).samples, 16_000)
    (tmp_path / "file").write_text("")
    both = ["--video", str(tmp_path / "short.mp4"), str(tmp_path / "short.mp4")]
    cases = [
        (["evaluate", "-o", out], "needs a MODEL"),
        (["evaluate", "nosuch", "--data", str(prepared), "-o", out], "no model nosuch"),
        (["evaluate", str(tiny_model), "--data", str(tmp_path), "-o", out], "manifest.parquet"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "--split", "heldout", "-o", out], "no clips"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "--speakers", "s99", "-o", out], "no clips"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "--speakers", "s2, s99", "-o", out], "speaker s99"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "--workers", "0", "-o", out], "at least 1"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "--seed", "-1", "-o", out], "at least 0"),
        (["evaluate", str(tiny_model), "--data", str(prepared), "-o", str(tmp_path / "file" / "x")], "cannot be made"),
        (["evaluate", *both, "-o", out], "at least 10"),
        (["evaluate", "--video", str(tmp_path / "blank.mp4"), str(tmp_path / "blank.mp4"), "-o", out], "blank"),
        (["evaluate", "--video", str(tmp_path / "sound.wav"), str(tmp_path / "short.mp4"), "-o", out], "sound.wav"),
        (["evaluate", "--video", str(tmp_path / "no.mp4"), str(tmp_path / "no.mp4"), "-o", out], "no.mp4"),
    ]
    for arguments, words in cases:
        assert main(arguments) == 2, arguments
        said = capfd.readouterr().err.strip()
        assert words in said, (words, said)
        assert said.count("\n") == 0


def test_intervals_hold_the_mean_and_narrow_with_more_clips():
    rng = np.random.default_rng(0)
    few, many = rng.normal(5, 1, 10), rng.normal(5, 1, 1000)
    for values in (few, many):
        low, high = interval(values)
        assert low < values.mean() < high
    assert interval(many)[1] - interval(many)[0] == pytest.approx(2 * 1.96 / 1000**0.5, rel=0.1)
    assert interval(np.array([3.0])) == (3.0, 3.0)


def test_a_missing_figure_lowers_the_count_and_nothing_else():
    clips = {"a": {"model": {"ssim": 0.8, "wer": 0.5}}, "b": {"model": {"ssim": 0.9}}}
    table = summary(clips)
    assert table["model"]["ssim"]["mean"] == pytest.approx(0.85)
    assert table["model"]["wer"]["n"] == 1
    assert "n 1" in markdown({"rows": table})
