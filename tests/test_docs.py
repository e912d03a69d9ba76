"""What the documents name exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_symbol_of_the_paper_map_exists():
    named = re.findall(r"`(src/[\w/]+\.py):(\w+)`", (ROOT / "docs" / "paper.md").read_text())
    assert len(named) > 20
    for path, symbol in named:
        assert re.search(rf"^(class|def) {symbol}\b", (ROOT / path).read_text(), re.MULTILINE), f"{path}:{symbol}"


def test_the_readme_lists_every_file_of_the_package():
    readme = (ROOT / "README.md").read_text()
    for path in (ROOT / "src" / "stillspeak").rglob("*.py"):
        if path.name != "__init__.py":
            assert f"`{path.name}`" in readme, path


def test_no_dependency_that_replaces_the_cpu_build_of_torch():
    named = (ROOT / "pyproject.toml").read_text() + (ROOT / "constraints.txt").read_text()
    for name in ("torchvision", "piq", "lpips", "litdata", "facenet-pytorch", "timm"):
        assert not re.search(rf"\b{name}\b", named)
