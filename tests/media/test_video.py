"""mp4 files: exact lengths, whole or not there at all, and marked as synthetic."""

import json
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from helpers import tone, write_video
from stillspeak.errors import MediaError, OutputError
from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE
from stillspeak.media.video import read_video
from stillspeak.media.writer import VideoWriter


def lengths(path: Path) -> tuple[float, float]:
    """Seconds of picture and of sound, as decoded."""
    with av.open(str(path)) as container:
        picture = [frame.time for frame in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = [(frame.time, frame.samples / frame.sample_rate) for frame in container.decode(audio=0)]
        rate = container.streams.video[0].average_rate
    assert picture[0] == 0
    assert abs(sound[0][0]) < 0.001
    return picture[-1] + 1 / float(rate), sound[-1][0] + sound[-1][1]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(60)])
def test_picture_and_sound_end_within_one_frame(tmp_path: Path, fps: Fraction, rate_hz: int):
    with VideoWriter(tmp_path / "v.mp4", fps, tone(2.03, rate_hz)) as writer:
        for t in range(int(2.03 * fps)):
            writer.write(np.full((48, 32, 3), t, np.uint8))
    picture, sound = lengths(tmp_path / "v.mp4")
    assert abs(picture - sound) < 1 / fps
    assert picture == pytest.approx(int(2.03 * fps) / fps, abs=1e-3)


def test_what_is_written_is_what_is_read(tmp_path: Path):
    rng = np.random.default_rng(0)
    frames = np.repeat(np.repeat(rng.integers(0, 255, (10, 8, 6, 3)), 8, 1), 8, 2)
    write_video(tmp_path / "v.mp4", frames, None)
    read = read_video(tmp_path / "v.mp4")
    assert read.shape == frames.shape
    grey = np.abs(read.mean(3) - frames.mean(3)).mean()
    assert grey < 6


def test_reading_at_another_rate_places_frames_by_time(tmp_path: Path):
    with VideoWriter(tmp_path / "v.mp4", 50) as writer:
        for t in range(50):
            writer.write(np.full((32, 32, 3), 5 * t, np.uint8))
    read = read_video(tmp_path / "v.mp4", 25)
    assert len(read) == 25
    np.testing.assert_allclose(read.mean((1, 2, 3)), 10 * np.arange(25), atol=6)


def test_odd_sides_are_padded_by_the_edge(tmp_path: Path):
    write_video(tmp_path / "v.mp4", np.full((3, 33, 35, 3), 90), None)
    assert read_video(tmp_path / "v.mp4").shape == (3, 34, 36, 3)


def test_the_file_says_that_it_is_synthetic(tmp_path: Path):
    write_video(tmp_path / "v.mp4", np.zeros((3, 32, 32, 3)), None)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert json.loads(container.metadata["comment"])["digitalSourceType"] == DIGITAL_SOURCE_TYPE


def test_an_interrupt_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path):
    (tmp_path / "v.mp4").write_text("old")

    def interrupted() -> None:
        with VideoWriter(tmp_path / "v.mp4", 25) as writer:
            writer.write(np.zeros((32, 32, 3), np.uint8))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "v.mp4").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_places_that_cannot_be_written_are_refused_at_once(tmp_path: Path):
    for path, reason in ((tmp_path / "no" / "v.mp4", "no folder"), (tmp_path, "is a folder")):
        with pytest.raises(OutputError, match=reason):
            VideoWriter(path, 25)


def test_sound_alone_is_no_video(tmp_path: Path):
    import soundfile

    soundfile.write(tmp_path / "a.wav", tone(0.2).samples, 16_000)
    with pytest.raises(MediaError, match="no picture"):
        read_video(tmp_path / "a.wav")


def test_no_frame_is_no_file(tmp_path: Path):
    with pytest.raises(OutputError, match="no frame"), VideoWriter(tmp_path / "v.mp4", 25):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_folder_that_may_not_be_entered_is_said(tmp_path: Path):
    (tmp_path / "locked").mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(OutputError, match=r"written|no folder"):
            VideoWriter(tmp_path / "locked" / "v.mp4", 25)
    finally:
        os.seteuid(0)


def test_an_mp4_whose_sample_table_lies_is_refused(tmp_path: Path):
    """Found by fuzzing: the error comes when packets are asked for, not when the file is opened."""
    write_video(tmp_path / "v.mp4", np.zeros((4, 32, 32, 3)), None)
    content = bytearray((tmp_path / "v.mp4").read_bytes())
    at = content.find(b"stco") + 12
    content[at : at + 4] = b"\x7f\xff\xff\xff"
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="no frame"):
        read_video(tmp_path / "v.mp4")
