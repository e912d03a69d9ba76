"""Files that appear whole or not at all."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillspeak.errors import OutputError
from stillspeak.whole import part_file, publish, whole


def test_a_file_takes_its_place_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "clip.with.dots.flac"
    path.write_text("before")
    with whole(path) as part:
        part.write_text("after")
        assert path.read_text() == "before"
        assert part.suffix == ".flac"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "kept.json"
    path.write_text("before")

    def fail() -> None:
        with whole(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_behind_a_link_the_file_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path, link = tmp_path / "elsewhere" / "file", tmp_path / "link"
    link.symlink_to(path)
    with whole(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_where_there_is_no_folder_nothing_else_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole(tmp_path / "none" / "file") as part:
        part.write_text("new")


def refuse(code: int):
    """A call of the system that this place does not have."""

    def call(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return call


def test_a_new_file_has_the_rights_that_every_new_file_has(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with whole(tmp_path / "file.txt") as part:
            part.write_text("new")
    finally:
        os.umask(before)
    assert (tmp_path / "file.txt").stat().st_mode & 0o777 == 0o640


def test_a_place_that_refuses_rights_and_times_takes_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chmod", "fchmod", "utime", "chown", "link", "fsync"):
        monkeypatch.setattr(os, name, refuse(errno.EPERM))
    with whole(tmp_path / "file.txt") as part:
        part.write_text("new")
    assert (tmp_path / "file.txt").read_text() == "new"
    assert len([*tmp_path.iterdir()]) == 1


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV, errno.ENOSYS, errno.EPERM])
def test_where_nothing_can_be_renamed_the_content_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (tmp_path / "film.mp4").write_text("before, and longer")
    monkeypatch.setattr(os, "replace", refuse(code))
    part = part_file(tmp_path / "film.mp4")
    part.write_text("after")
    publish(part, tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_text() == "after"
    assert len([*tmp_path.iterdir()]) == 1


def test_no_room_for_the_name_is_an_error_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.mp4").write_text("before")
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"), whole(tmp_path / "film.mp4") as part:
        part.write_text("after")
    assert (tmp_path / "film.mp4").read_text() == "before"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_place_that_keeps_what_is_removed_ends_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSYS))
    monkeypatch.setattr(os, "unlink", refuse(errno.EPERM))
    with whole(tmp_path / "film.mp4") as part:
        part.write_text("after")
    assert (tmp_path / "film.mp4").read_text() == "after"


def test_two_that_write_one_name_at_once_do_not_mix(tmp_path: Path) -> None:
    first, second = part_file(tmp_path / "file.txt"), part_file(tmp_path / "file.txt")
    first.write_text("first")
    second.write_text("second")
    publish(first, tmp_path / "file.txt")
    publish(second, tmp_path / "file.txt")
    assert (tmp_path / "file.txt").read_text() == "second"
    assert len([*tmp_path.iterdir()]) == 1


def test_what_a_killed_process_left_is_gone_after_the_next(tmp_path: Path) -> None:
    (tmp_path / ".file.part.txt").write_text("half of it")
    with whole(tmp_path / "file.txt") as part:
        assert part.read_bytes() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["file.txt"]


@pytest.mark.parametrize(
    ("name", "said"), [("", "is a folder"), ("none/a.mp4", "There is no folder"), ("a\0b", "null")]
)
def test_what_cannot_be_written_is_a_sentence(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(OutputError, match=said):
        part_file(tmp_path / name)
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not shutil.which("strace"), reason="strace, which refuses calls of the system, is not installed")
@pytest.mark.parametrize("output", ["a.mp4", "a.gif", "a_%03d.png"])
def test_a_drive_without_rights_times_and_locks_takes_every_kind_of_film(
    tmp_path: Path, photo: Path, speech: Path, output: str
) -> None:
    (tmp_path / "out").mkdir()
    calls = "chmod,fchmod,fchmodat,utimensat,flock,fsync,fdatasync,link,linkat,chown,fchown,fchownat,setpriority"
    command = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:error=EPERM"]
    command += [sys.executable, "-m", "stillspeak.cli", "animate", str(photo), str(speech), "--crop"]
    done = subprocess.run([*command, "-o", tmp_path / "out" / output], capture_output=True)
    if b"ptrace" in done.stderr:
        pytest.skip("strace may not look into processes here")
    assert (done.returncode, done.stderr) == (0, b"")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ([f"a_{n:03d}.png" for n in range(25)] if "%" in output else [output])
