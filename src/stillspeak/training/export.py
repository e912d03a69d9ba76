"""Exports a trained run as a model folder: two ONNX graphs, model.json, CARD.md, and the generator to train on from.

Batch norms are folded into the convolutions, large weights are stored in half precision, and the graphs are checked
against PyTorch before anything is kept.
"""

import contextlib
import copy
import json
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from stillspeak.config import Config
from stillspeak.errors import ModelError, OutputError, StillspeakWarning
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.model.blocks import AudioEncoder, DownBlock, UNetBlock, UpBlock
from stillspeak.model.generator import FrameDecoder, Generator, Identity, WarpingDecoder
from stillspeak.runtime.engine import DESCRIPTION, IDENTITY, MOUTH_GAIN, STEP, Description, Engine
from stillspeak.runtime.motion import moves_mouth
from stillspeak.temporary import temporary_folder
from stillspeak.training.card import model_card
from stillspeak.training.exported_warp import ExportedWarpingDecoder, neighbours
from stillspeak.training.mouth_gain import code_at_rest, learnt_code, opened, widened
from stillspeak.training.tensors import pixels, seeded
from stillspeak.training.warm_start import SoundPhase
from stillspeak.training.weights import GENERATOR, Trained, fill_generator, read_generator, write_generator
from stillspeak.whole import whole

OPSET = 17
_AXES = {"windows": "time", "noise": "time", "draw": "drawn"} | dict.fromkeys(
    ("frames", "motion", "mask", "mouth_paint", "mouth_mask"), "drawn"
)
_HALF_FROM = 1024  # tensors with fewer elements stay in full precision
_TOLERANCE = 2  # of 255: the most that half-precision storage may differ from PyTorch in full precision


def export(model: str | Path, destination: str | Path, mouth: float = 1.0) -> Path:
    """Exports a run or a model's weights.

    Args:
        model: a run folder, a model folder, or its safetensors file.
        destination: the folder for the model; if it holds a model, its files are replaced.
        mouth: how far the exported model opens its mouth, as a multiple of how far it does now.

    Returns:
        The destination. If the model does not move a mouth yet, a StillspeakWarning says so.

    Raises:
        ModelError: if there are no weights, the graphs differ from PyTorch, or the mouth cannot open so far.
        OutputError: if the destination cannot be written.
    """
    trained = widened(read_generator(Path(model)), mouth)
    made = export_trained(trained, destination)
    learnt = {stage["phase"] for stage in trained.history if stage["steps"]}
    undrawn = bool(learnt) and all(phase.startswith(SoundPhase.kind) for phase in learnt)
    if undrawn or not moves_mouth(Engine(made, threads=1)):
        before = "before its picture phase" if undrawn else "too early"
        said = f"{model} was exported {before}: the model in {made} hardly moves a mouth."
        warnings.warn(f"{said} Train on and export again.", StillspeakWarning, stacklevel=2)
    return made


def export_trained(trained: Trained, destination: str | Path) -> Path:
    """Exports weights in memory, like ``export``."""
    config = trained.config
    generator = Generator(config.generator).eval().requires_grad_(False)
    fill_generator(generator, trained)
    with temporary_folder() as folder:
        _write_graphs(for_runtime(generator), learnt_code(trained), folder)
        (folder / DESCRIPTION).write_text(json.dumps(asdict(describe(config)), indent=2) + "\n", "utf-8")
        write_generator(folder / GENERATOR, trained)
        worst = difference(generator, Engine(folder, threads=1))
        if worst > _TOLERANCE:
            raise ModelError(f"The exported graphs differ from PyTorch by {worst} of 255.")
        (folder / "CARD.md").write_text(model_card(config, trained.history, worst), "utf-8")
        return install(folder, Path(destination))


def install(folder: Path, destination: Path) -> Path:
    """Copies the files of a finished export to their destination; an older model stays until all of them fit.

    Raises:
        OutputError: if the destination cannot be written.
    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as parts:  # all files take their places at its end
            for path in folder.iterdir():
                shutil.copyfile(path, parts.enter_context(whole(destination / path.name)))
    except OSError as error:
        raise OutputError(f"{destination} cannot be written: {error.strerror}.") from error
    return destination


def describe(config: Config) -> Description:
    """Returns the content of ``model.json`` for a config."""
    context, generator = config.generator.context, config.generator
    return Description(
        name=config.name,
        rate_hz=context.rate_hz,
        fps=context.fps,
        window_seconds=context.window_seconds,
        height_px=HEIGHT_PX,
        width_px=WIDTH_PX,
        context_layers=context.layers,
        context_size=context.size,
        noise_size=generator.noise_size,
        noise_variance=generator.noise_variance,
    )


def fold_batch_norms(generator: Generator) -> Generator:
    """Returns a copy of a generator, in evaluation mode, whose batch norms are part of its convolutions; outputs stay equal."""
    folded = copy.deepcopy(generator)
    for module in folded.modules():
        if isinstance(module, DownBlock | UpBlock):
            _fold(module.convolution, module.norm)
            module.norm = nn.Identity()  # type: ignore[assignment]
        elif isinstance(module, FrameDecoder):
            _fold(module.first, module.norm)
            module.norm = nn.Identity()  # type: ignore[assignment]
        elif isinstance(module, UNetBlock):
            _fold_halves(module)
        elif isinstance(module, AudioEncoder):
            layers = list(module.convolutions)
            for convolution, norm in zip(layers[::3], layers[1::3], strict=True):
                _fold(convolution, norm)
            module.convolutions = nn.Sequential(*(layer for i, layer in enumerate(layers) if i % 3 != 1))
    return folded


def for_runtime(generator: Generator) -> Generator:
    """Returns a copy of a generator, in evaluation mode, that is quick in ONNX Runtime; outputs for one still stay equal."""
    quick = fold_batch_norms(generator)
    if isinstance(quick.last, WarpingDecoder):
        quick.last = ExportedWarpingDecoder(quick.last)  # type: ignore[assignment]
    return quick


def _fold(convolution: nn.Module, norm: nn.Module) -> None:
    assert isinstance(convolution, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias, transposed
    )  # fmt: skip


def _fold_halves(block: UNetBlock) -> None:
    """Folds the norm of a sum: it scales both halves, and adds the shift to the constant half alone."""
    norm = block.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    for half in (block.from_frame, block.from_skip):
        half.weight = nn.Parameter(half.weight * scale[:, None, None, None], requires_grad=False)
    block.from_skip.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)
    block.norm = nn.Identity()  # type: ignore[assignment]


class _IdentityGraph(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, still: Tensor) -> tuple[Tensor, ...]:
        identity, last = self.generator.identify(still), self.generator.last
        photo = neighbours(still) if isinstance(last, ExportedWarpingDecoder) else still
        return identity.code, photo, *identity.constants


class _StepGraph(nn.Module):
    """Listens to all windows, and draws the frames whose numbers are in ``draw``.

    ``photo`` is the still, or its ``neighbours`` for a decoder that warps; that one also says where each pixel came from and
    how much of it is paint. ``mouth_gain`` becomes an input of the graph only where z_c begins with a mouth code, of ``code``
    elements.
    """

    def __init__(self, generator: Generator, code: int) -> None:
        super().__init__()
        self.generator = generator
        self.rest = code_at_rest(generator, code) if code else None

    def forward(
        self,
        windows: Tensor,
        noise: Tensor,
        draw: Tensor,
        context_state: Tensor,
        noise_state: Tensor,
        mouth_gain: Tensor,
        code: Tensor,
        photo: Tensor,
        *constants: Tensor,
    ) -> tuple[Tensor, ...]:
        identity = Identity(code, constants, photo)
        context, context_state = self.generator.context(windows[None], context_state)
        codes, noise_state = self.generator.noise(noise[None], noise_state)
        context = context.index_select(1, draw)
        if self.rest is not None:
            context = opened(context, self.rest, mouth_gain)
        features = self.generator.features(identity, context, codes.index_select(1, draw))
        last, layers = self.generator.last, ()
        if isinstance(last, ExportedWarpingDecoder):
            warped = last.layers(features)
            video, layers = last.blend(warped, photo), (warped.motion.permute(0, 2, 3, 1), warped.mask[:, 0])
            if self.generator.mouth is not None:
                mouth = self.generator.mouth(features, warped.mask, warped.paint)
                layers = *layers, _bytes(mouth.paint), mouth.mask[:, 0]
        else:
            video = last(features, photo)
        return _bytes(video), context_state, noise_state, *layers


def _bytes(video: Tensor) -> Tensor:
    """Converts planes in [-1, 1] to uint8 ``(n, height, width, 3)``."""
    return ((video + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _write_graphs(generator: Generator, code: int, folder: Path) -> None:
    config = generator.config
    still = torch.zeros(1, 3, HEIGHT_PX, WIDTH_PX)
    identify = _IdentityGraph(generator)
    known = ["code", "photo", *(f"constant{i}" for i in range(len(generator.decoder.unet_blocks)))]
    state = generator.begin(1)
    windows, noise = torch.zeros(3, config.context.window), torch.zeros(3, config.noise_size)
    inputs = ["windows", "noise", "draw", "context_state", "noise_state", MOUTH_GAIN, *known]
    warps = isinstance(generator.last, ExportedWarpingDecoder)
    outputs = ["frames", "context_out", "noise_out", *(["motion", "mask"] if warps else [])]
    outputs += ["mouth_paint", "mouth_mask"] if generator.mouth else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            identify, (still,), str(folder / IDENTITY), input_names=["still"],
            output_names=known, opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        torch.onnx.export(
            _StepGraph(generator, code),
            (windows, noise, torch.arange(3), state.context, state.noise, torch.ones(1), *identify(still)),
            str(folder / STEP),
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {0: axis} for name, axis in _AXES.items() if name in {*inputs, *outputs}},
            opset_version=OPSET,
            dynamo=False,
        )
    for name in (IDENTITY, STEP):
        store_in_half(folder / name)


def store_in_half(path: Path) -> None:
    """Stores large weights as float16 with a cast behind each; ONNX Runtime undoes the cast once, when it loads."""
    model = onnx.load(path)
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size < _HALF_FROM:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


@torch.no_grad()
def difference(generator: Generator, engine: Engine) -> int:
    """Returns the largest difference, of 255, between PyTorch and the graphs, in two steps on noise as sound and picture."""
    random = seeded(7)
    still = torch.rand(1, 3, HEIGHT_PX, WIDTH_PX, generator=random) * 2 - 1
    windows = torch.rand(1, 8, generator.config.context.window, generator=random) * 2 - 1
    noise = generator.draw_noise(1, 8, random)
    photo = pixels(still)[0]
    normal = torch.from_numpy(photo.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    video, _ = generator(generator.identify(normal), windows, noise, generator.begin(1))
    identity, memory, made = engine.identify(photo), engine.begin(), []
    for piece in (slice(0, 3), slice(3, 8)):
        layers, memory = engine.step(identity, windows[0, piece].numpy(), noise[0, piece].numpy(), memory)
        made.append(layers.frames)
    return int(np.abs(np.concatenate(made).astype(int) - pixels(video)[0]).max())
