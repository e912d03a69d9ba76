"""The package as Python sees it: its names, its errors, ``python -m``."""

import subprocess
import sys
from pathlib import Path

import stillspeak
from stillspeak import errors


def test_the_public_names_are_listed_and_the_errors_are_among_them():
    assert set(stillspeak.__all__) <= set(dir(stillspeak))
    said = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Warning | Exception)
    ]
    for name in said:
        assert name in stillspeak.__all__
        assert getattr(stillspeak, name) is getattr(errors, name)


def test_listing_the_names_and_catching_an_error_load_nothing_heavy():
    code = "import sys, stillspeak; dir(stillspeak); stillspeak.StillspeakError; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "cv2", "dlib", "av", "onnxruntime"} & set(done.stdout.split())


def test_the_package_runs_as_a_module(tmp_path: Path):
    command = [sys.executable, "-m", "stillspeak", "inspect", str(tmp_path / "gone.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("stillspeak: ")
    assert len(done.stderr.splitlines()) == 1
