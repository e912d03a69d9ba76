"""Text files are UTF-8 whatever the machine's own alphabet is: no call in the package leaves that open."""

import ast
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stillspeak
from stillspeak.cli import main
from stillspeak.data.manifest import read_manifest
from stillspeak.streams import as_text

SOURCE = Path(stillspeak.__file__).parent
_OTHERS = {"av", "tarfile", "PIL.Image", "Image", "os", "fs", "wave", "self"}  # what they open is no text file
_PLACES = {"read_text": 0, "write_text": 1}  # where the encoding stands among the arguments


def silent(tree: ast.AST) -> Iterator[int]:
    """Lines of calls that open a text file without saying its encoding."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or any(word.arg == "encoding" for word in call.keywords):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        if name in _PLACES and len(call.args) <= _PLACES[name]:
            yield call.lineno
        if name in ("open", "fdopen") and of not in _OTHERS:
            modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            modes += [w.value.value for w in call.keywords if w.arg == "mode" and isinstance(w.value, ast.Constant)]
            if not any("b" in str(mode) for mode in modes):
                yield call.lineno
        if any(word.arg in ("text", "universal_newlines") for word in call.keywords):
            yield call.lineno


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_text_file_says_that_it_is_utf_8(path: Path):
    assert not [*silent(ast.parse(path.read_text("utf-8")))]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("p.read_text()", 1),
        ("p.read_text(encoding='utf-8')", 0),
        ("p.write_text(x)", 1),
        ("p.write_text(x, 'utf-8')", 0),
        ("open(p)", 1),
        ("p.open('a')", 1),
        ("p.open('rb')", 0),
        ("av.open(p)", 0),
        ("subprocess.run(c, text=True)", 1),
    ],
)
def test_a_call_that_says_no_encoding_is_found(code: str, found: int):
    assert len([*silent(ast.parse(code))]) == found


def test_a_name_that_is_no_text_becomes_text():
    assert as_text("grüße 中.mp4") == "grüße 中.mp4"
    assert as_text(os.fsdecode(b"a\xff\xfe.mp4")) == "a%FF%FE.mp4"


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_videos_whose_names_are_no_text_are_prepared_and_judged(
    tmp_path: Path, raw_grid: Path, capsysbinary: pytest.CaptureFixture[bytes]
):
    odd = os.fsdecode(b"odd\xff")
    source, prepared = tmp_path / odd / "corpus", tmp_path / odd / "prepared"
    (source / odd).mkdir(parents=True)
    for name in (odd, "plain"):
        shutil.copy(raw_grid / "s1" / "clip0.mp4", source / odd / f"{name}.mp4")
    assert main(["prepare", "folder", str(source), str(prepared), "--workers", "1"]) == 0
    assert {(record.speaker, record.clip) for record in read_manifest(prepared)} == {
        ("odd%FF", "odd%FF"),
        ("odd%FF", "plain"),
    }
    films = [str(source / odd / f"{name}.mp4") for name in (odd, "plain")]
    assert main(["evaluate", "--video", *films, "-o", str(tmp_path / odd / "results")]) == 0
    assert b"odd\xff.mp4" in capsysbinary.readouterr().out
