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
from stillspeak.model.blocks import UNetBlock
from stillspeak.model.generator import Generator
from stillspeak.presets import default, paper
from stillspeak.runtime.engine import Engine, find_model

SPEECH = Path(__file__).parent.parent / "examples" / "hello.flac"
SECONDS = 3.0  # of measuring a row; the best of its repetitions counts


def best_ms(frames: int, job: Callable[[], object]) -> float:
    """Milliseconds a frame of the fastest repetition."""
    job()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - start)
    return 1000 * best / frames


def concatenated(block: UNetBlock, frame: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
    """A U-Net block as usually written: the skip is joined to every frame and convolved again."""
    weight = torch.cat([block.from_frame.weight, block.from_skip.weight], dim=1)
    joined = torch.cat([frame, skip.expand(len(frame), -1, -1, -1)], dim=1)
    return block.up(torch.relu(block.norm(functional.conv2d(joined, weight, padding=1))))


@torch.inference_mode()
def eager(config: Config, frames: int, joined: bool) -> float:
    """PyTorch, module by module."""
    generator = Generator(config.generator).eval()
    windows = torch.randn(1, frames, config.generator.context.window) * 0.1
    noise, still, state = generator.draw_noise(1, frames), torch.rand(1, 3, 128, 96), generator.begin(1)
    identity = generator.identify(still)
    _, skips = generator.identity(still)

    def plain() -> torch.Tensor:
        return generator(identity, windows, noise, state)[0]

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
    return best_ms(frames, with_joined_skips if joined else plain)


def graph(engine: Engine, frames: int) -> float:
    """The shipped model in ONNX Runtime."""
    identity = engine.identify(np.zeros((128, 96, 3), np.uint8))
    windows = np.random.default_rng(0).normal(0, 0.1, (frames, engine.windows.length)).astype(np.float32)
    noise, memory = engine.noise(0, 0, frames), engine.begin()
    return best_ms(frames, lambda: engine.step(identity, windows, noise, memory))


def whole_job(threads: int) -> float:
    """Decode photo and speech, find the face, generate, write the mp4; the model is loaded once, before."""
    animator = stillspeak.load(threads=threads)
    frames = int(read_audio(SPEECH).seconds * animator.fps)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        skimage.io.imsave(photo, skimage.data.astronaut(), check_contrast=False)
        return best_ms(frames, lambda: animator(photo, SPEECH).save(Path(folder) / "out.mp4"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    engine = Engine(find_model("default"), threads)
    rows = [(f"default, ONNX Runtime, {n} a call", graph(engine, n)) for n in (1, 5, 25, 75)]
    rows.append(("default, PyTorch eager, 75 a call", eager(default(), 75, joined=False)))
    rows.append(("paper, PyTorch eager, skips computed once, 75 a call", eager(paper(), 75, joined=False)))
    slow = eager(paper(), 75, joined=True)
    rows.append(("paper, PyTorch eager, concatenated skips, 75 a call", slow))
    rows.append(("default, the whole job: decode to mp4", whole_job(threads)))
    print(f"milliseconds a frame, {threads} threads; 40 is real time at 25 frames a second\n")
    print("| what | ms a frame | share of `paper` with concatenated skips |\n|---|---|---|")
    for name, milliseconds in rows:
        print(f"| {name} | {milliseconds:.1f} | {milliseconds / slow:.2f} |")
    print("| the paper's own, GTX 1080 Ti: a frame / 75 frames | 7 / 6.7 | |")
    print("| the paper's own, CPU: a frame / 75 frames | 1000 / 200 | |")


if __name__ == "__main__":
    main()
