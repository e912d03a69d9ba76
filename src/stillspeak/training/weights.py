"""A trained generator as one safetensors file: half precision, with its config and mouth code. Starts the next training."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from stillspeak.config import Config
from stillspeak.data.mouth_code import MouthCode
from stillspeak.errors import ModelError
from stillspeak.model.generator import Generator
from stillspeak.training.run import CHECKPOINT, config_from_dict, config_to_dict, load_tensors

GENERATOR = "generator.safetensors"


def find_weights(model: Path) -> Path:
    """The weights in a run or an exported model folder, or the file itself. Raises ModelError if there are none."""
    for path in (model, model / CHECKPOINT, model / GENERATOR):
        if path.is_file():
            return path
    raise ModelError(f"{model} holds neither a training run nor an exported model's {GENERATOR}.")


def read_generator(model: Path) -> tuple[Config, dict[str, Tensor], MouthCode]:
    """Config, averaged weights in float32, and mouth code of a run or a model.

    Raises:
        ModelError: if there are none.
    """
    tensors, metadata = load_tensors(find_weights(model))
    code = MouthCode(tensors["mouth_code.basis"].float().numpy(), float(metadata["mouth_code_scale"]))
    weights = {
        name.removeprefix("average."): value.float() if value.dtype is torch.float16 else value
        for name, value in tensors.items()
        if name.startswith("average.")
    }
    return config_from_dict(json.loads(metadata["config"])), weights, code


def write_generator(path: Path, config: Config, weights: dict[str, Tensor], code: MouthCode) -> None:
    """Writes averaged weights in half precision, with their config and mouth code, as one file."""
    tensors = {
        f"average.{name}": value.half() if value.is_floating_point() else value for name, value in weights.items()
    }
    tensors["mouth_code.basis"] = torch.from_numpy(code.basis)
    metadata = {"config": json.dumps(config_to_dict(config)), "mouth_code_scale": repr(code.scale)}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path, metadata)
    path.chmod(0o644)


def load_generator(model: Path, generator: Generator) -> MouthCode:
    """Fills a generator from a run or a model of the same sizes; returns the mouth code it was trained with.

    Raises:
        ModelError: if there are no weights or they are of other sizes.
    """
    _, weights, code = read_generator(model)
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"The weights in {model} are of a generator of other sizes.") from error
    return code
