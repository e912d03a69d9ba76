"""Milliseconds a frame, side by side in one run, on this machine's CPU. Beside them the paper's own figures (section 4).

python benchmarks/speed.py [--threads 2]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
import torch
from torch.nn import functional

import stillspeak
from stillspeak.config import Config
from stillspeak.media.audio import read_audio
from stillspeak.media.writer import VideoWriter
from stillspeak.model.blocks import UNetBlock
from stillspeak.model.generator import Generator
from stillspeak.presets import default, paper
from stillspeak.runtime.engine import Engine, find_model

SPEECH = Path(__file__).parent.parent / "examples" / "hello.flac"
ROUNDS, SECONDS = 5, 1.5  # every row is measured for so long in each round; the best of all its repetitions counts
Job = tuple[str, int, Callable[[], object]]  # a row's name, the frames of one repetition, the repetition


def best_ms(jobs: list[Job]) -> list[float]:
    """Milliseconds a frame of each row's fastest repetition. Rounds, so that a busy moment of the machine hits all rows."""
    best = [float("inf")] * len(jobs)
    for _ in range(ROUNDS):
        for row, (_, frames, job) in enumerate(jobs):
            job()
            end = time.perf_counter() + SECONDS
            while time.perf_counter() < end:
                start = time.perf_counter()
                job()
                best[row] = min(best[row], 1000 * (time.perf_counter() - start) / frames)
    return best


def concatenated(block: UNetBlock, frame: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    """A U-Net block as usually written: the skip is joined to every frame and convolved again."""
    weight = torch.cat([block.from_frame.weight, block.from_skip.weight], dim=1)
    joined = torch.cat([frame, skip.expand(len(frame), -1, -1, -1)], dim=1)
    return block.up(torch.relu(block.norm(functional.conv2d(joined, weight, padding=1))))


@torch.inference_mode()
def eager(config: Config, frames: int, joined: bool) -> Callable[[], object]:
    """PyTorch, module by module."""
    generator = Generator(config.generator).eval()
    windows = torch.randn(1, frames, config.generator.context.window) * 0.1
    noise, still, state = generator.draw_noise(1, frames), torch.rand(1, 3, 128, 96), generator.begin(1)
    identity = generator.identify(still)
    _, skips = generator.identity(still)

    @torch.inference_mode()
    def plain() -> torch.Tensor:
        return generator(identity, windows, noise, state)[0]

    @torch.inference_mode()
    def with_joined_skips() -> torch.Tensor:
        context, _ = generator.context(windows, state.context)
        codes, _ = generator.noise(noise, state.noise)
        latent = torch.cat([context, codes, identity.code[:, None].expand(-1, frames, -1)], dim=2)[0]
        decoder = generator.decoder
        image = torch.relu(decoder.norm(decoder.first(latent[:, :, None, None])))
        for block, skip in zip(decoder.unet_blocks, skips[:0:-1], strict=True):
            image = concatenated(block, image, skip)
        return generator.last(image, still)

    if joined:
        torch.testing.assert_close(with_joined_skips(), plain()[0], atol=1e-3, rtol=1e-3)
    return with_joined_skips if joined else plain


def graph(engine: Engine, frames: int) -> Callable[[], object]:
    """The shipped model in ONNX Runtime."""
    identity = engine.identify(np.zeros((128, 96, 3), np.uint8))
    windows = np.random.default_rng(0).normal(0, 0.1, (frames, engine.windows.length)).astype(np.float32)
    noise, memory = engine.noise(0, 0, frames), engine.begin()
    return lambda: engine.step(identity, windows, noise, memory)


def whole_job(threads: int, folder: Path) -> Job:
    """What ``animate`` does: decode photo and speech, find the face, generate and write; the model is loaded once, before."""
    animator = stillspeak.load(threads=threads)
    count = int(read_audio(SPEECH).seconds * animator.fps)
    photo = folder / "photo.png"
    skimage.io.imsave(photo, skimage.data.astronaut(), check_contrast=False)

    def job() -> None:
        sound = read_audio(SPEECH)
        with VideoWriter(folder / "out.mp4", animator.fps, sound) as writer:
            for frame in animator.frames(photo, sound, crop=True):
                writer.write(frame)

    return "default, the whole job: decode to mp4", count, job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--models", nargs="+", default=["default"], help="whose exported graphs are timed (default)")
    arguments = parser.parse_args()
    threads = arguments.threads
    torch.set_num_threads(threads)
    engines = {name: Engine(find_model(name), threads) for name in arguments.models}
    jobs: list[Job] = [
        (f"{name}, ONNX Runtime, {n} a call", n, graph(engine, n))
        for name, engine in engines.items()
        for n in (1, 5, 25, 75)
    ]
    jobs.append(("default, PyTorch eager, 75 a call", 75, eager(default(), 75, joined=False)))
    jobs.append(("paper, PyTorch eager, skips computed once, 75 a call", 75, eager(paper(), 75, joined=False)))
    jobs.append(("paper, PyTorch eager, concatenated skips, 75 a call", 75, eager(paper(), 75, joined=True)))
    with tempfile.TemporaryDirectory() as folder:
        jobs.append(whole_job(threads, Path(folder)))
        best = best_ms(jobs)
    slow = best[-2]
    print(f"milliseconds a frame, {threads} threads; 40 is real time at 25 frames a second\n")
    print("| what | ms a frame | share of `paper` with concatenated skips |\n|---|---|---|")
    for (name, _, _), milliseconds in zip(jobs, best, strict=True):
        print(f"| {name} | {milliseconds:.1f} | {milliseconds / slow:.2f} |")
    print("| the paper's own, GTX 1080 Ti: a frame / 75 frames | 7 / 6.7 | |")
    print("| the paper's own, CPU: a frame / 75 frames | 1000 / 200 | |")


if __name__ == "__main__":
    main()
