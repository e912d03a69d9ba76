"""A temporary folder that is full or missing is named, and nothing else is blamed."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillspeak.cli import main
from stillspeak.errors import OutputError, TemporaryFolderError
from stillspeak.temporary import is_full, temporary_folder


def no_room(name: str | None = None) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


def test_a_folder_lies_in_tmpdir_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with temporary_folder() as folder:
        (folder / "file").write_text("kept for a while")
        assert folder.parent == tmp_path
    assert not [*tmp_path.iterdir()]


def test_a_full_folder_names_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(TemporaryFolderError, match=f"folder {tmp_path} is full; set TMPDIR"), temporary_folder():
        raise no_room()
    with pytest.raises(TemporaryFolderError, match="is full"), temporary_folder() as folder:
        raise no_room(str(folder / "file"))
    with pytest.raises(OSError, match="elsewhere"), temporary_folder():
        raise no_room("/elsewhere/file")
    with pytest.raises(OSError, match="Input/output"), temporary_folder():
        raise OSError(errno.EIO, "Input/output error")
    assert not [*tmp_path.iterdir()]


def test_room_is_looked_for_behind_every_sentence():
    sentence = OutputError("The film could not be written.")
    sentence.__cause__ = no_room()
    assert is_full(sentence)
    assert not is_full(OutputError("The film could not be written."))


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), ("file", "Not a directory")])
@pytest.mark.parametrize("arguments", [["faces", "-"], ["serve", "--port", "0"]])
def test_a_tmpdir_that_cannot_be_used_is_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    name: str,
    why: str,
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TMPDIR", str(tmp_path / name))
    assert main(arguments) == 2
    said = f"stillspeak: The temporary folder {tmp_path / name} cannot be used ({why}); set TMPDIR to another.\n"
    assert capsys.readouterr().err == said


@pytest.fixture
def small_disk(tmp_path: Path):
    """A folder of 100 kB."""
    (tmp_path / "small").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", tmp_path / "small"]
    if not shutil.which("mount") or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no disk of its own can be mounted here")
    yield tmp_path / "small"
    subprocess.run(["umount", tmp_path / "small"], check=True)


def test_what_comes_through_a_pipe_and_finds_no_room_blames_the_folder(small_disk: Path, photo: Path):
    command = [sys.executable, "-m", "stillspeak.cli", "faces", "-"]
    env = os.environ | {"TMPDIR": str(small_disk)}
    done = subprocess.run(command, input=photo.read_bytes(), env=env, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.decode() == f"stillspeak: The temporary folder {small_disk} is full; set TMPDIR to another.\n"
    assert not [*small_disk.iterdir()]
