"""Of several streams, the one that players show or play is read; the same one is heard and kept."""

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from stillspeak.errors import MediaError
from stillspeak.media.audio import read_audio
from stillspeak.media.video import read_video
from stillspeak.media.writer import VideoWriter

DEFAULT, NONE = Disposition.default, Disposition(0)


def tracks(path: Path, *dispositions: Disposition) -> Path:
    """Tone n, of 500 (n + 1) Hz, is in track n."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=48_000, layout="mono") for _ in dispositions]
        for stream, disposition in zip(streams, dispositions, strict=True):
            stream.disposition = disposition
        for begin in range(0, 48_000, 1024):
            at = np.arange(begin, begin + 1024) / 48_000
            for number, stream in enumerate(streams):
                heard = (0.3 * np.sin(1000 * np.pi * (number + 1) * at)).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(heard, "fltp", "mono")
                frame.sample_rate, frame.pts = 48_000, begin
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def track_heard(path: Path) -> int:
    samples = read_audio(path).samples[8000:40_000]
    return round(np.abs(np.fft.rfft(samples)).argmax() * 48_000 / len(samples) / 500) - 1


@pytest.mark.parametrize(
    ("dispositions", "chosen"),
    [
        ((NONE, DEFAULT, NONE), 1),
        ((NONE, DEFAULT | Disposition.comment, NONE), 0),
        ((DEFAULT | Disposition.visual_impaired, NONE, Disposition.comment), 1),
        ((Disposition.descriptions, Disposition.comment, DEFAULT), 2),
        ((Disposition.comment, Disposition.comment | DEFAULT), 1),  # better than none
    ],
)
def test_the_main_sound_track_is_heard_and_kept(tmp_path: Path, dispositions: tuple[Disposition, ...], chosen: int):
    path = tracks(tmp_path / "a.mkv", *dispositions)
    assert track_heard(path) == chosen
    with VideoWriter(tmp_path / "o.mp4", 25, path) as writer:
        for t in range(25):
            writer.write(np.full((32, 32, 3), t, np.uint8))
    assert track_heard(tmp_path / "o.mp4") == chosen


def test_of_two_pictures_the_default_one_is_read(tmp_path: Path):
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        for disposition in (NONE, DEFAULT):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
            stream.disposition = disposition
        for stream, brightness in zip(container.streams.video, (30, 200), strict=True):
            for _ in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), brightness, np.uint8), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    assert read_video(tmp_path / "v.mkv").mean() > 190


def test_cover_art_is_no_video_and_moves_no_sound(tmp_path: Path):
    with av.open(str(tmp_path / "a.mp3"), "w") as container:
        sound = container.add_stream("mp3", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24").reformat(format="yuvj420p")
        picture.pts = 0
        for packet in [*cover.encode(picture), *cover.encode(None)]:
            container.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.full((1, 48_000), 0.1, np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        for packet in [*sound.encode(frame), *sound.encode(None)]:
            container.mux(packet)
    with pytest.raises(MediaError, match="only a cover"):
        read_video(tmp_path / "a.mp3")
    assert read_audio(tmp_path / "a.mp3").seconds == pytest.approx(1.0, abs=0.05)
