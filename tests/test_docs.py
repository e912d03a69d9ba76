"""What the documents name exists, and what the package holds is named."""

import ast
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in (ROOT / "src" / "stillspeak").rglob("__init__.py"))
WRITTEN = {"report.md", "results.md", "captions.md", "CARD.md"}  # pages that commands write


def test_every_symbol_of_the_paper_map_exists():
    named = re.findall(r"`(src/[\w/]+\.py):(\w+)`", (ROOT / "docs" / "paper.md").read_text())
    assert len(named) > 20
    for path, symbol in named:
        assert re.search(rf"^(class|def) {symbol}\b", (ROOT / path).read_text(), re.MULTILINE), f"{path}:{symbol}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_a_packages_docstring_says_in_a_sentence_what_each_of_its_modules_does(package: Path):
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    lines = dict(re.findall(r"^- ``(\w+\.py)`` (.*)$", docstring, re.MULTILINE))
    assert set(lines) == {path.name for path in package.glob("*.py")} - {"__init__.py"}
    for name, sentence in lines.items():
        assert len(sentence.split()) > 1, name
        assert sentence.endswith("."), name


def test_every_page_that_a_docstring_or_a_comment_names_exists():
    pages = {page.name for folder in (ROOT, ROOT / "docs") for page in folder.glob("*.md")} | WRITTEN
    named = 0
    for folder in ("src", "tests", "benchmarks", "examples", "recipes"):
        for path in (ROOT / folder).rglob("*.py"):
            for text in [*docstrings(path), *comments(path)]:
                for page in re.findall(r"[\w/.-]*\w\.md\b", text):
                    named += 1
                    assert (ROOT / page).exists() if "/" in page else page in pages, f"{path}: {page}"
    assert named > 20


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a file: its own, and those of its classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def comments(path: Path) -> Iterator[str]:
    """The comments of a file."""
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string


def test_a_manual_says_what_is_true_and_not_what_changed():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        if page.name not in ("diary.md", "evaluation.md", "contributing.md"):  # history, figures side by side, the rule
            assert not re.search(r"\b(now|today|nowadays)\b", page.read_text(), re.IGNORECASE), page


def test_the_readme_stays_short_enough_to_be_read():
    assert len((ROOT / "README.md").read_text().splitlines()) < 120


def test_no_dependency_that_replaces_the_cpu_build_of_torch():
    named = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text()
    for name in ("torchvision", "piq", "lpips", "litdata", "facenet-pytorch", "timm"):
        assert not re.search(rf"\b{name}\b", named)


def test_the_site_builds_without_a_warning(tmp_path: Path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    ended = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    api = (tmp_path / "site" / "api" / "index.html").read_text()
    assert "Raises" in api
    assert "begin_aligned" in api
