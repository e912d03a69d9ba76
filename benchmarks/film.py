"""Seconds of work for a second of film, by stage and by size; how memory and timing hold over a long talk.

Stages are measured one after another over the same frames; the whole job, where encoding overlaps with the rest, beside them.

    python benchmarks/film.py [--minutes 60]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
import skimage.data
import soundfile

import stillspeak
from stillspeak.jobs import Job, run_job
from stillspeak.media.audio import read_audio
from stillspeak.media.images import write_image
from stillspeak.media.writer import VideoWriter
from stillspeak.runtime.scene import open_scene

SPEECH = Path(__file__).parent.parent / "examples" / "hello.flac"
ROUNDS = 3
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds of the fastest of some repetitions, and what came out."""
    best, result = float("inf"), None
    for _ in range(ROUNDS):
        began = time.perf_counter()
        result = work()
        best = min(best, time.perf_counter() - began)
    assert result is not None
    return best, result


def photo(height: int, width: int) -> np.ndarray:
    """The astronaut, as high as the picture."""
    square = cv2.resize(np.asarray(skimage.data.astronaut(), np.uint8), (height, height), interpolation=cv2.INTER_CUBIC)
    side = (width - height) // 2
    return np.pad(square, ((0, 0), (side, width - height - side), (0, 0)), mode="edge")


def stages(animator: stillspeak.Animator, image: np.ndarray, folder: Path) -> list[float]:
    """Seconds for a second of film: face, network, compose, encode, the whole job."""
    write_image(folder / "photo.png", image)
    sound = read_audio(SPEECH)
    samples = sound.at(animator.rate_hz).samples
    face, scene = timed(lambda: open_scene(folder / "photo.png"))

    def draw() -> object:
        talk, first = animator.push(animator.begin_aligned(scene.faces[0].still), samples)
        return [first, animator.finish(talk)[1]]

    network, layers = timed(draw)
    compose, frames = timed(lambda: [frame for part in layers for frame in scene.film([part])])

    def encode() -> bool:
        with VideoWriter(folder / "out.mp4", animator.fps, SPEECH) as writer:
            for frame in frames:
                writer.write(frame)
        return True

    encoding, _ = timed(encode)
    job = Job(str(folder / "photo.png"), str(SPEECH), str(folder / "out.mp4"))
    whole, _ = timed(lambda: run_job(job, lambda: animator, quiet=True) or True)
    return [seconds / sound.seconds for seconds in (face, network, compose, encoding, whole)]


def long_talk(folder: Path, minutes: float) -> tuple[float, float, float]:
    """Peak megabytes of the command on so much speech, seconds it took, and how far sound and picture end apart."""
    sound = read_audio(SPEECH)
    soundfile.write(folder / "long.flac", np.resize(sound.samples, round(60 * minutes * sound.rate_hz)), sound.rate_hz)
    write_image(folder / "photo.png", photo(512, 512))
    files = [str(folder / name) for name in ("photo.png", "long.flac", "long.mp4")]
    command = [sys.executable, "-m", "stillspeak.cli", "animate", files[0], files[1], "-o", files[2]]
    began = time.perf_counter()
    watch = f"import resource, subprocess; subprocess.run({command!r}, check=True, stderr=subprocess.DEVNULL)"
    peak = f"{watch}; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", peak], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    with av.open(files[2]) as film:
        ends = [float((stream.duration or 0) * (stream.time_base or 0)) for stream in film.streams]
    return int(done.stdout) / 1000, seconds, abs(ends[0] - ends[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[], help="talks of so many minutes, for memory")
    minutes = parser.parse_args().minutes
    animator = stillspeak.load()
    print("seconds of work for a second of film, 25 frames\n")
    print("| size | face | network | compose | encode | the whole job |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for width, height in ((512, 512), (1280, 720), (1920, 1080), (3840, 2160)):
            figures = stages(animator, photo(height, width), Path(name))
            print(f"| {width} x {height} | " + " | ".join(f"{value:.3f}" for value in figures) + " |", flush=True)
        if minutes:
            print(
                "\n| minutes of speech | peak memory, MB | seconds | sound and picture end apart, ms |\n|---|---|---|---|"
            )
        for length in minutes:
            peak, seconds, apart = long_talk(Path(name), length)
            print(f"| {length:g} | {peak:.0f} | {seconds:.0f} | {1000 * apart:.1f} |", flush=True)


if __name__ == "__main__":
    main()
