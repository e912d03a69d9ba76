"""Repeats the paper's timings (section 4) on this machine: one frame, and 75 in a row, on the CPU and on a GPU if there is one.

A shipped model is timed in ONNX Runtime, as it runs. A preset is timed in PyTorch, as its authors would, with random weights.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stillspeak.config import GeneratorConfig
from stillspeak.errors import ModelError
from stillspeak.presets import PRESETS
from stillspeak.runtime.engine import Engine, find_model

if TYPE_CHECKING:
    import torch

SEQUENCE = 75  # the frames of 3 s
# Paper, section 4: "7 ms" a frame on a GTX 1080 Ti and 0.5 s for 75; on a CPU 1 s and 15 s.
PAPER_SECONDS = {"GPU": (0.007, 0.5), "CPU": (1.0, 15.0)}
_ROUNDS, _LEAST_SECONDS = 3, 0.5


@dataclass(frozen=True)
class Timing:
    """Holds the seconds for one frame and for 75.

    Attributes:
        name: the name of the preset or the model.
        where: CPU or GPU, and how many threads.
        frame: the seconds for one frame, from its sound to its picture in memory.
        sequence: the seconds for 75 frames.
    """

    name: str
    where: str
    frame: float
    sequence: float


def measure(preset: str = "paper", model: str = "default") -> list[Timing]:
    """Times a preset in PyTorch on every device there is, and a model in ONNX Runtime.

    Raises:
        ModelError: if there is no such preset or model.
    """
    import torch

    if preset not in PRESETS:
        raise ModelError(f"There is no preset {preset}; there are {', '.join(PRESETS)}.")
    engine = Engine(find_model(model))
    config = PRESETS[preset]().generator
    rows = []
    for device in ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]:
        where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        seconds = [_best(_eager(config, frames, torch.device(device))) for frames in (1, SEQUENCE)]
        rows.append(Timing(f"{preset}, PyTorch", where, *seconds))
    seconds = [_best(_graph(engine, frames)) for frames in (1, SEQUENCE)]
    return [*rows, Timing(f"{model}, ONNX Runtime", f"CPU, {engine.threads} threads", *seconds)]


def table(rows: list[Timing]) -> str:
    """Returns a Markdown table of timings, with the paper's figures beside them."""
    lines = ["| what | where | a frame, ms | 75 frames, s | frames a second |", "|---|---|---|---|---|"]
    paper = [Timing("the paper's own", {"GPU": "GTX 1080 Ti", "CPU": "CPU"}[w], *s) for w, s in PAPER_SECONDS.items()]
    for row in [*rows, *paper]:
        rate = SEQUENCE / row.sequence
        lines.append(f"| {row.name} | {row.where} | {1000 * row.frame:.1f} | {row.sequence:.3f} | {rate:.0f} |")
    return "\n".join(lines)


def _best(job: Callable[[], object]) -> float:
    """Returns the seconds of the fastest repetition."""
    job()
    best, end = float("inf"), time.perf_counter() + _ROUNDS * _LEAST_SECONDS
    while time.perf_counter() < end or best == float("inf"):
        began = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - began)
    return best


def _graph(engine: Engine, frames: int) -> Callable[[], object]:
    random = np.random.default_rng(0)
    identity = engine.identify(random.integers(0, 255, (128, 96, 3), dtype=np.uint8))
    windows = random.normal(0, 0.1, (frames, engine.windows.length)).astype(np.float32)
    noise, memory = engine.noise(0, 0, frames), engine.begin()
    return lambda: engine.step(identity, windows, noise, memory)


def _eager(config: GeneratorConfig, frames: int, device: "torch.device") -> Callable[[], object]:
    import torch

    from stillspeak.model.generator import Generator

    generator = Generator(config).eval().to(device)
    still = torch.rand(1, 3, 128, 96, device=device) * 2 - 1
    windows = torch.randn(1, frames, config.context.window, device=device) * 0.1
    noise, state = generator.draw_noise(1, frames).to(device), generator.begin(1, device)

    def job() -> object:
        with torch.inference_mode():
            video, _ = generator(generator.identify(still), windows, noise, state)
            return video.cpu()  # this waits for a GPU

    return job
