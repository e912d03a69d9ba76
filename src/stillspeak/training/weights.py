"""Keeps a trained generator as one safetensors file in half precision, with its config, mouth code and history.

The next training can start from it (``train --init``), and continues its history.
"""

import contextlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from stillspeak.config import Config
from stillspeak.data.mouth_code import MouthCode
from stillspeak.errors import ModelError
from stillspeak.model.generator import Generator
from stillspeak.training.run import BEST, CHECKPOINT, config_from_dict, config_to_dict, load_tensors
from stillspeak.training.trouble import all_numbers

GENERATOR = "generator.safetensors"
MOUTH = "mouth."  # the names of the mouth decoder's weights begin with this
CONTEXT = "context."  # the names of the Context Encoder's weights begin with this
ANEW = "sound: begun anew"  # marks in a history where another Context Encoder begins
Stage = dict[str, Any]  # one stretch of training: phase, steps, frames, hours, hardware, speakers


def remark(what: str) -> Stage:
    """Returns an entry of the history for a change without training."""
    done = {"run": "", "phase": what, "steps": 0, "frames": 0, "hours": 0.0, "hardware": "-"}
    return {**done, "corpora": [], "speakers": {}}


class Trained(NamedTuple):
    """Holds what a training leaves: config, weights, mouth code and history."""

    config: Config
    weights: dict[str, Tensor]  # the running average, float32
    code: MouthCode
    history: list[Stage]


def find_weights(model: Path) -> Path:
    """Finds the file of weights in a run or a model folder, or takes the file itself. Raises ModelError if there is none."""
    for path in (model, model / BEST, model / CHECKPOINT, model / GENERATOR):
        if path.is_file():
            return path
    raise ModelError(f"{model} holds neither a training run nor an exported model's {GENERATOR}.")


def read_generator(model: Path) -> Trained:
    """Reads the averaged generator of a run or a model.

    Raises:
        ModelError: if there are no weights, or the file holds something else.
    """
    path = find_weights(model)
    tensors, metadata = load_tensors(path)
    weights = {
        name.removeprefix("average."): value.float() if value.dtype is torch.float16 else value
        for name, value in tensors.items()
        if name.startswith("average.")
    }
    try:
        code = MouthCode(tensors["mouth_code.basis"].float().numpy(), float(metadata["mouth_code_scale"]))
        history = [{**remark(""), **stage} for stage in json.loads(metadata["history"])]
        config = config_from_dict(json.loads(metadata["config"]))
    except KeyError as error:
        raise ModelError(f"{path} holds no generator of stillspeak ({error} is missing).") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path} is damaged: {error}.") from error
    if not (math.isfinite(code.scale) and all_numbers(weights.values())):
        raise ModelError(f"{path} holds weights that are not numbers.")
    return Trained(config, weights, code, history)


def describe_generator(config: Config, code: MouthCode, history: list[Stage]) -> dict[str, str]:
    """Returns the metadata that ``read_generator`` needs beside the tensors."""
    return {
        "config": json.dumps(config_to_dict(config)),
        "mouth_code_scale": repr(code.scale),
        "history": json.dumps(history),
    }


def write_generator(path: Path, trained: Trained) -> None:
    """Writes a generator in half precision as one file."""
    tensors = {f"average.{n}": v.half() if v.is_floating_point() else v for n, v in trained.weights.items()}
    tensors["mouth_code.basis"] = torch.from_numpy(trained.code.basis)
    metadata = describe_generator(trained.config, trained.code, trained.history)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path, metadata)
    with contextlib.suppress(OSError):  # safetensors lets only the owner read it; some drives refuse to change that
        path.chmod(0o644)


def load_generator(model: Path, generator: Generator) -> Trained:
    """Fills a generator from a run or a model of the same sizes.

    A Context Encoder that hears otherwise (other bands, rate or layers) stays as it is. Then the training learns sound
    anew, and the history says so (``ANEW``). A mouth decoder that only the model has is left out; one that only the generator
    has is new.

    Raises:
        ModelError: if there are no weights or they are of other sizes.
    """
    trained, own = read_generator(model), generator.config.context
    if trained.config.generator.context != own and trained.config.generator.context.size == own.size:
        kept = {name: value for name, value in generator.state_dict().items() if name.startswith(CONTEXT)}
        weights = {name: value for name, value in trained.weights.items() if not name.startswith(CONTEXT)} | kept
        trained = trained._replace(weights=weights, history=[*trained.history, remark(ANEW)])
    if generator.mouth is not None and trained.config.generator.mouth is None:  # the mouth decoder is new
        begun = {name: value for name, value in generator.state_dict().items() if name.startswith(MOUTH)}
        trained = trained._replace(weights=trained.weights | begun)
    elif generator.mouth is None:  # the run trains none
        trained = trained._replace(
            weights={n: value for n, value in trained.weights.items() if not n.startswith(MOUTH)}
        )
    try:
        fill_generator(generator, trained)
    except ModelError as error:
        raise ModelError(f"{model}: {error}") from error
    return trained


def fill_generator(generator: Generator, trained: Trained) -> None:
    """Fills a generator with the weights of a model. Raises ModelError if they are of other sizes."""
    try:
        generator.load_state_dict(trained.weights)
    except RuntimeError as error:
        raise ModelError("The weights are of a generator of other sizes.") from error
