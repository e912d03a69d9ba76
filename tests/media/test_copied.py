"""What the mouth follows is what the film holds: packets are kept only where both are the same, and where players play them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from helpers import flashing, later, remuxed
from media.test_writer import film, lag_seconds, record
from stillspeak.media.audio import read_audio
from stillspeak.media.copied import CopiedTrack, is_played
from stillspeak.media.soundtrack import EncodedTrack

OUT = ["o.mp4", "o.mov", "o.mkv", "o.webm"]


def stands_alone(path: Path) -> bool:
    """Whether the time stamps of a film's sound begin at the picture's and have neither gap nor overlap."""
    with av.open(str(path)) as container:
        frames = [(float(frame.pts * frame.time_base), frame.samples) for frame in container.decode(audio=0)]
        rate_hz = container.streams.audio[0].codec_context.sample_rate
    times, made = np.array([time for time, _ in frames]), np.cumsum([0, *(samples for _, samples in frames)])
    return abs(times[0]) < 0.025 and bool(np.abs(times - times[0] - made[:-1] / rate_hz).max() < 0.01)


def halves_agree(made: Path, real: Path) -> bool:
    """Whether a film's sound is a file's, at its beginning and at its end."""
    one, other = read_audio(made), read_audio(real).at(read_audio(made).rate_hz)
    count, half = min(len(one.samples), len(other.samples)), one.rate_hz
    parts = [slice(0, half), slice(count - half, count)]
    cut = [(type(one)(one.samples[part], half), type(one)(other.samples[part], half)) for part in parts]
    return all(abs(lag_seconds(*pair)) < 2e-3 for pair in cut)


def earlier(packet: av.Packet, seconds: float) -> None:
    """Moves what is heard after a second; mkv does not keep the other time stamps, which must grow to be written."""
    dts = packet.dts
    if packet.pts * packet.time_base > 1:
        later(packet, -seconds)
    packet.dts = dts - round(seconds / packet.time_base)


def encoded_and_whole(folder: Path, source: Path, seconds: float) -> None:
    assert read_audio(source).seconds == pytest.approx(seconds, abs=0.1)
    for out in OUT:
        writer = film(folder / out, 25, source, int(read_audio(source).seconds * 25))
        assert isinstance(writer._track, EncodedTrack)
        assert stands_alone(folder / out)
        assert halves_agree(folder / out, source)


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "aac"), ("a.ogg", "libopus"), ("a.mp3", "mp3")])
def test_files_that_were_joined_are_encoded_as_they_are_heard(tmp_path: Path, name: str, codec: str):
    one = record(tmp_path / name, codec, 48_000).read_bytes()
    two = record(tmp_path / name, codec, 24_000 if codec == "mp3" else 48_000, 1.5).read_bytes()
    (tmp_path / f"joined{name}").write_bytes(one + two)
    encoded_and_whole(tmp_path, tmp_path / f"joined{name}", 3.5)


@pytest.mark.parametrize(
    ("name", "codec", "to"),
    [
        ("a.m4a", "aac", "gap.mp4"),
        ("a.webm", "libopus", "gap.webm"),
        ("a.webm", "libopus", "gap.mkv"),
        ("a.ogg", "libopus", "gap.ogg"),
        ("a.ts", "aac", "gap.ts"),
    ],
)
@pytest.mark.parametrize(("gap", "seconds"), [(90.0, 2.0), (0.3, 2.3), (1.5, 3.5)])
def test_a_gap_is_silence_or_left_out_for_mouth_and_film_alike(
    tmp_path: Path, name: str, codec: str, to: str, gap: float, seconds: float
):
    def change(packet: av.Packet) -> None:
        if packet.pts * packet.time_base > 1:
            later(packet, gap)

    source = remuxed(record(tmp_path / name, codec, 48_000), tmp_path / to, change)
    encoded_and_whole(tmp_path, source, seconds)


def test_packets_that_overlap_are_not_kept_and_all_are_heard(tmp_path: Path):
    def change(packet: av.Packet) -> None:
        earlier(packet, 0.1)

    source = remuxed(record(tmp_path / "a.mka", "aac", 48_000), tmp_path / "b.mka", change)
    encoded_and_whole(tmp_path, source, 2.0)  # no picture says when it should be over


def test_sound_that_overlaps_itself_stays_with_its_picture(tmp_path: Path):
    def change(packet: av.Packet) -> None:
        if packet.stream.type == "audio":
            earlier(packet, 0.1)

    heard = read_audio(remuxed(flashing(tmp_path / "a.mkv"), tmp_path / "b.mkv", change))
    loud = np.flatnonzero(np.abs(heard.samples) > 0.15) / heard.rate_hz
    assert loud[np.diff(loud, prepend=-1) > 0.2].tolist() == pytest.approx([0.48, 1.38, 2.38], abs=0.03)


def test_damaged_packets_are_not_kept(tmp_path: Path):
    source = record(tmp_path / "a.mp3", "mp3", 48_000)
    data = bytearray(source.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 900] = bytes(900)
    source.write_bytes(data)
    assert isinstance(film(tmp_path / "o.mkv", 25, source, 45)._track, EncodedTrack)


def test_packets_of_a_transport_stream_are_kept(tmp_path: Path):
    source = record(tmp_path / "a.ts", "aac", 48_000)
    for out in ("o.mp4", "o.mov", "o.mkv"):
        assert isinstance(film(tmp_path / out, 25, source, 50)._track, CopiedTrack)
        assert halves_agree(tmp_path / out, source)


def test_aac_of_a_studios_rate_is_encoded_where_it_is_not_played(tmp_path: Path):
    source = record(tmp_path / "a.m4a", "aac", 96_000)
    film(tmp_path / "o.mp4", 25, source, 50)
    with av.open(str(tmp_path / "o.mp4")) as container:
        assert container.streams.audio[0].codec_context.sample_rate == 48_000


@pytest.mark.parametrize(
    ("codec", "profile", "rate_hz", "layout", "played"),
    [
        ("aac", "LC", 44_100, "stereo", True),
        ("aac", "LC", 48_000, "5.1", True),
        ("aac", "LC", 48_000, "7.1", False),
        ("aac", "LC", 96_000, "stereo", False),
        ("aac", "HE-AAC", 44_100, "stereo", False),
        ("aac", "xHE-AAC", 48_000, "mono", False),
        ("aac", None, 48_000, "mono", False),
        ("opus", None, 48_000, "7.1", True),
        ("opus", None, 48_000, "4 channels", False),
        ("flac", None, 96_000, "stereo", True),
        ("vorbis", None, 48_000, "9 channels", False),
    ],
)
def test_what_is_played_is_known_by_codec_profile_rate_and_channels(
    codec: str, profile: str | None, rate_hz: int, layout: str, played: bool
):
    stream: Any = SimpleNamespace(codec_context=SimpleNamespace(name=codec), profile=profile)
    frame = av.AudioFrame("fltp", layout, 0)
    frame.sample_rate = rate_hz
    assert is_played(stream, frame) == played
