"""Repeats the paper's timings (section 4) on this machine: one frame, and 75 in a row, on the CPU and on a GPU if there is one.

A preset is timed in PyTorch, as its authors would, with random weights. A model is timed in ONNX Runtime, as it runs; with
``exported`` the preset is timed there too. Everywhere the photo is encoded once, which is timed by itself, and a frame's time is
from its sound to its picture in memory.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillspeak.config import Config
from stillspeak.errors import ModelError
from stillspeak.presets import PRESETS
from stillspeak.runtime.engine import Engine, find_model
from stillspeak.temporary import temporary_folder

if TYPE_CHECKING:
    import torch

SEQUENCE = 75  # the frames of 3 s
_ROUNDS, _LEAST_SECONDS = 3, 0.5


@dataclass(frozen=True)
class Seconds:
    """Holds the seconds that a device takes.

    Attributes:
        frame: for one frame.
        sequence: for 75 frames.
        photo: for the photo, once, before the first frame; None if it is not known.
    """

    frame: float
    sequence: float
    photo: float | None = None


@dataclass(frozen=True)
class Timing:
    """Holds the timings of a preset or a model.

    Attributes:
        name: its name, and what runs it.
        seconds: the seconds by device, CPU or GPU.
    """

    name: str
    seconds: dict[str, Seconds] = field(default_factory=dict)


# Paper, section 4: "7ms on the GPU", a GTX 1080 Ti, and 0.5 s for 75 frames; "1s and 15s respectively" on the CPU.
PAPER = Timing("the paper's own", {"CPU": Seconds(1.0, 15.0), "GPU": Seconds(0.007, 0.5)})


def measure(preset: str = "paper", model: str = "default", *, exported: bool = False) -> list[Timing]:
    """Times a preset in PyTorch on every device there is, and a model in ONNX Runtime.

    Args:
        preset: the preset's name.
        model: a shipped model's name or an exported folder.
        exported: whether the preset is exported too, and timed in ONNX Runtime.

    Raises:
        ModelError: if there is no such preset or model.
    """
    import torch

    if preset not in PRESETS:
        raise ModelError(f"There is no preset {preset}; there are {', '.join(PRESETS)}.")
    engine, config = Engine(find_model(model)), PRESETS[preset]()
    devices = {"CPU": "cpu", **({"GPU": "cuda"} if torch.cuda.is_available() else {})}
    rows = [Timing(f"{preset}, PyTorch", {at: _eager(config, torch.device(name)) for at, name in devices.items()})]
    if exported:
        with temporary_folder() as folder:
            _export(config, folder)
            rows.append(Timing(f"{preset}, ONNX Runtime", {"CPU": _graph(Engine(folder))}))
    return [*rows, Timing(f"{model}, ONNX Runtime", {"CPU": _graph(engine)})]


def table(rows: list[Timing]) -> str:
    """Returns a Markdown table of timings, with the paper's figures beside them. A GPU's columns are there if it was timed."""
    import torch

    devices = {"CPU": f"CPU, {torch.get_num_threads()} threads"}
    if any("GPU" in row.seconds for row in rows):
        devices["GPU"] = torch.cuda.get_device_name()
    columns = "the photo once, ms", "a frame, ms", "75 frames, s", "frames a second"
    heads = [f"{name}: {column}" for name in devices.values() for column in columns]
    lines = [f"| what | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    paper = PAPER if len(devices) > 1 else Timing(f"{PAPER.name}, on a CPU", PAPER.seconds)
    for row in [*rows, paper]:
        cells = [cell for at in devices for cell in _cells(row.seconds.get(at))]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    if len(devices) == 1:
        lines.append(f"| {PAPER.name}, on a GTX 1080 Ti | {' | '.join(_cells(PAPER.seconds['GPU']))} |")
    return "\n".join(lines)


def _cells(seconds: Seconds | None) -> list[str]:
    if seconds is None:
        return [""] * 4
    photo = "" if seconds.photo is None else f"{1000 * seconds.photo:.1f}"
    return [photo, f"{1000 * seconds.frame:.1f}", f"{seconds.sequence:.3f}", f"{SEQUENCE / seconds.sequence:.0f}"]


def _best(job: Callable[[], object]) -> float:
    """Returns the seconds of the fastest repetition."""
    job()
    best, end = float("inf"), time.perf_counter() + _ROUNDS * _LEAST_SECONDS
    while time.perf_counter() < end or best == float("inf"):
        began = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - began)
    return best


def _timed(photo: Callable[[], Any], frames: Callable[[Any, int], object]) -> Seconds:
    """Times the photo, and one frame and 75 from what the photo gives."""
    identity = photo()
    one, many = _best(lambda: frames(identity, 1)), _best(lambda: frames(identity, SEQUENCE))
    return Seconds(one, many, _best(photo))


def _graph(engine: Engine) -> Seconds:
    """Times a model in ONNX Runtime."""
    random = np.random.default_rng(0)
    still = random.integers(0, 255, (128, 96, 3), dtype=np.uint8)
    windows = random.normal(0, 0.1, (SEQUENCE, engine.windows.length)).astype(np.float32)
    noise, memory = engine.noise(0, 0, SEQUENCE), engine.begin()
    return _timed(
        lambda: engine.identify(still),
        lambda identity, count: engine.step(identity, windows[:count], noise[:count], memory),
    )


def _eager(config: Config, device: "torch.device") -> Seconds:
    """Times a preset with random weights in PyTorch."""
    import torch

    from stillspeak.model.generator import Generator

    generator = Generator(config.generator).eval().requires_grad_(False).to(device)
    still = torch.rand(1, 3, 128, 96, device=device) * 2 - 1
    windows = torch.randn(1, SEQUENCE, config.generator.context.window, device=device) * 0.1
    noise, state = generator.draw_noise(1, SEQUENCE).to(device), generator.begin(1, device)

    def photo() -> Any:
        identity = generator.identify(still)
        if device.type == "cuda":
            torch.cuda.synchronize()
        return identity

    def frames(identity: Any, count: int) -> object:
        video, _ = generator(identity, windows[:, :count], noise[:, :count], state)
        return video.cpu()  # this waits for a GPU

    return _timed(photo, frames)


def _export(config: Config, folder: Path) -> None:
    """Exports a preset with random weights."""
    from stillspeak.data.mouth_code import MouthCode
    from stillspeak.model.generator import Generator
    from stillspeak.training.export import export_trained
    from stillspeak.training.weights import Trained

    code = MouthCode(np.eye(config.labels.code, 58, dtype=np.float32), 1.0)  # of 29 landmarks of lips and chin
    export_trained(Trained(config, Generator(config.generator).state_dict(), code, []), folder)
