"""Splits: the best that is there is taken, and what is there is named."""

import warnings
from pathlib import Path

import pytest

from stillspeak.data.manifest import ClipRecord, choose_split, read_manifest, write_manifest
from stillspeak.errors import DataError, StillspeakWarning


def folder_of(path: Path, **clips: str) -> Path:
    """A prepared folder's list: the split of each speaker's one clip."""
    write_manifest(
        path, [ClipRecord("a", "folder", speaker, split, f"{speaker}/a.mp4") for speaker, split in clips.items()]
    )
    return path


@pytest.mark.parametrize(
    ("clips", "best"),
    [
        ({"ann": "train", "ben": "validation", "cat": "test"}, "test"),
        ({"ann": "train", "ben": "validation", "cat": "heldout"}, "validation"),
        ({"ann": "train", "ben": "heldout"}, "heldout"),
        ({"ann": "train"}, "train"),
    ],
)
def test_the_best_split_that_is_there_is_taken_and_said(tmp_path: Path, clips: dict[str, str], best: str):
    folder = folder_of(tmp_path, **clips)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert choose_split(folder) == best
    assert [one.category for one in said] == [StillspeakWarning] * (best != "test")
    assert all(best in str(one.message) and "--split" in str(one.message) for one in said)


def test_the_split_is_chosen_among_the_clips_of_the_speakers_asked_for(tmp_path: Path):
    folder = folder_of(tmp_path, ann="train", ben="validation", cat="test")
    with pytest.warns(StillspeakWarning, match="validation is taken"):
        assert choose_split(folder, None, ["ann", "ben"]) == "validation"
    assert choose_split(folder, "heldout", ["ann"]) == "heldout"  # as asked; who reads it says that there is none


def test_a_split_that_is_not_there_names_those_that_are(tmp_path: Path):
    folder = folder_of(tmp_path, ann="train", ben="train", cat="validation")
    with pytest.raises(DataError, match=r"no clips of split test; .*train \(2\), validation \(1\).* ann, ben, cat"):
        read_manifest(folder, "test")
    with pytest.raises(DataError, match=r"speakers zoe; it holds .* ann, ben, cat"):
        read_manifest(folder, None, ["zoe"])
