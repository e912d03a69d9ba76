"""A file that is no photo or no speech is called what it is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from helpers import tone, write_video
from stillspeak.errors import MediaError
from stillspeak.media.kinds import kind_of, require_order, require_picture, require_sound


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """One file of every kind, each under a name that says nothing."""
    for name, suffix in {
        "jpeg": ".jpg",
        "png": ".png",
        "webp": ".webp",
        "bmp": ".bmp",
        "gif": ".gif",
        "tiff": ".tif",
    }.items():
        Image.new("RGB", (40, 30), (9, 99, 200)).save((tmp_path / name).with_suffix(suffix))
        (tmp_path / name).with_suffix(suffix).rename(tmp_path / name)
    for name, kind in {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "aiff": "AIFF"}.items():
        soundfile.write(tmp_path / name, tone(0.5).samples, 16_000, format=kind)
    for name in ("a.mp4", "a.mkv", "a.webm", "a.mov"):
        write_video(tmp_path / name, np.zeros((5, 32, 32, 3)), tone(0.2))
    (tmp_path / "text").write_text("Guten Tag, schöne Welt.\n" * 60)
    (tmp_path / "bmw").write_text("BMW is a text that begins like a picture.")
    (tmp_path / "pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    (tmp_path / "noise").write_bytes(bytes([0, 200, 7, 129]) * 300)
    (tmp_path / "empty").touch()
    return tmp_path


KINDS = (
    dict.fromkeys(("jpeg", "png", "webp", "bmp", "gif", "tiff"), "a picture")
    | dict.fromkeys(("wav", "flac", "ogg", "mp3", "aiff"), "a sound")
    | dict.fromkeys(("a.mp4", "a.mkv", "a.webm", "a.mov"), "a video")
    | {"text": "a text file", "bmw": "a text file", "pdf": "a PDF document"}
    | dict.fromkeys(("noise", "empty", "gone", "."), "")
)


def test_a_file_is_known_by_what_is_in_it(files: Path):
    assert {name: kind_of(files / name) for name in KINDS} == KINDS


def test_only_what_is_surely_something_else_is_refused(files: Path):
    for name, kind in KINDS.items():
        if kind in ("a picture", ""):
            require_picture(files / name)
        else:
            with pytest.raises(MediaError, match=f"{name} is {kind} and not a picture"):
                require_picture(files / name)
        if kind in ("a sound", "a video", ""):
            require_sound(files / name)
        else:
            with pytest.raises(MediaError, match=f"{name} is {kind}.* sound"):
                require_sound(files / name)


def test_photo_and_speech_the_wrong_way_round_are_said(files: Path):
    for speech in ("wav", "a.mp4"):
        with pytest.raises(MediaError, match=f"{speech} is .* and .*jpeg a picture: the photo comes first"):
            require_order(files / speech, files / "jpeg")
        require_order(files / "jpeg", files / speech)
    require_order(files / "wav", files / "mp3")  # each is refused for itself
    require_order(np.zeros((9, 9, 3), np.uint8), files / "jpeg")
