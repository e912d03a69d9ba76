"""The timing paragraph: every row there, the paper's beside them."""

import pytest

from stillspeak.cli import main
from stillspeak.experiments import timing


def test_a_frame_and_75_are_timed_beside_the_papers_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(timing, "_LEAST_SECONDS", 0.01)
    assert main(["bench", "--preset", "tiny"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == [
        "tiny, PyTorch", "default, ONNX Runtime", "the paper's own", "the paper's own"
    ]  # fmt: skip
    assert "| 7.0 | 0.500 | 150 |" in rows[-2]
    assert all(float(row.split("|")[3]) > 0 for row in rows[2:])
    assert main(["bench", "--preset", "nonsense"]) == 2
