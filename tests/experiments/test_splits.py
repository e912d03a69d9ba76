"""Everything that judges takes the best split that a folder has, and says which."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stillspeak.data.manifest import ClipRecord, write_manifest
from stillspeak.errors import StillspeakError, StillspeakWarning
from stillspeak.evaluation.evaluate import evaluate
from stillspeak.experiments.ablation import ablate
from stillspeak.experiments.figures import make_figures
from stillspeak.study.build import build_study

JUDGES: dict[str, Callable[[Path, Path, Path], object]] = {
    "evaluate": lambda data, out, model: evaluate(model, data, out, workers=0),
    "ablate": lambda data, out, model: ablate(data, out, workers=0),
    "figures": lambda data, out, model: make_figures(data, out, model=model),
    "study": lambda data, out, model: build_study("turing", data, out, {"ours": model}),
}


@pytest.mark.parametrize("name", JUDGES)
def test_without_a_test_split_validation_is_taken_and_said(name: str, tmp_path: Path, tiny_model: Path):
    """The folder has a list and no files, so that each of them stops, for another reason, right after it chose."""
    write_manifest(tmp_path, [ClipRecord("a", "folder", who, split, f"{who}/a.mp4") for who, split in
                              (("ann", "train"), ("ben", "validation"))])  # fmt: skip
    with pytest.warns(StillspeakWarning, match="no clips of split test; validation is taken"):  # noqa: SIM117
        with pytest.raises(StillspeakError) as error:
            JUDGES[name](tmp_path, tmp_path / "out", tiny_model)
    assert "split test" not in str(error.value)
