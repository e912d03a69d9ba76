"""What several tests make: speech-like sound, small videos."""

import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import av
import numpy as np

from stillspeak import batch
from stillspeak.data.corpora import SourceClip
from stillspeak.data.manifest import read_manifest, write_manifest
from stillspeak.media.audio import Sound
from stillspeak.media.writer import VideoWriter
from stillspeak.study.build import Film, Study


def of_unequal_lengths(prepared: Path, folder: Path) -> Path:
    """A prepared folder with the clips of another, each shorter than the one before it."""
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns("cache"))
    records = read_manifest(folder, dropped=True)
    lengths = [max(record.frames - 5 * number, 8) for number, record in enumerate(records)]
    cut = [
        replace(record, frames=min(frames, record.frames), landmarks=record.landmarks[: 136 * frames])
        for record, frames in zip(records, lengths, strict=True)
    ]
    write_manifest(folder, cut)
    return folder


def tone(seconds: float, rate_hz: int = 16_000) -> Sound:
    """Speech-like noise: bursts four times a second."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.2, len(t))
    return Sound((noise * (np.sin(8 * np.pi * t) > 0)).astype(np.float32), rate_hz)


def write_video(path: Path, frames: np.ndarray, sound: Sound | None) -> None:
    with VideoWriter(path, 25, sound) as writer:
        for frame in frames:
            writer.write(frame.astype(np.uint8))


def planned(folder: Path, kind: str, clips: int = 24) -> Study:
    """A study whose videos are a few bytes each."""
    methods = ["ours"] if kind == "turing" else ["ours", "static"]
    made = [*(["real"] if kind == "turing" else []), *methods]
    films = [Film(f"{clip:03}{method}.mp4", f"s1/{clip}", method) for clip in range(clips) for method in made]
    checks = ("real", "generated") if kind == "turing" else ("this", "other")
    films += [Film(f"check_{check}.mp4", "", "check", check) for check in checks]
    study = Study(kind, methods, films, (6, 4) if kind == "turing" else (10, 0), "name")
    (folder / "videos").mkdir(parents=True)
    for film in films:
        (folder / "videos" / film.name).write_bytes(film.name.encode())
    (folder / "study.json").write_text(json.dumps(asdict(study)))
    return study


def flashing(path: Path, seconds: int = 3, picture: str = "libx264", sound: str = "aac") -> Path:
    """A video that is white, and whistles, from 0.48 to 0.56 s of every second; a key frame every 0.48 s."""
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream(picture, rate=25), container.add_stream(sound, rate=48_000, layout="mono")
        video.width, video.height, video.pix_fmt, video.gop_size = 64, 48, "yuv420p", 12
        made = 0
        for t in range(25 * seconds):
            shown = np.full((48, 64, 3), 240 if t % 25 in (12, 13) else 20, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(shown, "rgb24")))
            while made < (t + 1) * 1920:
                at = np.arange(made, made + 1024) / 48_000
                heard = 0.5 * np.sin(2000 * np.pi * at) * ((at % 1 >= 0.48) & (at % 1 < 0.56))
                frame = av.AudioFrame.from_ndarray(heard.astype(np.float32)[None], "fltp", "mono")
                frame.sample_rate, frame.pts, made = 48_000, made, made + 1024
                container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


def remuxed(source: Path, to: Path, change: Callable[[av.Packet], bool | None]) -> Path:
    """A file with the packets of another, each after ``change`` has looked at it; those it answers False to are left out."""
    with av.open(str(source)) as read, av.open(str(to), "w") as container:
        streams = {stream.index: container.add_stream_from_template(stream) for stream in read.streams}
        for packet in read.demux():
            if packet.size and change(packet) is not False:
                packet.stream = streams[packet.stream_index]
                container.mux(packet)
    return to


def later(packet: av.Packet, seconds: float) -> None:
    """Moves the time stamps of a packet."""
    ticks = round(seconds / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_make_row = batch._make


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A verb that serves: its process and its address."""
    command = [sys.executable, "-m", "stillspeak.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server, server.stdout.readline().split()[-1]
        finally:  # a test that fails leaves no server behind
            server.terminate()


def killed_preparing(clip: SourceClip, destination: Path, voices: int, readings: int) -> None:
    """As a clip is prepared, but ended from outside."""
    os.kill(os.getpid(), 9)


def killed_by_a(row: batch.Row, model: str, threads: int) -> None:
    """As the batch makes a row, but ended from outside at ``a.mp4``; here, where a spawned process can import it."""
    if row.job.output.endswith("a.mp4"):
        os.kill(os.getpid(), 9)
    _make_row(row, model, threads)


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file with its length and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(width: int, height: int, colour_type: int, channels: int) -> bytes:
    """A PNG of 16 bits whose pixels are all 0: a megabyte at most, whatever its size."""
    row, packer = bytes(1 + width * channels * 2), zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def launch(arguments: list[str], processes: int) -> subprocess.CompletedProcess[str]:
    """Runs a command of stillspeak under torchrun."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [*torchrun, "-m", "--", "stillspeak.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
