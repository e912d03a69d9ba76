"""Sound and films are opened; what leads to other files, to devices or to the network is not."""

import contextlib
import io
import socket
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from helpers import tone, write_video
from seeds import REFUSED_SOUNDS
from stillspeak.errors import MediaError
from stillspeak.media.audio import read_audio, sound_seconds
from stillspeak.media.inspection import inspect
from stillspeak.media.opening import open_media
from stillspeak.media.video import read_video


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound in it that no other file may lead to."""
    folder = tmp_path_factory.mktemp("private")
    with av.open(str(folder / "private.ts"), "w") as container:
        stream = container.add_stream("mp2", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for number in range(3):
        Image.new("RGB", (32, 32)).save(folder / f"frame_{number:03d}.png")
    return folder


@pytest.mark.parametrize("kind", REFUSED_SOUNDS)
@pytest.mark.parametrize("suffix", [".wav", ".m3u8", ".sdp", ".mpd", ".ffconcat"])
def test_a_list_of_files_is_no_sound(beside: Path, kind: str, suffix: str):
    asked: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = beside / f"list{suffix}"
        path.write_text(REFUSED_SOUNDS[kind].replace("PORT", str(server.getsockname()[1])))
        server.settimeout(0.01)
        with pytest.raises(MediaError, match="not a sound or video file"):
            read_audio(path)
        with pytest.raises(TimeoutError):
            asked.append(server.accept())
    assert inspect(path)["synthetic"] is None
    assert not asked


@pytest.mark.parametrize(
    "name", ["frame_%03d.png", "frame_*.png", "concat:private.ts", "subfile,,start,0,end,0,,:private.ts"]
)
def test_a_name_is_never_a_pattern_or_a_protocol(beside: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(beside)
    with pytest.raises(MediaError, match="There is no file"):
        sound_seconds(name)
    Path(name).write_bytes((beside / "frame_001.png").read_bytes())
    with pytest.raises(MediaError, match="sound"):
        read_audio(name)
    Path(name).unlink()


SOUNDS = {
    "wav": "pcm_s16le", "w64": "pcm_s16le", "aiff": "pcm_s16be", "au": "pcm_s16be", "caf": "pcm_s16be", "flac": "flac",
    "mp3": "libmp3lame", "mp2": "mp2", "adts": "aac", "ogg": "libopus", "opus": "libopus", "mp4": "aac", "mov": "pcm_s16le",
    "ipod": "aac", "3gp": "aac", "matroska": "pcm_s16le", "webm": "libopus", "avi": "pcm_s16le", "asf": "wmav2", "mpegts": "mp2",
    "mpeg": "mp2", "ac3": "ac3", "eac3": "eac3", "wv": "wavpack", "tta": "tta", "flv": "libmp3lame", "voc": "pcm_s16le",
    "ircam": "pcm_s16le", "sox": "pcm_s32le", "nut": "pcm_s16le",
}  # fmt: skip


def encoded(path: Path, muxer: str, codec: str, rate_hz: int) -> None:
    samples = np.round(tone(1.0, rate_hz).samples.clip(-1, 1) * 20_000).astype(np.int16)
    with av.open(str(path), "w", format=muxer) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono")
        stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("muxer", [name for name, codec in SOUNDS.items() if codec])
def test_sound_of_every_kind_that_people_have_is_opened(tmp_path: Path, muxer: str):
    encoded(tmp_path / f"a.{muxer}", muxer, SOUNDS[muxer], 48_000)
    assert read_audio(tmp_path / f"a.{muxer}").seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    "kind", ["RF64", "NIST", "PAF", "SVX", "VOC", "IRCAM", "AVR", "CAF", "WAVEX", "AU", "AIFF", "MP3"]
)
def test_sound_of_studios_and_of_science_is_opened(tmp_path: Path, kind: str):
    soundfile.write(tmp_path / "sound", tone(1.0).samples, 16_000, format=kind)
    try:
        av.open(str(tmp_path / "sound")).close()
    except av.error.InvalidDataError:
        pytest.skip("FFmpeg cannot read it either")
    open_media(tmp_path / "sound").close()


def test_films_are_opened(tmp_path: Path):
    frames = np.zeros((5, 32, 32, 3), np.uint8)
    for suffix in (".mp4", ".mov", ".mkv"):
        write_video(tmp_path / f"a{suffix}", frames, tone(0.2, 48_000))
        assert len(read_video(tmp_path / f"a{suffix}")) == 5
    Image.fromarray(frames[0]).save(
        tmp_path / "a.gif", save_all=True, append_images=[Image.new("RGB", (32, 32), "red")]
    )
    with open_media(tmp_path / "a.gif") as moving:
        assert moving.streams.video


def test_what_a_file_says_of_itself_is_read_without_asking_anybody(tmp_path: Path):
    """A C2PA manifest may lie on a server that the file names; whoever looks at the file would be counted there."""
    pytest.importorskip("c2pa")
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"http://127.0.0.1:{server.getsockname()[1]}/a.c2pa"
        xmp = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="'
            f'{where}"/></rdf:RDF></x:xmpmeta>'
        )
        server.settimeout(5)

        def listen() -> None:
            with contextlib.suppress(OSError):
                asked.append(server.accept()[0].recv(100))

        listening = threading.Thread(target=listen)
        listening.start()
        file = io.BytesIO()
        Image.new("RGB", (32, 32)).save(file, "JPEG", xmp=xmp.encode())
        (tmp_path / "a.jpg").write_bytes(file.getvalue())
        assert inspect(tmp_path / "a.jpg")["synthetic"] is None
        server.shutdown(socket.SHUT_RDWR)
        listening.join()
    assert not asked
