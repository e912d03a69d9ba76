"""Many videos: what is there is not made again, a bad row stops nobody, a killed process is survived."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import killed_by_a
from stillspeak import batch
from stillspeak.batch import read_rows, run_batch
from stillspeak.cli import main
from stillspeak.errors import OutputError
from stillspeak.media.video import read_video


@pytest.fixture
def jobs(tmp_path: Path, photo: Path, speech: Path) -> Path:
    """A list of four, the second of which cannot be made."""
    assert photo.parent == speech.parent == tmp_path
    (tmp_path / "jobs.csv").write_text(
        "photo,speech,output,fps,crop,label\n"
        "face.png,speech.wav,a.mp4,,yes,\n"
        "gone.png,speech.wav,b.mp4,,,\n"
        "face.png,speech.wav,c.mp4,50,yes,yes\n"
        "face.png,speech.wav,ü d.mp4,,,\n"
    )
    return tmp_path / "jobs.csv"


def test_a_bad_row_is_named_and_the_others_are_made(jobs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["animate", "--batch", str(jobs), "--model", str(tiny_model), "--workers", "2"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "1 of 4 videos were not made" in said
    assert "line 3: There is no file" in said
    assert read_video(jobs.parent / "a.mp4").shape == (25, 128, 96, 3)
    assert read_video(jobs.parent / "c.mp4", 50).shape == (50, 128, 96, 3)
    assert read_video(jobs.parent / "ü d.mp4").shape == (25, 512, 512, 3)
    assert not (jobs.parent / "b.mp4").exists()


def test_a_second_run_makes_only_what_is_missing_or_has_changed(jobs: Path, tiny_model: Path):
    with pytest.raises(OutputError, match="1 of 4"):
        run_batch(jobs, str(tiny_model), 1)
    before = {name: (jobs.parent / name).stat().st_mtime_ns for name in ("a.mp4", "c.mp4", "ü d.mp4")}
    shutil.copy(jobs.parent / "face.png", jobs.parent / "gone.png")
    jobs.write_text(jobs.read_text().replace("c.mp4,50", "c.mp4,30").replace("b.mp4,,,", "b.mp4,,yes,"))
    (jobs.parent / "a.mp4").unlink()
    assert len(run_batch(jobs, str(tiny_model), 1)) == 4
    after = {name: (jobs.parent / name).stat().st_mtime_ns for name in before}
    assert [name for name in before if before[name] != after[name]] == ["a.mp4", "c.mp4"]
    assert (jobs.parent / "b.mp4").exists()


def test_a_mouth_that_is_to_open_further_makes_its_video_again_and_one_that_cannot_is_one_rows_fault(
    jobs: Path, tiny_model: Path
):
    text = "photo,speech,output,crop,mouth\nface.png,speech.wav,a.mp4,yes,{}\nface.png,speech.wav,b.mp4,yes,{}\n"
    jobs.write_text(text.format("", 1.2))
    run_batch(jobs, str(tiny_model), 1)
    before = [(jobs.parent / name).stat().st_mtime_ns for name in ("a.mp4", "b.mp4")]
    jobs.write_text(text.format(5, 1.4))
    with pytest.raises(OutputError, match=r"1 of 2 .* line 2: How far the mouth opens must be a number from 0 to 2"):
        run_batch(jobs, str(tiny_model), 1)
    after = [(jobs.parent / name).stat().st_mtime_ns for name in ("a.mp4", "b.mp4")]
    assert [one != other for one, other in zip(before, after, strict=True)] == [False, True]


def test_a_row_that_ends_its_process_is_the_only_one_lost(
    jobs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    jobs.write_text("\n".join(line for line in jobs.read_text().splitlines() if "gone" not in line))
    monkeypatch.setattr(batch, "_make", killed_by_a)
    with pytest.raises(OutputError, match=r"1 of 3 .* line 2: the process was ended"):
        run_batch(jobs, str(tiny_model), 2)


def test_png_files_are_done_once_and_another_model_makes_them_again(jobs: Path, tiny_model: Path, tmp_path: Path):
    jobs.write_text("photo,speech,output,crop\nface.png,speech.wav,f_%03d.png,yes\n")
    run_batch(jobs, str(tiny_model), 1)
    first = jobs.parent / "f_000.png"
    before = first.stat().st_mtime_ns
    run_batch(jobs, str(tiny_model), 1)
    assert first.stat().st_mtime_ns == before
    other = shutil.copytree(tiny_model, tmp_path / "other")
    with (other / "step.onnx").open("ab") as file:  # other weights under the same name
        file.write(b"\x32\0")
    run_batch(jobs, str(other), 1)
    assert first.stat().st_mtime_ns > before


def test_a_fault_of_ours_is_one_rows_fault(jobs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(batch, "run_job", lambda *_, **__: 1 / 0)
    row = read_rows(jobs)[0]
    batch._make(row, str(tiny_model), 1)
    assert "an error in stillspeak itself: ZeroDivisionError" in row.said()["error"]


def test_no_workers_are_said(tmp_path: Path, tiny_model: Path):
    with pytest.raises(OutputError, match="--workers"):
        run_batch(tmp_path / "jobs.csv", str(tiny_model), 0)


def test_what_is_said_of_a_row_is_kept_with_it(jobs: Path, tiny_model: Path, astronaut: np.ndarray, tmp_path: Path):
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    Image.fromarray(two).save(tmp_path / "two.png")
    jobs.write_text("photo,speech,output\ntwo.png,speech.wav,two.mp4\n")
    (row,) = run_batch(jobs, str(tiny_model), workers=1)
    assert "2 faces; face 1 speaks (--face chooses another)." in row.said()["notes"]
