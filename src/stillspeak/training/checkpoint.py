"""Packs a trainer into a checkpoint's named tensors: generator, running average, discriminators, optimisers.

A checkpoint holds only the optimisers of the current phase, for every phase begins with new ones.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from stillspeak.model.generator import Generator
from stillspeak.training.phase import Phase
from stillspeak.training.run import CHECKPOINT, load_tensors


def pack(generator: Generator, average: Generator, phases: Sequence[Phase], index: int) -> dict[str, Tensor]:
    """Packs networks and optimisers into tensors by name.

    Args:
        generator: the generator in training.
        average: its running average.
        phases: the phases of the run; a phase without steps has nothing to keep.
        index: the number of the current phase; past the last there is none.
    """
    tensors = {f"generator.{name}": tensor for name, tensor in generator.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.state_dict().items()}
    for name, network in _discriminators(phases).items():
        tensors |= {f"network.{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimiser in _optimisers(phases, index).items():
        tensors |= pack_optimiser(f"optimiser.{name}.", optimiser)
    return tensors


def unpack(
    tensors: dict[str, Tensor], generator: Generator, average: Generator, phases: Sequence[Phase], index: int
) -> None:
    """Takes over the tensors of ``pack``, as its inverse."""
    generator.load_state_dict(_part(tensors, "generator."))
    average.load_state_dict(_part(tensors, "average."))
    for name, network in _discriminators(phases).items():
        if kept := _part(tensors, f"network.{name}."):
            network.load_state_dict(kept)
    for name, optimiser in _optimisers(phases, index).items():
        unpack_optimiser(f"optimiser.{name}.", optimiser, tensors)


def take_discriminators(init: Path, phases: Sequence[Phase]) -> list[str]:
    """Takes over the discriminators of the run to start from, if their sizes are the same; returns their names."""
    if not (init / CHECKPOINT).is_file():
        return []
    tensors, _ = load_tensors(init / CHECKPOINT)
    taken = []
    for name, network in _discriminators(phases).items():
        kept, own = _part(tensors, f"network.{name}."), network.state_dict()
        if kept.keys() == own.keys() and all(kept[key].shape == own[key].shape for key in own):
            network.load_state_dict(kept)
            taken.append(name)
    return taken


def pack_optimiser(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Returns an optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}{index}.{key}": torch.as_tensor(value)
        for index, entry in state.items()
        for key, value in entry.items()
    }


def unpack_optimiser(prefix: str, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Takes over an optimiser's state from named tensors, as the inverse of ``pack_optimiser``."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, prefix).items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    for parameter, entry in optimiser.state.items():  # moments lie in memory as their weights do
        for key, value in entry.items():
            if value.shape == parameter.shape:
                entry[key] = torch.empty_like(parameter).copy_(value)


def _discriminators(phases: Sequence[Phase]) -> dict[str, nn.Module]:
    """Returns the discriminators of the phases that take steps, by name."""
    return {name: network for phase in phases if phase.steps for name, network in phase.networks.items()}


def _optimisers(phases: Sequence[Phase], index: int) -> dict[str, torch.optim.Optimizer]:
    return phases[index].optimisers if index < len(phases) else {}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
