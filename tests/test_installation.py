"""What is said to who lacks an extra can be typed as it stands."""

import json
from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillspeak import installation

ROOT = Path(__file__).parent.parent


def test_in_a_clone_the_extra_is_installed_from_the_clone():
    assert installation.extra_command("train") == f'pip install -e ".[train]" in {ROOT}'


def noted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, note: str | None) -> None:
    """The package as pip has installed it, with what pip noted of it."""
    monkeypatch.setattr(installation, "_PACKAGE", tmp_path / "site-packages" / "stillspeak")
    found = SimpleNamespace(read_text=lambda name: note if name == "direct_url.json" else None)
    monkeypatch.setattr(Distribution, "from_name", lambda name: found)


def test_from_a_wheel_the_extra_is_installed_from_that_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    wheel = tmp_path / "a folder" / "stillspeak-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    noted(monkeypatch, tmp_path, json.dumps({"url": wheel.as_uri(), "archive_info": {}}))
    assert installation.extra_command("serve") == f'pip install "stillspeak[serve] @ {wheel.as_uri()}"'


def test_a_clone_that_was_installed_without_e_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    noted(monkeypatch, tmp_path, json.dumps({"url": tmp_path.as_uri(), "dir_info": {}}))
    assert installation.extra_command("sign") == f'pip install ".[sign]" in {tmp_path}'


@pytest.mark.parametrize(
    "note", [None, "{", '{"url": "file:///gone/stillspeak.whl"}', '{"url": "https://example.org/a.whl"}']
)
def test_where_the_source_is_gone_both_ways_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, note: str | None
):
    noted(monkeypatch, tmp_path, note)
    said = installation.extra_command("train")
    assert 'pip install ".[train]" in a clone' in said
    assert 'pip install "stillspeak[train] @ file:///' in said


def test_no_page_names_the_package_as_if_it_were_on_an_index():
    pages = [ROOT / "README.md", ROOT / "Makefile", *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*")]
    for page in pages:
        if page.suffix in (".md", ".py", "") and page.is_file():
            assert 'pip install "stillspeak[' not in page.read_text(), page
