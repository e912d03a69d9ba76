"""What several tests make: speech-like sound, small videos."""

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stillspeak import batch
from stillspeak.data.corpora import SourceClip
from stillspeak.media.audio import Sound
from stillspeak.media.writer import VideoWriter


def tone(seconds: float, rate_hz: int = 16_000) -> Sound:
    """Speech-like noise: bursts four times a second."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.2, len(t))
    return Sound((noise * (np.sin(8 * np.pi * t) > 0)).astype(np.float32), rate_hz)


def write_video(path: Path, frames: np.ndarray, sound: Sound | None) -> None:
    with VideoWriter(path, 25, sound) as writer:
        for frame in frames:
            writer.write(frame.astype(np.uint8))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_make_row = batch._make


@contextmanager
def served(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A verb that serves: its process and its address."""
    command = [sys.executable, "-m", "stillspeak.cli", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield server, server.stdout.readline().split()[-1]
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
