"""Shards: what goes in comes out, the same bytes every time, wherever it was stopped."""

import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from stillspeak.cli import main
from stillspeak.data import shards
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.manifest import read_manifest, write_manifest
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.data.sentences import FOLDER, Sentences, write_sentences
from stillspeak.data.shards import pack, unpack
from stillspeak.data.synthetic import draw_corpus
from stillspeak.errors import DataError
from stillspeak.media.video import read_video
from stillspeak.presets import tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six drawn clips of three people; one has another voice."""
    folder = tmp_path_factory.mktemp("drawn") / "prepared"
    draw_corpus(folder, 3, 2)
    flac = next(folder.rglob("*.flac"))
    shutil.copy(flac, flac.with_suffix(".voice1.flac"))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    """Clips and sounds of a prepared folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.suffix in (".mp4", ".flac")}


def test_what_is_packed_and_unpacked_is_the_same(prepared: Path, tmp_path: Path):
    pack(prepared, str(tmp_path / "shards"), shard_mb=0.1)
    assert len(list((tmp_path / "shards").glob("train-*.tar"))) > 1
    unpack(str(tmp_path / "shards"), tmp_path / "back")
    assert files(tmp_path / "back") == files(prepared)
    assert read_manifest(tmp_path / "back") == read_manifest(prepared)
    context = tiny().generator.context
    assert (Clips(tmp_path / "back", "train", context).windows(0) == Clips(prepared, "train", context).windows(0)).all()


def test_sentences_travel_with_their_sounds(prepared: Path, tmp_path: Path):
    folder, place = tmp_path / "prepared", tmp_path / "shards"
    shutil.copytree(prepared, folder)
    (folder / FOLDER).mkdir()
    for name in ("a.flac", "a.voice1.flac", "not-any-more.flac"):
        shutil.copy(next(prepared.rglob("*.flac")), folder / FOLDER / name)
    write_sentences(folder, ["a"], [np.ones((5, 58), np.float32)])
    pack(folder, str(place))
    unpack(str(place), tmp_path / "back")
    back = Sentences(tmp_path / "back")
    assert [path.name for path in back.paths] == ["a.flac"]
    assert len(back.sounds(0)) == 2
    np.testing.assert_array_equal(back.offsets[0], 1)
    assert not [*(tmp_path / "back").rglob("not-any-more*")]
    with pytest.raises(DataError, match="unpack"):
        Sentences(place)


def test_unpacking_leaves_what_the_folder_held(prepared: Path, tmp_path: Path):
    other, place = tmp_path / "other", str(tmp_path / "shards")
    draw_corpus(other, 1, 1, seed=5)
    for path in [*other.rglob("*.mp4"), *other.rglob("*.flac")]:
        path.rename(path.with_stem("another"))
    records = [replace(r, clip="another", path=str(Path(r.path).with_stem("another"))) for r in read_manifest(other)]
    write_manifest(other, records)
    pack(prepared, place)
    assert len(unpack(place, other)) == len(read_manifest(prepared)) + 1 == len(read_manifest(other))
    assert len(unpack(place, other, "train")) == len(read_manifest(other)) == len([*other.rglob("*.mp4")])
    pack(other, place)  # it has them all
    with pytest.raises(DataError, match="other clips"):
        pack(prepared, place)


def test_an_address_is_as_good_as_a_folder(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "pack", str(prepared), "memory://bucket/drawn"]) == 0
    assert main(["data", "unpack", "memory://bucket/drawn", str(tmp_path / "back")]) == 0
    assert capsys.readouterr().out.endswith("back: 6 clips\n")
    assert files(tmp_path / "back") == files(prepared)
    MemoryFileSystem().rm("/bucket", recursive=True)


def test_a_clip_of_a_shard_has_one_key_and_its_json_is_last(prepared: Path, tmp_path: Path):
    (name,) = [name for name in pack(prepared, str(tmp_path / "s")) if name.startswith("train")]
    with tarfile.open(tmp_path / "s" / name) as tar:
        names = tar.getnames()
    keys = [str(Path(name).parent / Path(name).name.split(".")[0]) for name in names]
    assert keys == sorted(keys)  # all of a clip side by side
    ends = [name.split(".", 1)[1] for name in names]
    assert {ends[i - 1] for i in range(len(ends)) if ends[i] == "mp4" and i} == {"json"}
    assert "voice1.flac" in ends


def test_packing_twice_gives_the_same_bytes_and_goes_on_where_it_stopped(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pack(prepared, str(tmp_path / "whole"), shard_mb=0.1)
    add, added = shards._add, []

    def stopping(*arguments: object) -> None:
        added.append(arguments)
        if len(added) == 9:
            raise KeyboardInterrupt
        add(*arguments)

    monkeypatch.setattr(shards, "_add", stopping)
    with pytest.raises(KeyboardInterrupt):
        pack(prepared, str(tmp_path / "stopped"), shard_mb=0.1)
    begun = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "stopped").glob("*.tar")}
    assert 0 < len(begun) < len(list((tmp_path / "whole").glob("*.tar")))
    pack(prepared, str(tmp_path / "stopped"), shard_mb=0.1)
    for path in (tmp_path / "whole").glob("*.tar"):
        assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()
        assert begun.get(path.name) in (None, (tmp_path / "stopped" / path.name).stat().st_mtime_ns)


def test_shards_of_another_size_take_the_place_of_the_ones_before(prepared: Path, tmp_path: Path):
    many = pack(prepared, str(tmp_path / "s"), shard_mb=0.001)
    (tmp_path / "s" / "mine.tar").touch()
    few = pack(prepared, str(tmp_path / "s"))
    assert len(few) < len(many)
    assert {path.name for path in (tmp_path / "s").glob("*.tar")} == {*few, "mine.tar"}
    assert {path.name for path in (tmp_path / "s").glob("*.sha256")} == {f"{name}.sha256" for name in few}


def test_a_clip_that_changed_is_packed_again(prepared: Path, tmp_path: Path):
    shutil.copytree(prepared, tmp_path / "prepared")
    pack(tmp_path / "prepared", str(tmp_path / "s"))
    video = tmp_path / "prepared" / read_manifest(prepared, "train")[0].path
    video.write_bytes(b"x" * video.stat().st_size)
    pack(tmp_path / "prepared", str(tmp_path / "s"))
    unpack(str(tmp_path / "s"), tmp_path / "back", "train")
    assert files(tmp_path / "back")[str(video.relative_to(tmp_path / "prepared"))] == video.read_bytes()
    assert {record.split for record in read_manifest(tmp_path / "back")} == {"train"}


def test_what_cannot_be_packed_or_unpacked_is_said(prepared: Path, tmp_path: Path):
    with pytest.raises(DataError, match="holds no manifest"):
        pack(tmp_path, str(tmp_path / "s"))
    with pytest.raises(DataError, match="above 0"):
        pack(prepared, str(tmp_path / "s"), 0)
    with pytest.raises(DataError, match="holds no manifest"):
        unpack(str(tmp_path / "nothing"), tmp_path / "back")
    with pytest.raises(DataError, match="cannot be reached"):
        pack(prepared, "nonsense://bucket")
    shutil.copytree(prepared, tmp_path / "prepared")
    next((tmp_path / "prepared").rglob("*.mp4")).unlink()
    with pytest.raises(DataError, match="is missing"):
        pack(tmp_path / "prepared", str(tmp_path / "s"))


def test_a_damaged_shard_is_said_and_one_that_points_elsewhere_writes_nothing_there(prepared: Path, tmp_path: Path):
    names = pack(prepared, str(tmp_path / "s"))
    with pytest.raises(DataError, match="holds shards"):
        read_manifest(tmp_path / "s")
    shard = tmp_path / "s" / names[0]
    shard.write_bytes(shard.read_bytes()[:1000])
    with pytest.raises(DataError, match="damaged"):
        unpack(str(tmp_path / "s"), tmp_path / "back")
    with tarfile.open(shard, "w") as tar:
        tar.add(prepared / "report.md", "../outside.md")
    with pytest.raises(DataError, match="no file of a prepared folder"):
        unpack(str(tmp_path / "s"), tmp_path / "back")
    assert not (tmp_path / "outside.md").exists()


@pytest.mark.parametrize("time", [8, 0])  # pieces; whole clips
def test_clips_are_drawn_from_shards_as_from_the_folder(prepared: Path, tmp_path: Path, time: int):
    pack(prepared, str(tmp_path / "s"), shard_mb=0.1)
    context, config = tiny().generator.context, tiny().data
    batches = []
    for folder in (prepared, tmp_path / "s"):
        clips = Clips(folder, "train", context)
        drawer = Drawer(clips, config, fit_mouth_code(clips.points, 4))
        batches.append(
            (drawer.batch(4, time, np.random.default_rng(1)), sum(len(clips.sounds(i)) for i in range(len(clips))))
        )
    (loose, voices), (packed, packed_voices) = batches
    assert voices == packed_voices == len(clips) + 1
    for one, other in zip(vars(loose).values(), vars(packed).values(), strict=True):
        assert np.array_equal(one, other)
    assert not (tmp_path / "s" / "cache").exists()


def test_clips_that_do_not_fit_into_memory_are_decoded_again(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pack(prepared, str(tmp_path / "s"))
    monkeypatch.setattr("stillspeak.data.clips._KEPT_BYTES", 1.0)
    decoded: list[Path] = []
    monkeypatch.setattr("stillspeak.data.clips.read_video", lambda path: decoded.append(path) or read_video(path))
    clips = Clips(tmp_path / "s", "train", tiny().generator.context)
    for index in (0, 0, 1, 0):
        clips.frames(index)
    assert len(decoded) == 3


def test_training_reads_shards_and_says_what_is_wrong_with_them(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    names = pack(prepared, str(tmp_path / "s"))
    (train,) = [tmp_path / "s" / name for name in names if name.startswith("train")]
    base = ["train", "tiny", "--data", str(tmp_path / "s"), "--warm.picture-steps", "1", "--train.steps", "1"]
    assert main([*base, "--run", str(tmp_path / "run")]) == 0
    whole = train.read_bytes()
    at = whole.index(b"ftyp")
    train.write_bytes(whole[:at] + bytes(4000) + whole[at + 4000 :])
    assert main([*base, "--run", str(tmp_path / "torn")]) == 2
    assert "is damaged" in capsys.readouterr().err
    train.write_bytes(whole[: len(whole) // 2])
    assert main([*base, "--run", str(tmp_path / "cut")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    with tarfile.open(train, "w"):
        pass
    assert main([*base, "--run", str(tmp_path / "empty")]) == 2
    assert "does not hold" in capsys.readouterr().err
    train.unlink()
    assert main([*base, "--run", str(tmp_path / "gone")]) == 2
    assert "lacks train-000000.tar" in capsys.readouterr().err


def test_a_clip_with_fewer_frames_than_its_record_is_said(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pack(prepared, str(tmp_path / "s"))
    monkeypatch.setattr("stillspeak.data.clips.read_video", lambda path: read_video(path)[:-2])
    clips = Clips(tmp_path / "s", "train", tiny().generator.context)
    with pytest.raises(DataError, match="frames and not"):
        clips.frames(0)


def test_an_ablation_that_cannot_be_judged_is_refused_before_it_trains(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = ["ablate", "--data", str(prepared), "-o", str(tmp_path / "b"), "--split", "train"]
    for wrong, said in (
        (["--take", "full=nosuch"], "no model nosuch"),
        (["--clips", "0"], "at least 1"),
        (["--speakers", "s99"], "s99"),
    ):
        assert main([*folder, *wrong]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    pack(prepared, str(tmp_path / "s"))
    command = ["ablate", "--data", str(tmp_path / "s"), "-o", str(tmp_path / "a"), "--split", "train"]
    assert main(command) == 2
    assert "lay them out" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
