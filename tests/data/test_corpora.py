"""GRID as published, split as in the paper's Table 4."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillspeak.data.corpora import GRID_TEST, GRID_TRAINING, GRID_VALIDATION, grid, grid_sentence, grid_split
from stillspeak.data.manifest import ClipRecord, read_manifest
from stillspeak.errors import DataError


def test_table_4_has_15_training_7_validation_and_10_test_speakers_and_none_twice():
    assert (len(GRID_TRAINING), len(GRID_VALIDATION), len(GRID_TEST)) == (15, 7, 10)
    assert not GRID_TRAINING & GRID_VALIDATION
    assert not GRID_TRAINING & GRID_TEST
    assert not GRID_VALIDATION & GRID_TEST
    assert frozenset({2, 4, 11, 13, 15, 18, 19, 25, 31, 33}) == GRID_TEST


def test_an_unknown_speaker_is_never_trained_on():
    for speaker in ("sU1", "s99", "somebody", "s"):
        assert grid_split(speaker, "bbaf2n", 1000) == "validation"


def test_a_large_training_speaker_keeps_about_one_in_twenty_sentences_back_always_the_same():
    names = [f"clip{i}" for i in range(1000)]
    splits = [grid_split("s1", name, 1000) for name in names]
    assert 30 <= splits.count("heldout") <= 70
    assert splits == [grid_split("s1", name, 1000) for name in names]
    assert {grid_split("s3", name, 16) for name in names} == {"train"}


def test_clips_come_with_speaker_split_and_word_times(raw_grid: Path):
    clips = {(clip.speaker, clip.clip): clip for clip in grid(raw_grid)}
    assert clips["s1", "clip0"].words[1].word == "bin"
    assert clips["s1", "clip0"].words[1].start == pytest.approx(0.4)
    splits = {speaker: clip.split for (speaker, _), clip in clips.items()}
    assert splits == {"s1": "train", "s3": "train", "s20": "validation", "s2": "test", "sU1": "validation"}


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        ("bgbb2p", "bin green by b two please"),
        ("swizzs", "set white in z zero soon"),
        ("lraa9a", "lay red at a nine again"),
        ("pbwk1n", "place blue with k one now"),
        ("bgbw2p", ""),
        ("bgbb2", ""),
        ("bgbb2pp", ""),
        ("clip0", ""),
    ],
)
def test_a_clip_without_word_times_says_what_its_name_stands_for(tmp_path: Path, clip: str, words: str):
    assert " ".join(grid_sentence(clip)) == words
    (tmp_path / "s20").mkdir()
    (tmp_path / "s20" / f"{clip}.mpg").touch()
    found = next(iter(grid(tmp_path)))
    record = ClipRecord(found.clip, "grid", found.speaker, found.split, spoken=found.spoken)
    assert not found.words
    assert record.text == words
    assert "zed" not in record.text.split()


@pytest.mark.parametrize("content", [b"", b"no table", None])
def test_a_damaged_manifest_is_said_in_one_sentence(tmp_path: Path, content: bytes | None):
    if content is None:
        pq.write_table(pa.table({"other": [1]}), tmp_path / "manifest.parquet")
    else:
        (tmp_path / "manifest.parquet").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        read_manifest(tmp_path)
