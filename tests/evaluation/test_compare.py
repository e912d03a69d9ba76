"""Two evaluations held against each other."""

from pathlib import Path

import pytest

from stillspeak.cli import main
from stillspeak.errors import DataError
from stillspeak.evaluation.compare import compare
from stillspeak.evaluation.report import write


def evaluation(folder: Path, figures: dict[str, dict[str, float]]) -> Path:
    """What ``evaluate`` would leave of some clips' models; every real video's ACD is 0.2 or 0.1, in turn."""
    folder.mkdir()
    clips = {
        clip: {"ground_truth": {"acd": (0.2, 0.1)[number % 2], "wer": 0.5}, "model": row}
        for number, (clip, row) in enumerate(figures.items())
    }
    write(folder, clips, {})
    return folder


def lines(said: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if "|" in line]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Twenty clips far from each other, every one a little better later, and its words as before on the whole."""
    before = {
        f"s1/c{i}": {"psnr": 20.0 + i, "wer": 0.2, "acd": 0.1, "acd_ratio": 0.5 + 0.5 * (i % 2)} for i in range(20)
    }
    after = {
        clip: {"psnr": row["psnr"] + 0.1 + 0.01 * (i % 3), "wer": 0.1 + 0.2 * (i % 2), "acd": 0.2, "acd_ratio": 1.0}
        for i, (clip, row) in enumerate(before.items())
    }
    return evaluation(tmp_path / "before", before), evaluation(tmp_path / "after", after | {"s1/new": {"psnr": 99.0}})


def test_a_small_change_of_every_clip_is_told_from_chance(pair: tuple[Path, Path]) -> None:
    said = compare(*pair)
    assert said.startswith("20 clips")  # the new one has nothing to be held against
    psnr, wer = lines(said)["PSNR (dB)"], lines(said)["WER"]
    assert psnr[2:4] == ["29.5000", "29.6095"]
    assert psnr[4].startswith("**+0.1095 (+0.10")
    assert wer[1] == "0.5000"  # real
    assert wer[4].startswith("+0.0000 (-0.0")  # not bold: 0 is in it


def test_the_ratio_is_that_of_the_means(pair: tuple[Path, Path]) -> None:
    ratio = lines(compare(*pair))["ACD over the real videos'"]
    assert ratio[2:4] == ["0.6667", "1.3333"]
    assert ratio[4].startswith("**+0.6667")


def test_clips_without_a_figure_are_counted(tmp_path: Path) -> None:
    figures = {f"s1/c{i}": {"psnr": 30.0} | ({"wer": 0.5} if i < 2 else {}) for i in range(3)}
    one = evaluation(tmp_path / "one", figures)
    assert lines(compare(one, one))["WER"][4].endswith("n 2)")


def test_of_one_clip_there_is_no_interval(tmp_path: Path) -> None:
    one = evaluation(tmp_path / "one", {"s1/c": {"psnr": 30.0}})
    assert lines(compare(one, one))["PSNR (dB)"][4] == "+0.0000"


def test_what_cannot_be_compared_is_said(
    pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = evaluation(tmp_path / "other", {"s2/x": {"psnr": 30.0}})
    with pytest.raises(DataError, match="no clip with the row model in common"):
        compare(pair[0], other)
    with pytest.raises(DataError, match="no clip with the row static in common"):
        compare(*pair, row="static")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "results.parquet").write_bytes(b"no table")
    for folder in (tmp_path, tmp_path / "damaged"):
        assert main(["compare", str(pair[0]), str(folder)]) == 2
        assert "results.parquet cannot be read" in capsys.readouterr().err
    assert main(["compare", *map(str, pair)]) == 0
    assert "| PSNR (dB) |" in capsys.readouterr().out
