"""The live server under load, over real sockets: latency, how many talks hold, what faults do to the others.

Each talk sends 40 ms of speech every 40 ms, as a microphone does, and notes when each frame arrives. A frame is late if it
comes more than 40 ms later than the median.

    python benchmarks/live.py [--talks 1 2 4 6 8] [--seconds 30] [--faults]
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import skimage.data
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from stillspeak.media.audio import read_audio
from stillspeak.serving.protocol import unpack

SPEECH = Path(__file__).parent.parent / "examples" / "hello.flac"
RATE_HZ, CHUNK = 16_000, 640
AHEAD_SECONDS = 0.06  # a frame needs the sound of 60 ms after it


def photo() -> bytes:
    done, data = cv2.imencode(".png", cv2.cvtColor(np.asarray(skimage.data.astronaut(), np.uint8), cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


PHOTO = photo()
SOUND = np.rint(read_audio(SPEECH).at(RATE_HZ).samples.clip(-1, 1) * 32767).astype("<i2")


@contextlib.contextmanager
def server(sessions: int) -> Iterator[tuple[str, int]]:
    """A server of its own; its address and the process's number."""
    command = [sys.executable, "-m", "stillspeak.cli", "serve", "--port", "0", "--sessions", str(sessions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1], process.pid
        process.terminate()


async def talk(address: str, seconds: float) -> tuple[list[float], float]:
    """Seconds from the last sample that each frame needs to its arrival, and to the first frame after 200 ms of speech."""
    sent: list[float] = []  # when each chunk went
    arrived: dict[int, float] = {}
    async with connect(address.replace("http", "ws") + "/talk", max_size=None) as socket:
        await socket.send(json.dumps({"idle": False}))
        await socket.send(PHOTO)
        await socket.recv()

        async def listen() -> None:
            async for message in socket:
                if isinstance(message, str):
                    return
                arrived[unpack(message).number] = time.perf_counter()

        listening = asyncio.create_task(listen())
        began = time.perf_counter() + random.random() * 0.04
        for number in range(round(seconds * RATE_HZ / CHUNK)):
            await asyncio.sleep(max(0.0, began + number * CHUNK / RATE_HZ - time.perf_counter()))
            chunk = SOUND[np.arange(number * CHUNK, (number + 1) * CHUNK) % len(SOUND)]
            sent.append(time.perf_counter())
            await socket.send(chunk.tobytes())
        await socket.send('{"end": true}')
        await listening
    waits = []
    for frame, when in sorted(arrived.items()):
        needed = int(np.ceil(((frame + 1) / 25 + AHEAD_SECONDS) * RATE_HZ / CHUNK)) - 1
        if needed < len(sent):
            waits.append(when - sent[needed])
    return waits, min(when for when in arrived.values()) - sent[round(0.2 * RATE_HZ / CHUNK) - 1]


async def load(address: str, talks: int, seconds: float) -> list[tuple[list[float], float]]:
    return await asyncio.gather(*(talk(address, seconds) for _ in range(talks)))


def row(results: list[tuple[list[float], float]]) -> str:
    """Median and 99th percentile of the latency, share that is late, the first frame."""
    waits = np.array([wait for one, _ in results for wait in one])
    median, worst = np.quantile(waits, [0.5, 0.99])
    late = float((waits > median + 0.04).mean())
    first = max(first for _, first in results)
    return f"{1000 * median:.0f} | {1000 * worst:.0f} | {100 * late:.2f} | {1000 * first:.0f}"


async def nuisance(address: str, until: float) -> int:
    """Connections that die at random, garbage, half uploads, until a moment; returns how many."""
    count, host = 0, address.removeprefix("http://").rsplit(":", 1)
    while time.perf_counter() < until:
        count += 1
        with contextlib.suppress(OSError, WebSocketException, asyncio.TimeoutError):
            kind = random.randrange(4)
            if kind == 0:  # half an upload
                _, writer = await asyncio.open_connection(host[0], int(host[1]))
                head = "POST /animate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                writer.write((head + "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n").encode())
                await asyncio.sleep(random.random())
                writer.close()
                continue
            async with connect(address.replace("http", "ws") + "/talk", max_size=None) as socket:
                if kind == 1:
                    await socket.send(random.randbytes(1000))
                    await socket.recv()
                    continue
                await socket.send("{}" if random.random() < 0.9 else "garbage")
                await socket.send(PHOTO if kind == 2 else random.randbytes(5000))
                await asyncio.wait_for(socket.recv(), 20)
                for _ in range(random.randrange(10)):
                    await socket.send(random.randbytes(random.choice([640, 1280, 641])))
                    await asyncio.sleep(0.02)
                socket.transport.abort()  # gone without a word
        await asyncio.sleep(random.random() * 0.2)
    return count


async def faults(address: str, seconds: float) -> tuple[str, int]:
    """One honest talk among twenty nuisances."""
    until = time.perf_counter() + seconds
    honest = asyncio.create_task(talk(address, seconds))
    counts = await asyncio.gather(*(nuisance(address, until) for _ in range(20)))
    return row([await honest]), sum(counts)


def memory_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", status)
    return int(found[1]) / 1000 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--talks", type=int, nargs="*", default=[1, 2, 4, 6, 8])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--faults", action="store_true")
    arguments = parser.parse_args()
    with server(max([*arguments.talks, 30])) as (address, process):
        asyncio.run(load(address, 1, 2.0))  # the first talk loads what is loaded once
        print("| talks | latency, median, ms | 99th percentile | late, % | first frame after 200 ms of speech, ms |")
        print("|---|---|---|---|---|")
        for talks in arguments.talks:
            print(f"| {talks} | {row(asyncio.run(load(address, talks, arguments.seconds)))} |", flush=True)
        if arguments.faults:
            before = memory_mb(process)
            found, count = asyncio.run(faults(address, arguments.seconds))
            print(f"| 1, among {count} connections that die or talk nonsense | {found} |")
            time.sleep(3)
            with urlopen(f"{address}/health", timeout=10) as answer:
                left = json.load(answer)["sessions"]
            print(f"\nafterwards {left} talks are left; memory {before:.0f} -> {memory_mb(process):.0f} MB")


if __name__ == "__main__":
    main()
