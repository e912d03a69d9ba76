"""Other people's photos while somebody sends one hostile photo after another: how long they wait, and what memory stays.

The server runs under ``nice -n 15``. One client sends hostile photos without a pause; another sends an honest photo twice a
second, to ``POST /faces``.

    python benchmarks/hostile.py [SECONDS] [--nginx]
"""

import argparse
import contextlib
import io
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np
import PIL.Image
import skimage.data

EVERY_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n{ } loop\nshowpage\n%%EOF\n"
NGINX = """
daemon off; pid FOLDER/pid; error_log FOLDER/error.log; events {}
http {
  client_max_body_size 100m; access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy;
  fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  server { listen 127.0.0.1:PORT; location /talk/ { proxy_pass http://BEHIND; proxy_read_timeout 60s; } }
}
"""


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(side: int, colour_type: int, channels: int) -> bytes:
    """A PNG with 16 bits for each of many black pixels."""
    packer, row = zlib.compressobj(9), bytes(1 + side * channels * 2)
    packed = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    """A picture's file."""
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def endless_jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG that refines the same coefficients again and again: the decoder visits all of them each time."""
    whole = saved(np.zeros((side, side), np.uint8), "JPEG", progressive=True)
    begin = whole.rindex(b"\xff\xda")
    return whole[:begin] + whole[begin:-2] * scans + whole[-2:]


def hostile_photos() -> dict[str, bytes]:
    """Photos that hurt, by name."""
    noise = np.random.default_rng(0).integers(0, 255, (2400, 2400, 3), np.uint8)
    return {
        "PostScript that never ends": EPS,
        "177 million grey pixels": png_bomb(13_300, 0, 1),
        "177 million pixels of 8 bytes": png_bomb(13_300, 6, 4),
        "a JPEG of 3000 scans": endless_jpeg(9000, 3000),
        "noise without a face": saved(noise, "JPEG", quality=90),
        "a WebP of 225 million pixels": saved(np.zeros((15_000, 15_000), np.uint8), "WEBP", lossless=True, method=0),
        "a list of files": b"#EXTM3U\n#EXTINF:3.0,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        "half a photo": saved(skimage.data.astronaut(), "JPEG", quality=95)[:20_000],
    }


def tree(process: int) -> list[int]:
    """A process and all that it started."""
    children = [int(c) for task in Path(f"/proc/{process}/task").glob("*/children") for c in task.read_text().split()]
    return [process] + [one for child in children for one in tree(child)]


def memory_mb(process: int) -> tuple[float, float]:
    """Memory of a server's process, and of it with all that it started, each page counted once."""

    def pss(one: int) -> float:
        with contextlib.suppress(OSError):  # it has just ended
            said = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in said if line.startswith("Pss:")) / 1024
        return 0.0

    return pss(process), sum(pss(one) for one in tree(process))


@contextlib.contextmanager
def server(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server and its address."""
    command = ["nice", "-n", "15", sys.executable, "-m", "stillspeak.cli", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.kill()


@contextlib.contextmanager
def nginx(behind: str, port: int = 8498) -> Iterator[str]:
    """An nginx that shows the server at a sub-path: its address."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # nginx's workers are somebody else
        settings = NGINX.replace("FOLDER", folder).replace("PORT", str(port)).replace("BEHIND", behind.split("//")[1])
        (Path(folder) / "nginx.conf").write_text(settings)
        command = ["nginx", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        with subprocess.Popen(command) as process:
            time.sleep(1)
            try:
                yield f"http://127.0.0.1:{port}/talk"
            finally:
                process.terminate()


def attack(address: str, photos: dict[str, bytes], stopped: threading.Event, answers: Counter[str]) -> None:
    """Sends one hostile photo after another."""
    with httpx.Client(timeout=PATIENCE_SECONDS) as client:
        for name, photo in cycle(photos.items()):
            if stopped.is_set():
                return
            began = time.perf_counter()
            answer = client.post(f"{address}/faces", files={"photo": photo})
            answers[name] += 1
            said = answer.json() if answer.status_code != 200 else "faces"
            if answers[name] == 1:
                print(f"  {name}: {answer.status_code} in {time.perf_counter() - began:.1f} s, {said}", flush=True)


def ask(address: str, seconds: float, answers: Counter[str]) -> list[float]:
    """Sends honest photos; seconds until each was answered."""
    photo, waited = saved(skimage.data.astronaut(), "JPEG", quality=95), list[float]()
    with httpx.Client(timeout=PATIENCE_SECONDS) as client:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            answer = client.post(f"{address}/faces", files={"photo": photo})
            waited.append(time.perf_counter() - began)
            answers["honest" if answer.status_code == 200 else f"honest, answered {answer.status_code}"] += 1
            time.sleep(max(0.0, EVERY_SECONDS - waited[-1]))
    return waited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=300.0, help="of hostile photos (300)")
    parser.add_argument("--nginx", action="store_true", help="nginx shows the server at a sub-path")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as opened:
        options = ["--root-path", "/talk"] if arguments.nginx else []
        process, address = opened.enter_context(server(*options))
        if arguments.nginx:
            address = opened.enter_context(nginx(address))
        answers: Counter[str] = Counter()
        photos = hostile_photos()
        alone = ask(address, 10.0, answers)
        before, stopped = memory_mb(process.pid), threading.Event()
        attacking = threading.Thread(target=attack, args=(address, photos, stopped, answers))
        attacking.start()
        waited = ask(address, arguments.seconds, answers)
        stopped.set()
        attacking.join()
        time.sleep(3)
        after = memory_mb(process.pid)
        print(dict(answers))
        for name, times in (("before", alone), ("meanwhile", waited)):
            print(f"honest photos {name}: worst {max(times):.2f} s, median {statistics.median(times):.2f} s")
        for name, one, other in zip(("server", "server with its processes"), before, after, strict=True):
            print(f"memory of the {name}: {one:.0f} MB before, {other:.0f} MB after")
        began = time.perf_counter()
        process.terminate()
        process.wait()
        print(f"SIGTERM ended it in {time.perf_counter() - began:.1f} s")


if __name__ == "__main__":
    main()
