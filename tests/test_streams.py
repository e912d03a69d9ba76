"""Standard streams that are missing, closed, full, or cannot show a letter: films are made, exit codes are right."""

import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from stillspeak.cli import main
from stillspeak.media.video import read_video
from stillspeak.streams import steady_streams

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


def close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


def run(*arguments: object, closed: tuple[int, ...] = (), **how) -> subprocess.CompletedProcess[bytes]:
    """The command with some of its descriptors closed."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
    command = [sys.executable, "-m", "stillspeak.cli", *map(str, arguments)]
    return subprocess.run(command, preexec_fn=partial(close, *closed), check=False, **streams)


@pytest.mark.parametrize("closed", [(2,), (0, 1, 2)])
def test_a_film_is_made_whichever_streams_are_missing(
    tmp_path: Path, photo: Path, speech: Path, tiny_model: Path, closed: tuple[int, ...]
):
    out = tmp_path / "a.mp4"
    done = run("animate", photo, speech, "--crop", "--model", tiny_model, "-o", out, closed=closed)
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_video(out).shape == (25, 128, 96, 3)


def test_a_list_is_made_without_streams(tmp_path: Path, photo: Path, speech: Path, tiny_model: Path):
    (tmp_path / "jobs.csv").write_text("photo,speech,output,crop\nface.png,speech.wav,a.mp4,yes\n")
    done = run("animate", "--batch", tmp_path / "jobs.csv", "--model", tiny_model, closed=(0, 1, 2))
    assert done.returncode == 0
    assert read_video(tmp_path / "a.mp4").shape == (25, 128, 96, 3)


def test_no_file_gets_the_number_of_a_stream_that_is_missing(tmp_path: Path):
    code = (
        "import os, sys\nfrom stillspeak.streams import steady_streams\n"
        "with steady_streams(), open(sys.argv[1], 'w') as file:\n"
        "    print('word'); print('word', file=sys.stderr); os.write(1, b'word'); os.write(2, b'word')\n"
        "    assert sys.stdin.read() == '' == os.read(0, 9).decode()\n"
        "    file.write(str(file.fileno() > 2))\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "file"]
    assert subprocess.run(command, preexec_fn=partial(close, 0, 1, 2), check=False).returncode == 0
    assert (tmp_path / "file").read_text() == "True"


def test_errors_keep_their_exit_code_without_streams(photo: Path, speech: Path):
    assert run("animate", photo, "gone.wav", "-o", "a.mp4", closed=(1, 2)).returncode == 2
    assert run("nosuchverb", closed=(2,)).returncode == 2
    raw = run("animate", photo, speech, "--crop", "-o", "-", closed=(1,))
    assert raw.returncode == 2
    assert b"There is no stdout" in raw.stderr
    silent = run("faces", "-", closed=(0,))
    assert silent.returncode == 2
    assert b"Nothing came through stdin" in silent.stderr


@needs_full
def test_a_full_stderr_is_nobodys_loss_and_a_full_stdout_is_said(tmp_path: Path, photo: Path):
    with FULL.open("wb") as full:
        assert run("faces", photo, "-o", tmp_path / "a.png", stderr=full).returncode == 0
        assert run("faces", "gone.png", stderr=full).returncode == 2
        assert run("nosuchverb", stderr=full).returncode == 2
        for arguments in (["inspect", photo], ["--help"]):
            done = run(*arguments, stdout=full)
            assert done.returncode == 2
            assert done.stderr == b"stillspeak: stdout cannot be written: No space left on device.\n"


def test_a_reader_that_left_is_no_error_but_an_error_stays_one(photo: Path):
    readers = []
    for _ in range(3):
        reader, writer = os.pipe()
        os.close(reader)
        readers.append(writer)
    assert run("inspect", photo, stdout=readers[0]).returncode == 0
    assert run("inspect", "gone.png", stderr=readers[1]).returncode == 2
    assert run("--help", stdout=readers[2]).returncode == 0
    for writer in readers:
        os.close(writer)


@pytest.mark.parametrize(("encoding", "said"), [("ascii", rb"\u4e2d\xfc.png"), ("cp1252", b"\\u4e2d\xfc.png")])
def test_a_letter_that_the_console_lacks_is_spelt(tmp_path: Path, photo: Path, encoding: str, said: bytes):
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = run("faces", photo, "-o", tmp_path / "中ü.png", env=env)
    assert done.returncode == 0
    assert done.stdout.endswith(said + b"\n")
    assert (tmp_path / "中ü.png").is_file()
    lost = run("inspect", tmp_path / "中.mp4", env=env)
    assert lost.returncode == 2
    assert b"no file" in lost.stderr
    assert b"\\u4e2d.mp4" in lost.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_text_is_printed_as_the_bytes_that_it_is(tmp_path: Path, photo: Path, encoding: str):
    name = os.fsencode(tmp_path) + b"/a\xff.png"
    done = run("faces", photo, "-o", os.fsdecode(name), env=os.environ | {"PYTHONIOENCODING": encoding})
    assert done.stdout.splitlines()[-1] == name
    assert Path(os.fsdecode(name)).is_file()


def test_streams_that_are_none_come_back_as_they_were(monkeypatch: pytest.MonkeyPatch):
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with steady_streams():
        print("word")
        print("word", file=sys.stderr)
        assert sys.stdin.read() == ""
    assert (sys.stdin, sys.stdout, sys.stderr) == (None, None, None)
    assert main(["inspect", "gone.png"]) == 2


def test_a_stderr_of_few_letters_spells_too(monkeypatch: pytest.MonkeyPatch):
    narrow = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    monkeypatch.setattr(sys, "stderr", narrow)
    with steady_streams():
        print("中 \udcff", file=sys.stderr)
    narrow.seek(0)
    assert narrow.read() == "\\u4e2d \\udcff\n"
