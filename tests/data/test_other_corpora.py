"""TCD-TIMIT, CREMA-D, LRW and any folder, as they are published: names, splits, words."""

from pathlib import Path

import pytest

from stillspeak.data.corpora import (
    TCD_TIMIT_TEST,
    TCD_TIMIT_TRAINING,
    TCD_TIMIT_VALIDATION,
    SourceClip,
    source_clips,
    tcd_timit_split,
)
from stillspeak.errors import DataError


def tree(source: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return source


def named(clips: list[SourceClip]) -> dict[str, SourceClip]:
    return {f"{clip.speaker}/{clip.clip}": clip for clip in clips}


def test_tcd_timits_table_4_has_42_training_7_validation_and_10_test_speakers_and_none_twice():
    sizes = [len(numbers) for numbers in (TCD_TIMIT_TRAINING, TCD_TIMIT_VALIDATION, TCD_TIMIT_TEST)]
    assert sizes == [42, 7, 10]
    assert len(TCD_TIMIT_TRAINING | TCD_TIMIT_VALIDATION | TCD_TIMIT_TEST) == 59
    assert [tcd_timit_split(name) for name in ("01M", "34M", "08F", "Lipspkr2", "99F", "unnamed")] == [
        "train", "validation", "test", "lipspeakers", "validation", "validation"
    ]  # fmt: skip


def test_tcd_timit_is_read_from_the_straight_camera_with_its_sentences(tmp_path: Path):
    tree(
        tmp_path,
        {
            "volunteers/01M/Clips/straightcam/sa1.mp4": "",
            "volunteers/01M/Clips/straightcam/sa1.txt": "0 46797 She had your dark suit in greasy wash water.",
            "volunteers/01M/Clips/30degcam/sa1.mp4": "",
            "volunteers/08F/Clips/straightcam/si459.mp4": "",
            "lipspeakers/Lipspkr1/Clips/straightcam/sa1.mp4": "",
        },
    )
    clips = named(source_clips("tcd-timit", tmp_path))
    assert {name: clip.split for name, clip in clips.items()} == {
        "01M/sa1": "train", "08F/si459": "test", "Lipspkr1/sa1": "lipspeakers"
    }  # fmt: skip
    assert clips["01M/sa1"].spoken == "She had your dark suit in greasy wash water."


def test_crema_d_knows_sentence_emotion_and_level_and_splits_by_actor(tmp_path: Path):
    names = ["1001_DFA_ANG_XX", "1008_IEO_HAP_HI", "1019_WSI_SAD_LO", "notes"]
    tree(tmp_path, {f"VideoFlash/{name}.flv": "" for name in names})
    clips = named(source_clips("crema-d", tmp_path))
    assert [clip.split for clip in clips.values()] == ["train", "validation", "test"]
    first = clips["1001/1001_DFA_ANG_XX"]
    assert (first.spoken, first.emotion, first.level) == ("don't forget a jacket", "anger", "unspecified")
    assert clips["1008/1008_IEO_HAP_HI"].level == "high"


def test_lrw_keeps_its_splits_and_puts_the_word_in_the_middle(tmp_path: Path):
    files = {f"ABOUT/{split}/ABOUT_0000{n}.mp4": "" for n, split in enumerate(("train", "val", "test"))}
    tree(tmp_path, {**files, "ABOUT/train/ABOUT_00000.txt": "Disk reference: 1\nDuration: 0.20 seconds\n"})
    clips = source_clips("lrw", tmp_path)
    assert sorted(clip.split for clip in clips) == ["test", "train", "validation"]
    (word,) = named(clips)["ABOUT/ABOUT_00000"].words
    assert (word.word, word.start, word.end) == ("about", pytest.approx(0.48), pytest.approx(0.68))


def test_a_folder_takes_sub_folders_as_speakers_and_texts_as_transcripts(tmp_path: Path):
    tree(tmp_path, {"ann/a.mp4": "", "ann/day 2/a.MOV": "", "ann/a.txt": "hello\nthere", "bob/a.webm": "", "c.mkv": ""})
    clips = named(source_clips("folder", tmp_path))
    assert set(clips) == {"ann/a", "ann/day 2_a", "bob/a", "unnamed/c"}
    assert clips["ann/a"].spoken == "hello there"
    assert {clip.split for clip in clips.values()} == {"train"}


def test_a_folder_of_many_speakers_keeps_each_in_one_split(tmp_path: Path):
    tree(tmp_path, {f"speaker{n}/{clip}.mp4": "" for n in range(60) for clip in "ab"})
    splits: dict[str, set[str]] = {}
    for clip in source_clips("folder", tmp_path):
        splits.setdefault(clip.speaker, set()).add(clip.split)
    assert all(len(of) == 1 for of in splits.values())
    assert set.union(*splits.values()) == {"train", "validation", "test"}


@pytest.mark.parametrize("corpus", ["grid", "tcd-timit", "crema-d", "lrw", "folder"])
def test_an_empty_folder_says_what_was_expected(tmp_path: Path, corpus: str):
    (tmp_path / "s1").mkdir()
    with pytest.raises(DataError, match=f"no {corpus} videos; files such as"):
        source_clips(corpus, tmp_path)


def test_two_files_that_would_be_one_clip_are_named(tmp_path: Path):
    tree(tmp_path, {"ann/a.mp4": "", "ann/a.mov": ""})
    with pytest.raises(DataError, match=r"a\.mov and .*a\.mp4"):
        source_clips("folder", tmp_path)
