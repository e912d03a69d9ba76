"""Figures 4 to 8: the moments are found, every file is written and says what it is, what is missing is said."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from stillspeak.cli import main
from stillspeak.data.manifest import read_manifest
from stillspeak.experiments.figures import make_figures
from stillspeak.experiments.moments import Clip, Moment, further
from stillspeak.media.inspection import inspect


def test_all_figures_are_made_and_say_that_they_are_synthetic(
    prepared: Path, tiny_model: Path, photo: Path, tmp_path: Path
):
    tiny = str(tiny_model)
    command = ["figures", tiny, "--data", str(prepared), "-o", str(tmp_path / "f"), "--split", "validation"]
    assert main([*command, "--clips", "1", "--l1", tiny, "--static", tiny, "--faces", str(photo)]) == 0
    said = (tmp_path / "f" / "captions.md").read_text()
    for number in (4, 6, 7, 8):
        assert f"**Figure {number}.**" in said
        assert inspect(tmp_path / "f" / f"figure{number}.png")["synthetic"] is True
        assert (tmp_path / "f" / f"figure{number}.pdf").read_bytes().startswith(b"%PDF")
        assert np.asarray(cv2.imread(str(tmp_path / "f" / f"figure{number}.png"))).std() > 30


def test_what_is_missing_is_said(prepared: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = make_figures(prepared, tmp_path / "f", model=tiny_model, split="validation", clips=1)
    assert "--l1" in said["figure4"]
    assert "--static" in said["figure8"]
    assert not (tmp_path / "f" / "figure4.png").exists()
    assert main(["figures", "--data", str(tmp_path), "-o", str(tmp_path / "g")]) == 2
    assert main(["figures", "--data", str(prepared), "-o", str(tmp_path / "g"), "--clips", "0"]) == 2
    assert "--clips must be at least 1" in capsys.readouterr().err


def test_a_mouth_that_opens_in_silence_is_found(prepared: Path):
    record = read_manifest(prepared, "validation")[0]
    clip = Clip(prepared, record)
    made = {"static": clip.real, "ours": clip.real}
    curve = np.where(np.arange(len(clip.real)) == 7, 3.0, 0.0)
    found = further(None, curve, made, clip)
    assert found is not None
    assert (found.by, found.where) == (3.0, f"{clip.name}, 0.28 s")
    assert np.array_equal(found.rows[0][1][2], clip.real[7])
    higher = Moment(4.0, [], "")
    assert further(higher, curve, made, clip) is higher
    assert further(None, np.full(len(clip.real), -np.inf), made, clip) is None
