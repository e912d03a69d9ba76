"""Time stamps that are missing, out of order, begin again or jump: frames grow in time, picture and sound stay together."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from helpers import flashing, later, remuxed
from stillspeak.errors import MediaError
from stillspeak.media.audio import read_audio
from stillspeak.media.timeline import packets
from stillspeak.media.video import iterate_video, read_video


def flashes(path: Path) -> list[float]:
    """When a video turns white, in seconds."""
    white = read_video(path).mean(axis=(1, 2, 3)) > 130
    return [t / 25 for t in np.flatnonzero(np.diff(white.astype(int), prepend=0) > 0)]


def whistles(path: Path) -> list[float]:
    """When a sound becomes loud, in seconds."""
    sound = read_audio(path)
    loud = np.flatnonzero(np.abs(sound.samples) > 0.15) / sound.rate_hz
    return loud[np.diff(loud, prepend=-1) > 0.2].tolist()


def grow(path: Path) -> bool:
    """Whether every frame is later than the one before it, and the first is at 0."""
    times = [seconds for seconds, _ in iterate_video(path)]
    return times[0] == 0 and bool((np.diff(times) > 0).all())


@pytest.mark.parametrize("name", ["v.ts", "v.mpg"])
def test_files_that_were_joined_follow_each_other_in_picture_and_sound(tmp_path: Path, name: str):
    codecs = ("mpeg2video", "mp2") if name == "v.mpg" else ("libx264", "aac")
    one = flashing(tmp_path / name, 3, *codecs).read_bytes()
    (tmp_path / f"joined_{name}").write_bytes(3 * one)
    seen, heard = flashes(tmp_path / f"joined_{name}"), whistles(tmp_path / f"joined_{name}")
    assert len(seen) == len(heard) == 9
    np.testing.assert_allclose(seen, heard, atol=0.045)
    np.testing.assert_allclose(seen, np.arange(9) + 0.48, atol=0.1)
    assert grow(tmp_path / f"joined_{name}")


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts"])
@pytest.mark.parametrize(("pause", "heard_pause"), [(20.0, 20.0), (90.0, 0.0)])
def test_a_long_pause_is_left_out_of_picture_and_sound_and_a_short_one_of_neither(
    tmp_path: Path, name: str, pause: float, heard_pause: float
):
    source = flashing(tmp_path / name)
    begins = 1.92 + (0.08 if name == "v.ts" else 0)  # a key frame; what is shown first there is shown at 0.08

    def paused(packet: av.Packet) -> None:
        if packet.pts is not None and packet.pts * packet.time_base >= begins - 1e-3:
            later(packet, pause)

    path = remuxed(source, tmp_path / f"paused_{name}", paused)
    seen, heard = flashes(path), whistles(path)
    np.testing.assert_allclose(seen, [0.48, 1.48, 2.48 + heard_pause], atol=0.085)
    np.testing.assert_allclose(seen, heard, atol=0.045)
    assert grow(path)


def test_the_picture_goes_on_while_only_the_sound_pauses(tmp_path: Path):
    def mute(packet: av.Packet) -> bool:
        return packet.stream.type == "video" or not 0.9 < packet.pts * packet.time_base < 63

    path = remuxed(flashing(tmp_path / "v.mkv", 66, "mpeg4"), tmp_path / "mute.mkv", mute)
    assert whistles(path) == pytest.approx([0.48, 63.48, 64.48, 65.48], abs=0.01)


def test_sound_that_starts_before_a_first_frame_that_can_be_shown_is_cut(tmp_path: Path):
    whole = flashing(tmp_path / "v.ts", 4).read_bytes()
    third = len(whole) // 3 // 188 * 188  # in the middle of a group of pictures
    (tmp_path / "cut.ts").write_bytes(whole[third:])
    seen, heard = flashes(tmp_path / "cut.ts"), whistles(tmp_path / "cut.ts")
    assert len(seen) >= 2
    np.testing.assert_allclose(seen, heard[-len(seen) :], atol=0.045)


def counting(path: Path, times: list[int], codec: str = "mjpeg") -> Path:
    """Frame n is as bright as 8 n; shown at so many ticks of 40 ms."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        packets = []
        for t in range(len(times)):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 8 * t, np.uint8), "rgb24").reformat(
                format="yuvj420p"
            )
            packets += stream.encode(frame)
        for number, (packet, time) in enumerate(zip([*packets, *stream.encode(None)], times, strict=True)):
            packet.pts = round(0.04 * time / packet.time_base)
            packet.dts = min(times) - len(times) + number  # grows, as the writer wants it; mkv does not keep it
            container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("stamps", "shown"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),
        ([0, 1, 3, 2, 4, 6, 5, 7], [0, 1, 2, 3, 4, 5, 6, 7]),  # out of order
        ([0, 1, 2, 2, 4, 5, 5, 7], [0, 1, 2, 3, 4, 5, 6, 7]),  # repeated
        ([0, 1, 2, 300, 4, 5, 6, 7], [0, 1, 2, 3, 4, 5, 6, 7]),  # one that lies
        ([0, 1, 2, 3, 13, 14, 15, 16], [0, 1, 2, 3, 13, 14, 15, 16]),  # held
        ([50, 51, 52, 53, 0, 1, 2, 3], [0, 1, 2, 3, 4, 5, 6, 7]),  # begin again
        ([0, 1, 2, 3, 2500, 2501, 2502, 2503], [0, 1, 2, 3, 4, 5, 6, 7]),  # paused
    ],
)
def test_frames_are_shown_in_order_at_the_times_that_are_meant(tmp_path: Path, stamps: list[int], shown: list[int]):
    path = counting(tmp_path / "v.mkv", stamps)
    read = list(iterate_video(path))
    assert [round(frame.mean() / 8) for _, frame in read] == [*range(8)]
    np.testing.assert_allclose([seconds / 0.04 for seconds, _ in read], shown, atol=0.05)


def test_frames_without_time_stamps_follow_at_the_files_rate(tmp_path: Path):
    with av.open(str(tmp_path / "v.h264"), "w") as container:  # a bare stream has none
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for t in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 8 * t, np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    read = read_video(tmp_path / "v.h264")
    np.testing.assert_allclose(read.mean(axis=(1, 2, 3)) / 8, np.arange(30), atol=1)


def test_frames_before_an_edit_lists_beginning_are_not_shown(tmp_path: Path):
    def cut(packet: av.Packet) -> None:
        later(packet, -1.3)  # mp4 keeps what is before 0, and says that it is not shown

    path = remuxed(flashing(tmp_path / "v.mp4"), tmp_path / "cut.mp4", cut)
    with av.open(str(path)) as container:
        assert any(packet.is_discard for packet in container.demux(video=0))
    np.testing.assert_allclose(flashes(path), [0.18, 1.18], atol=0.045)
    np.testing.assert_allclose(whistles(path), [0.18, 1.18], atol=0.045)


def test_a_file_that_ffmpeg_cannot_read_on_is_refused_and_not_cut_short(tmp_path: Path):
    for name, layout in (("a.ogg", "mono"), ("b.ogg", "stereo")):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libopus", rate=48_000, layout=layout)
            frame = av.AudioFrame(format="flt", layout=layout, samples=48_000)
            frame.sample_rate, frame.pts = 48_000, 0
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    (tmp_path / "ab.ogg").write_bytes((tmp_path / "a.ogg").read_bytes() + (tmp_path / "b.ogg").read_bytes())
    with pytest.raises(MediaError, match="changes its form on the way"):
        read_audio(tmp_path / "ab.ogg")


def test_a_stream_that_turns_up_on_the_way_ends_nothing_early():
    """Found by damaging files: PyAV asks for such a stream, which it does not know, after the last packet."""

    class Container:
        def demux(self, *streams: object) -> Iterator[int]:
            yield from (1, 2)
            raise IndexError("list index out of range")

    container: Any = Container()
    assert list(packets(container)) == [1, 2]
