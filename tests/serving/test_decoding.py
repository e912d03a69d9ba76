"""Photos of strangers are decoded elsewhere: the same pixels, and whatever a photo does, others do not wait and nothing stays."""

import asyncio
import io
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.applications import Starlette

from helpers import png_chunk
from stillspeak.errors import MediaError
from stillspeak.media.images import decode_image
from stillspeak.media.provenance import PNG_SIGNATURE
from stillspeak.serving import decoding, listen
from stillspeak.serving.decoding import Decoders
from stillspeak.serving.refusals import BusyError

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n{ } loop\nshowpage\n%%EOF\n"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes under /proc")


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def during(work: Callable[[Decoders], Awaitable[None]], seconds: float = 15.0, most_px: int = 3840) -> None:
    async def run() -> None:
        async with Decoders(most_px, seconds) as decoders:
            await work(decoders)

    asyncio.run(run())


def processes() -> list[int]:
    """The decoders that run for this process."""
    children = Path("/proc/self/task").glob("*/children")
    found = [int(child) for file in children for child in file.read_text().split()]
    return [child for child in found if b"serving.decoder" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_photo_comes_back_as_it_is_and_a_large_one_smaller(astronaut: np.ndarray):
    async def work(decoders: Decoders) -> None:
        pixels, smaller = await decoders.decode(png(astronaut))
        np.testing.assert_array_equal(pixels, astronaut)
        assert smaller == 1
        wide = np.repeat(astronaut, 2, axis=1)
        pixels, smaller = await decoders.decode(png(wide))
        assert pixels.shape == (320, 640, 3)
        assert smaller == 1.6
        np.testing.assert_array_equal(pixels, decode_image(png(wide), "it", 640)[0])

    during(work, most_px=640)


def test_what_is_no_photo_is_said_in_a_sentence_and_the_next_photo_is_read(astronaut: np.ndarray):
    async def work(decoders: Decoders) -> None:
        large = PNG_SIGNATURE + png_chunk(b"IHDR", struct.pack(">IIBBBBB", 13_300, 13_300, 16, 6, 0, 0, 0))
        large += png_chunk(b"IDAT", b"")
        bad = {EPS: "not a picture", b"": "not a picture", large: "708 MB of memory"}
        for photo, said in bad.items():
            with pytest.raises(MediaError, match=f"^The photo .*{said}"):
                await decoders.decode(photo)
        assert (await decoders.decode(png(astronaut)))[0].shape == astronaut.shape

    during(work)


def test_a_photo_whose_decoder_hangs_is_given_up_and_others_do_not_wait(monkeypatch: pytest.MonkeyPatch):
    program = """if True:
        import json, sys, time
        while line := sys.stdin.buffer.readline():
            photo = sys.stdin.buffer.read(json.loads(line)["bytes"])
            if photo == b"hostile":
                time.sleep(600)
            sys.stdout.buffer.write(json.dumps({"height": 1, "width": 1, "smaller": 1}).encode() + b"\\n" + photo)
            sys.stdout.buffer.flush()
    """
    monkeypatch.setattr(decoding, "_COMMAND", ["-c", program])

    async def work(decoders: Decoders) -> None:
        hostile = [asyncio.create_task(decoders.decode(b"hostile")) for _ in range(3)]
        honest = [await decoders.decode(b"rgb") for _ in range(20)]
        assert not any(task.done() for task in hostile)
        for task in hostile:
            task.cancel()
        decoders._seconds = 0.3
        with pytest.raises(MediaError, match=r"longer than 0\.3 s"):
            await decoders.decode(b"hostile")
        decoders._seconds = 60.0
        honest.append(await decoders.decode(b"rgb"))
        assert all(pixels.tobytes() == b"rgb" for pixels, _ in honest)

    during(work, seconds=60.0)


@linux
def test_a_process_that_was_ended_from_outside_costs_nobody_a_photo(astronaut: np.ndarray):
    async def work(decoders: Decoders) -> None:
        await decoders.decode(png(astronaut))
        for process in processes():
            os.kill(process, signal.SIGKILL)
        assert (await decoders.decode(png(astronaut)))[0].shape == astronaut.shape

    during(work)


@linux
def test_nothing_runs_once_the_server_has_ended():
    async def work(decoders: Decoders) -> None:
        with pytest.raises(MediaError):
            await decoders.decode(EPS)
        os.kill(processes()[0], signal.SIGSTOP)

    during(work)
    assert not processes()


@linux
def test_a_decoder_that_lost_its_server_ends_by_itself(astronaut: np.ndarray):
    command = [sys.executable, "-m", "stillspeak.serving.decoder"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        out, _ = process.communicate(b"", 20)
    assert (process.returncode, out) == (0, b"")


@pytest.mark.parametrize(
    "said",
    [b"", b"hello\n", b"[]\n", b'{"height": 1}\n', b'{"height": 2, "width": 2, "smaller": 1}\nabc', b"x" * 9_000_000]
    + [b'{"height": %d, "width": 2, "smaller": 1}\n' % n + bytes(50_000) for n in (-1, 0, 5000)],
)
def test_what_a_broken_process_says_is_not_believed(said: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "said").write_bytes(said)
    program = f"import sys; sys.stdin.buffer.readline(); sys.stdout.buffer.write(open({str(tmp_path / 'said')!r}, 'rb').read())"
    monkeypatch.setattr(decoding, "_COMMAND", ["-c", program])

    async def work(decoders: Decoders) -> None:
        with pytest.raises(MediaError, match="breaks its decoder"):
            await decoders.decode(b"photo")

    during(work)


def test_a_server_that_is_to_end_does_not_wait_for_a_photo(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "_COMMAND", ["-c", "import time; time.sleep(600)"])

    async def work(decoders: Decoders) -> None:
        app = Starlette()
        app.state.service = decoders
        asking = asyncio.create_task(decoders.decode(b"hostile"))
        while not any(decoder.photos for decoder in decoders._all):
            await asyncio.sleep(0.01)
        listen._Server(uvicorn.Config(app)).handle_exit(signal.SIGTERM, None)
        with pytest.raises(BusyError, match="The server stops"):
            await asking

    during(work, seconds=60.0)
