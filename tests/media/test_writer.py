"""What comes out: sound untouched and in time, every kind of file, right colours, and in all of them that they are synthetic."""

import io
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from av.video.reformatter import VideoReformatter

from helpers import tone, write_video
from stillspeak.errors import OutputError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.pictures import RawWriter, open_writer
from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE
from stillspeak.media.soundtrack import CopiedTrack, EncodedTrack
from stillspeak.media.writer import VideoWriter, to_yuv

EXACT = 0x4 | 0x2000 | 0x40000  # SWS_BICUBIC | FULL_CHR_H_INT | ACCURATE_RND: FFmpeg's converter without its shortcuts


def record(path: Path, codec: str, rate_hz: int, seconds: float = 2.0) -> Path:
    """Noise whose loudness changes, encoded in stereo."""
    rng = np.random.default_rng(0)
    count = round(seconds * rate_hz)
    loud = np.interp(
        np.arange(count) / rate_hz, np.arange(0, seconds + 1, 0.13), rng.random(int((seconds + 1) / 0.13) + 1)
    )
    samples = (rng.normal(0, 0.2, count) * loud**2).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="stereo")
        for start in range(0, count, 1152):
            block = np.ascontiguousarray(np.stack([samples[start : start + 1152]] * 2))
            frame = av.AudioFrame.from_ndarray(block, "fltp", "stereo")
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lag_seconds(made: Sound, real: Sound) -> float:
    """How much later one sound is than another."""
    a, b = made.at(real.rate_hz).samples, real.samples
    count = min(len(a), len(b))
    matches = np.fft.irfft(np.fft.rfft(a[:count], 2 * count) * np.conj(np.fft.rfft(b[:count], 2 * count)))
    best = int(matches.argmax())
    return (best - 2 * count if best > count else best) / real.rate_hz


def film(path: Path, fps: float | Fraction, sound: Path | list[Path] | Sound | None, frames: int) -> VideoWriter:
    with VideoWriter(path, fps, sound) as writer:
        for t in range(frames):
            writer.write(np.full((48, 64, 3), t % 256, np.uint8))
    return writer


@pytest.mark.parametrize("fps", [Fraction(24), 25, Fraction(30_000, 1001), 30, 50, 60])
@pytest.mark.parametrize("out", ["o.mp4", "o.webm", "o.mkv"])
@pytest.mark.parametrize(("name", "codec"), [("a.mp3", "mp3"), ("a.m4a", "aac"), ("a.ogg", "libopus")])
def test_sound_stays_where_it_was_at_every_rate(tmp_path: Path, name: str, codec: str, out: str, fps: Fraction):
    source = record(tmp_path / name, codec, 48_000)
    real = read_audio(source)
    film(tmp_path / out, fps, source, int(real.seconds * fps))
    made = read_audio(tmp_path / out)
    assert abs(lag_seconds(made, real)) < 1e-3
    with av.open(str(tmp_path / out)) as container:
        picture = [frame.time for frame in container.decode(video=0)]
    assert len(picture) == int(real.seconds * fps)
    assert abs(picture[-1] + 1 / fps - made.seconds) < 1 / fps + 0.025  # an encoder's block is 21 ms, mp3's 24 ms


@pytest.mark.parametrize(
    ("name", "codec", "out"), [("a.mp3", "mp3", "o.mkv"), ("a.m4a", "aac", "o.mov"), ("a.ogg", "libopus", "o.webm")]
)
def test_the_users_own_packets_are_kept(tmp_path: Path, name: str, codec: str, out: str):
    source = record(tmp_path / name, codec, 48_000)
    writer = film(tmp_path / out, 25, source, 50)
    assert isinstance(writer._track, CopiedTrack)
    with av.open(str(source)) as container:
        own = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    with av.open(str(tmp_path / out)) as container:
        kept = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert kept == own[: len(kept)]
    assert len(kept) >= len(own) - 3


@pytest.mark.parametrize(
    ("rate_hz", "out"), [(8_000, "o.mp4"), (24_000, "o.mp4"), (44_100, "o.mov"), (16_000, "o.mov")]
)
def test_mp3_is_encoded_as_aac_where_apples_players_play_no_mp3(tmp_path: Path, rate_hz: int, out: str):
    source = record(tmp_path / "a.mp3", "mp3", rate_hz)
    film(tmp_path / out, 25, source, 50)
    with av.open(str(tmp_path / out)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    assert abs(lag_seconds(read_audio(tmp_path / out), read_audio(source))) < 1e-3


def test_sound_that_starts_later_than_its_picture_is_encoded_in_its_place(tmp_path: Path):
    source = record(tmp_path / "a.m4a", "aac", 48_000)
    with av.open(str(source)) as sound, av.open(str(tmp_path / "late.mp4"), "w") as late:
        video = late.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        copied = late.add_stream_from_template(sound.streams.audio[0])
        for t in range(60):
            late.mux(video.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), t, np.uint8), "rgb24")))
        late.mux(video.encode(None))
        for packet in sound.demux(audio=0):
            if packet.size and packet.pts is not None and packet.time_base is not None:
                packet.pts = packet.dts = packet.pts + round(0.3 / packet.time_base)
                packet.stream = copied
                late.mux(packet)
    writer = film(tmp_path / "o.mp4", 25, tmp_path / "late.mp4", 57)
    assert isinstance(writer._track, EncodedTrack)
    assert lag_seconds(read_audio(tmp_path / "o.mp4"), read_audio(source)) == pytest.approx(0.3, abs=2e-3)


def test_stereo_stays_stereo_and_two_voices_are_mixed(tmp_path: Path):
    left, right = tone(1.0).samples, np.zeros(16_000, np.float32)
    soundfile.write(tmp_path / "s.wav", np.stack([left, right], axis=1), 16_000)
    film(tmp_path / "s.mp4", 25, tmp_path / "s.wav", 25)
    with av.open(str(tmp_path / "s.mp4")) as container:
        planes = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert np.square(planes[1]).mean() < 1e-3 * np.square(planes[0]).mean()
    soundfile.write(tmp_path / "t.wav", np.roll(left, 4000)[:8000], 16_000)
    film(tmp_path / "m.mp4", 25, [tmp_path / "s.wav", tmp_path / "t.wav"], 25)
    both = left / 2
    both[:8000] += np.roll(left, 4000)[:8000]
    assert abs(lag_seconds(read_audio(tmp_path / "m.mp4"), Sound(both, 16_000))) < 1e-3


def test_what_stands_still_is_over_45_db_from_the_photo_and_does_not_flicker(tmp_path: Path):
    import skimage.data

    photo = cv2.resize(np.asarray(skimage.data.cat(), np.uint8), (640, 480), interpolation=cv2.INTER_AREA)
    with VideoWriter(tmp_path / "o.mp4", 25) as writer:
        for t in range(40):
            frame = photo.copy()
            frame[200:260, 300:360] = 5 * t
            writer.write(frame)
    exact = VideoReformatter()
    with av.open(str(tmp_path / "o.mp4")) as container:
        read = [
            exact.reformat(frame, format="rgb24", interpolation=EXACT).to_ndarray()
            for frame in container.decode(video=0)
        ]
    still = np.ones(photo.shape[:2], bool)
    still[180:280, 280:380] = False
    error = np.stack(read)[:, still].astype(float) - photo[still]
    assert 10 * np.log10(255**2 / np.square(error).mean(axis=(1, 2)).max()) > 45
    assert np.abs(error.mean(axis=(0, 1))).max() < 0.3  # no colour shift
    assert np.abs(np.diff(error, axis=0)).mean() < 0.1


@pytest.mark.parametrize("large", [False, True])
def test_colours_are_those_of_an_independent_converter(large: bool):
    rng = np.random.default_rng(0)
    flat = np.repeat(np.repeat(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8), 16, 0), 16, 1)
    picture = to_yuv(flat, "yuv420p", large)
    back = VideoReformatter().reformat(picture, format="rgb24", src_colorspace=1 if large else 5, interpolation=EXACT)
    assert np.abs(back.to_ndarray()[8::16, 8::16].astype(int) - flat[8::16, 8::16]).max() <= 2


def test_odd_sides_are_made_even_and_opacity_is_kept(tmp_path: Path):
    alpha = np.zeros((33, 35), np.uint8)
    alpha[:, :16] = 255
    with open_writer(str(tmp_path / "o.webm"), Fraction(25), None, alpha) as writer:
        for t in range(5):
            writer.write(np.full((33, 35, 3), 40 * t, np.uint8))
    with av.open(str(tmp_path / "o.webm")) as container:
        stream = container.streams.video[0]
        decoder = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    assert frames[0].format.name == "yuva420p"
    opaque = np.asarray(memoryview(frames[0].planes[3])).reshape(frames[0].planes[3].height, -1)
    assert opaque[:, :14].min() > 240
    assert opaque[:, 20:34].max() < 15


def test_a_gif_shows_every_frame_in_its_time_and_says_what_it_is(tmp_path: Path):
    with open_writer(str(tmp_path / "o.gif"), Fraction(25), None) as writer:
        for t in range(10):
            writer.write(np.full((40, 60, 3), (20 * t, 90, 200 - 20 * t), np.uint8))
    with av.open(str(tmp_path / "o.gif")) as container:
        frames = list(container.decode(video=0))
    assert [round(float(frame.time or 0), 2) for frame in frames] == [round(0.04 * t, 2) for t in range(10)]
    content = (tmp_path / "o.gif").read_bytes()
    assert DIGITAL_SOURCE_TYPE.encode() in content
    assert content.endswith(b";")
    with pytest.raises(OutputError, match="at most 50"):
        open_writer(str(tmp_path / "fast.gif"), Fraction(60), None)


def test_a_sequence_of_png_is_exact_and_keeps_opacity(tmp_path: Path):
    rng = np.random.default_rng(0)
    frames, alpha = rng.integers(0, 255, (3, 20, 30, 3), dtype=np.uint8), rng.integers(0, 255, (20, 30), dtype=np.uint8)
    with open_writer(str(tmp_path / "f_%03d.png"), Fraction(25), None, alpha) as writer:
        for frame in frames:
            writer.write(frame)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f_000.png", "f_001.png", "f_002.png"]
    read = cv2.imread(str(tmp_path / "f_001.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(read, np.dstack([frames[1][..., ::-1], alpha]))
    assert DIGITAL_SOURCE_TYPE.encode() in (tmp_path / "f_001.png").read_bytes()
    for name in ("f.png", "f_%d_%d.png"):
        with pytest.raises(OutputError, match="need a number"):
            open_writer(str(tmp_path / name), Fraction(25), None)


def test_raw_frames_are_bytes_and_stderr_says_which(capsys: pytest.CaptureFixture[str]):
    to, frames = io.BytesIO(), np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    with RawWriter(to, Fraction(30_000, 1001)) as writer:
        for frame in frames:
            writer.write(frame)
    assert to.getvalue() == frames.tobytes()
    said = json.loads(capsys.readouterr().err)
    assert (said["width"], said["height"], said["fps"], said["synthetic"]) == (6, 4, "30000/1001", True)


@pytest.mark.parametrize("name", ["o.mp4", "o.mov", "o.mkv", "o.webm"])
def test_every_container_says_that_it_is_synthetic(tmp_path: Path, name: str):
    film(tmp_path / name, 25, tone(0.4), 10)
    with av.open(str(tmp_path / name)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert json.loads(tags["comment"])["synthetic"] is True
    if name.endswith((".mp4", ".mov")):
        assert b"Iptc4xmpExt:DigitalSourceType" in (tmp_path / name).read_bytes()
    assert len(read_audio(tmp_path / name).samples) > 0


def test_names_of_no_kind_are_refused_and_a_full_disk_is_said(tmp_path: Path):
    for name in ("o.avi", "o", "o.mp3"):
        with pytest.raises(OutputError, match="must end in"):
            open_writer(str(tmp_path / name), Fraction(25), None)
    write_video(tmp_path / "v.mp4", np.zeros((3, 32, 32, 3)), None)

    def fill() -> None:
        with VideoWriter(tmp_path / "full.mp4", 25) as writer:
            writer._part.unlink()
            writer._part.symlink_to("/dev/full")
            for t in range(60):
                writer.write(np.random.default_rng(t).integers(0, 255, (256, 256, 3), dtype=np.uint8))

    with pytest.raises(OutputError, match="could not be written"):
        fill()
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
