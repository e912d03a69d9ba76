"""Training frames a second of the engine's step and of a plain eager loop of the same model, side by side in one run.

python benchmarks/training.py --data PREPARED [--preset default] [--device cpu] [--clips 48] [--recombined 0.5]

The plain loop: skips joined to every frame and convolved again, colours first in memory, PyTorch's default Adam, gradients
for weights that are not learnt, made frames looked at again to fool a discriminator, freed memory given back to the
system, a batch drawn when it is needed, all in full precision (on a GPU PyTorch's: convolutions in TF32). Same networks,
losses and batches. Where the engine multiplies in bfloat16, a row shows it in full precision too. Each loop runs in a
process of its own; they take steps in turn. Then the engine runs alone, for what its loader lets it sustain. Peak is what one
large product of matrices reaches in the same precision.
"""

import argparse
import multiprocessing
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from stillspeak.config import AdversarialStage
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.model.blocks import UNetBlock
from stillspeak.model.generator import Generator
from stillspeak.model.lengths import Lengths
from stillspeak.model.losses import reconstruction_loss
from stillspeak.presets import PRESETS
from stillspeak.training import adversary as adversary_module
from stillspeak.training import step as step_module
from stillspeak.training.build import chosen_device, prepare_device
from stillspeak.training.loader import batches, loader_workers
from stillspeak.training.phase import Part, chosen_bfloat16
from stillspeak.training.step import AdversarialPhase
from stillspeak.training.team import Team
from stillspeak.training.tensors import frame_weights, images

EPOCH_FRAMES = 31_639 * 75  # paper, table 1: one epoch of GRID
_FIRST_STEPS = 2  # they set everything up and are not counted


@dataclass
class Told:
    """What a worker tells after its last step."""

    best_seconds: float
    mean_seconds: float
    draw_seconds: float  # of a batch, by one core
    frames: int
    precision: str
    peak_gib: float
    gflop: float  # multiplied and added in one step
    shares: dict[str, float]


def joined_constant(block: UNetBlock, skip: Tensor) -> Tensor:
    """A plain block keeps the skip itself."""
    return skip


def joined_forward(block: UNetBlock, frame: Tensor, skip: Tensor) -> Tensor:
    """A U-Net block as usually written: the skip is joined to every frame and convolved again."""
    weight = torch.cat([block.from_frame.weight, block.from_skip.weight], dim=1)
    repeated = skip.repeat_interleave(len(frame) // len(skip), dim=0)
    mixed = functional.conv2d(torch.cat([frame, repeated], dim=1), weight, padding=1)
    return block.up(torch.relu(block.norm(mixed)))


class PlainLoop:
    """The same step as a plain loop is written: no thought for memory, layout, or what need not be computed."""

    def __init__(self, phase: AdversarialPhase) -> None:
        UNetBlock.constant, UNetBlock.forward = joined_constant, joined_forward  # type: ignore[method-assign]
        self.generator, self.config, self.device = phase.generator, phase.config, phase.device
        networks = [phase.generator, *phase.networks.values()]
        self.adams = [torch.optim.Adam(network.parameters(), 1e-4, (0.5, 0.999)) for network in networks]
        self.frame, self.sequence = phase.networks["frame"], phase.networks["sequence"]

    def step(self, step: int, parts: list[Part]) -> None:
        """Discriminators, then the generator."""
        stills, frames, windows, _, interior, _, _, counts, _ = parts[0]  # clips with as many frames as each other
        clips, time_ = len(counts), int(counts[0, 1])
        stills, real = images(stills).contiguous(), images(frames).contiguous()
        windows = windows.unflatten(0, (clips, -1))
        heard, lengths = windows.shape[1], Lengths([time_] * clips, self.device)
        state = self.generator.begin(clips, self.device)
        context, _ = self.generator.context(windows, state.context)
        noise, _ = self.generator.noise(self.generator.draw_noise(clips, heard).to(self.device), state.noise)
        identity = self.generator.identify(stills)
        fake = self.generator.decode(identity, context[:, -time_:], noise[:, -time_:])
        fake, own = fake.flatten(0, 1), windows[:, -time_:].flatten(0, 1)
        drawn = torch.rand(clips, time_).argsort(1)[:, : self.config.frame.frames]
        picked = (torch.arange(clips)[:, None] * time_ + drawn).flatten()
        repeated = stills.repeat_interleave(drawn.shape[1], dim=0)

        def look(video: Tensor) -> tuple[Tensor, Tensor]:
            return self.frame(video[picked], repeated), self.sequence(video, own, lengths)

        for adam in self.adams[1:]:
            adam.zero_grad()
        for says_real, says_fake in zip(look(real), look(fake.detach()), strict=True):
            (functional.softplus(-says_real).mean() + functional.softplus(says_fake).mean()).backward()
        for adam in self.adams[1:]:
            adam.step()
        loss = 400 * reconstruction_loss(real, fake, frame_weights(self.config.loss, interior))
        loss = loss + sum(functional.softplus(-says).mean() for says in look(fake))
        self.adams[0].zero_grad()
        loss.backward()
        self.adams[0].step()


def timed(seconds: dict[str, float], name: str | Callable[..., str], job: Callable[..., Any]) -> Callable[..., Any]:
    """A function that notes how long it takes, the GPU's work included."""

    def run(*arguments: Any, **named: Any) -> Any:
        started = time.perf_counter()
        try:
            return job(*arguments, **named)
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name if isinstance(name, str) else name(*arguments)] += time.perf_counter() - started

    return run


def watch_shares(phase: AdversarialPhase) -> dict[str, float]:
    """Notes the seconds of each network from now on."""
    seconds: dict[str, float] = defaultdict(float)
    phase._generate = timed(seconds, "generator, forward", phase._generate)  # type: ignore[method-assign]
    phase._learn = timed(seconds, "learn", phase._learn)  # type: ignore[method-assign]
    phase.update = timed(seconds, "optimisers", phase.update)  # type: ignore[method-assign]
    named = lambda adversary, *_: f"discriminator {adversary.name}, both sides"  # noqa: E731
    step_module.judge = timed(seconds, named, adversary_module.judge)
    return seconds


class Counted(TorchDispatchMode):
    """Counts floating-point operations of convolutions and products, by PyTorch's own formulas."""

    flops = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        made = function(*arguments, **(named or {}))
        if formula := flop_registry.get(function._overloadpacket):
            self.flops += formula(*arguments, **(named or {}), out_val=made)
        return made


def in_turn(phase: AdversarialPhase, device: torch.device) -> Iterator[list[Part]]:
    """Batches drawn when they are needed."""
    for step in range(10**6):
        yield [tuple(tensor.to(device) for tensor in part) for part in phase.draw(step)]


def work(pipe: Connection, precision: str, plain: bool, whole: bool, options: argparse.Namespace) -> None:
    """A process: one step at each word, until the word is not go."""
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config, device = PRESETS[options.preset](), chosen_device(options.device)
    if not plain:
        prepare_device(device)
    (stage,) = config.stages_of(AdversarialStage)
    stage = replace(stage, adversaries_from=0, clips=options.clips or stage.clips)
    config = replace(
        config,
        train=replace(config.train, precision=precision),
        data=replace(config.data, recombined=options.recombined),
    )
    clips = Clips(options.data, "train", config.generator.context)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    generator = Generator(config.generator).to(device)
    phase = AdversarialPhase(config, stage, generator, drawer, Team())
    loop = PlainLoop(phase) if plain else phase
    if not plain:
        for network in (generator, *phase.networks.values()):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for _ in range(2):  # in a run a small corpus is in memory after the first epoch
        started = time.perf_counter()
        for step in range(options.steps + _FIRST_STEPS):
            phase.draw(step)
        draw_seconds = (time.perf_counter() - started) / (options.steps + _FIRST_STEPS)
    ahead = batches(phase.draw, 0, 10**6, device, loader_workers(device))
    source = in_turn(phase, device) if plain else ahead
    seconds = watch_shares(phase) if whole else {}
    counted = Counted()
    best, frames, step, total = float("inf"), stage.clips * stage.frames, 0, 0.0
    pipe.send("ready")
    while pipe.recv() == "go":
        started = time.perf_counter()
        with counted if step == 0 else nullcontext():
            loop.step(step, next(source))
        if device.type == "cuda":
            torch.cuda.synchronize()
        took = time.perf_counter() - started
        step += 1
        if step > _FIRST_STEPS:
            best, total = min(best, took), total + took
        else:
            seconds.clear()
        pipe.send(took)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    shares = {name: value / max(total, 1e-9) for name, value in seconds.items()}
    used = "bf16" if not plain and phase.in_bfloat16 else "fp32"
    mean = total / max(1, step - _FIRST_STEPS)
    pipe.send(Told(best, mean, draw_seconds, frames, used, peak, counted.flops / 1e9, shares))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--recombined", type=float, default=0.0, help="share of pictures that are portraits")
    parser.add_argument("--clips", type=int, default=0, help="a step; 0 as the preset says")
    options = parser.parse_args()
    half = chosen_bfloat16("auto", chosen_device(options.device))
    loops = {"the engine, bfloat16": ("bf16", False, False)} if half else {}
    loops |= {"the engine, float32": ("fp32", False, False), "plain eager": ("fp32", True, False)}
    told = in_turns(list(loops.values()), options, options.steps)
    (shares,) = in_turns([("auto", False, True)], options, options.steps)
    ahead = 4 * loader_workers(chosen_device(options.device))  # more than are drawn before the first step
    (alone,) = in_turns([("auto", False, False)], options, options.steps + ahead)
    report(options, dict(zip(loops, told, strict=True)), shares, alone)


def in_turns(loops: list[tuple[str, bool, bool]], options: argparse.Namespace, steps: int) -> list[Told]:
    """Lets loops, each in a process of its own, take steps in turn; precision, plain, whole of each, as ``work`` takes them."""
    context, workers, processes = multiprocessing.get_context("spawn"), [], []
    for loop in loops:
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=work, args=(theirs, *loop, options)))
        processes[-1].start()
        theirs.close()  # or nobody would be told that a process ended
        workers.append(ours)
    assert all(pipe.recv() == "ready" for pipe in workers)
    for _ in range(steps + _FIRST_STEPS):
        for pipe in workers:
            pipe.send("go")
            pipe.recv()
    for pipe in workers:
        pipe.send("end")
    told = [pipe.recv() for pipe in workers]
    for process in processes:
        process.join()
    return told


def peak_gflops(device: torch.device, precision: str) -> float:
    """GFLOP/s of one large product of matrices, the best of ten."""
    size = 8192 if device.type == "cuda" else 2048
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        started = time.perf_counter()
        product = left @ right
        product[0, 0].item()  # waits for it
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9


def report(options: argparse.Namespace, loops: dict[str, Told], shares: Told, alone: Told) -> None:
    """Prints the tables; the last loop is the plain one."""
    torch.set_num_threads(options.threads)
    device = chosen_device(options.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} CPU threads"
    peak = {told.precision: peak_gflops(device, told.precision) for told in loops.values()}
    pace = {loop: told.frames / told.best_seconds for loop, told in loops.items()}
    plain = [*pace.values()][-1]
    print(f"preset {options.preset}, {shares.frames} frames a step, the best step of each; {name}\n")
    print(
        "| loop | frames a second | times the plain loop | GFLOP a step | share of peak | peak memory, GiB "
        "| hours an epoch of the paper's GRID |"
    )
    print("|---|---|---|---|---|---|---|")
    for loop, frames in pace.items():
        told = loops[loop]
        share = told.gflop / told.best_seconds / peak[told.precision]
        print(
            f"| {loop} | {frames:.0f} | {frames / plain:.2f} | {told.gflop:.0f} | {share:.0%} | {told.peak_gib:.2f} | "
            f"{EPOCH_FRAMES / frames / 3600:.2f} |"
        )
    print(f"\nPeak, TFLOP/s: {', '.join(f'{rate / 1e3:.2f} in {precision}' for precision, rate in peak.items())}.")
    sustained = alone.frames / alone.mean_seconds
    hours = EPOCH_FRAMES / sustained / 3600
    print(f"Alone, loader and all, the mean of all steps: {sustained:.0f} frames a second, {hours:.2f} hours an epoch.")
    print(f"One core draws {alone.frames / alone.draw_seconds:.0f} frames a second.")
    print("\n| part of a step | share of the time |\n|---|---|")
    values = dict(shares.shares)
    inner = sum(value for name, value in values.items() if name not in ("learn", "optimisers"))
    values["generator, losses and backward"] = values.pop("learn") - inner
    for name, share in sorted(values.items(), key=lambda item: -item[1]):
        print(f"| {name} | {share:.0%} |")


if __name__ == "__main__":
    main()
