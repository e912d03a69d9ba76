"""Says what a checkpoint holds of a run's phases, as named tensors: networks and optimisers.

Of optimisers it holds only those of the phase in hand, because every phase begins with new ones.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from stillspeak.training.phase import Phase
from stillspeak.training.run import CHECKPOINT, load_tensors
from stillspeak.training.runs import numbered


def pack(phases: Sequence[Phase], index: int) -> dict[str, Tensor]:
    """Packs networks and optimisers as tensors by name.

    Args:
        phases: the phases of the run; those without steps have nothing to keep.
        index: the number of the phase in hand; after the last phase, the number of phases.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in _networks(phases).items():
        tensors |= prefixed(f"network.{name}.", network)
    for name, optimiser in _optimisers(phases, index).items():
        tensors |= pack_optimiser(f"optimiser.{name}.", optimiser)
    return tensors


def unpack(tensors: dict[str, Tensor], phases: Sequence[Phase], index: int) -> None:
    """Fills networks and optimisers with what ``pack`` gave."""
    for name, network in _networks(phases).items():
        if kept := without_prefix(f"network.{name}.", tensors):
            network.load_state_dict(kept)
    for name, optimiser in _optimisers(phases, index).items():
        unpack_optimiser(f"optimiser.{name}.", optimiser, tensors)


def take_discriminators(init: Path, phases: Sequence[Phase]) -> list[str]:
    """Fills discriminators from the run to start from, where their sizes are the same; returns their names."""
    if not (init / CHECKPOINT).is_file():
        return []
    tensors, _ = load_tensors(init / CHECKPOINT)
    taken = []
    for name, network in _networks(phases).items():
        kept, own = without_prefix(f"network.{name}.", tensors), network.state_dict()
        if kept.keys() == own.keys() and all(kept[key].shape == own[key].shape for key in own):
            network.load_state_dict(kept)
            taken.append(name)
    return taken


def pack_optimiser(prefix: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Packs an optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"{prefix}{index}.{key}": torch.as_tensor(value)
        for index, entry in state.items()
        for key, value in entry.items()
    }


def unpack_optimiser(prefix: str, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Fills an optimiser with what ``pack_optimiser`` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in without_prefix(prefix, tensors).items():
        index, key = name.split(".")
        state.setdefault(int(index), {})[key] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    for parameter, entry in optimiser.state.items():  # moments lie in memory as their weights do
        for key, value in entry.items():
            if value.shape == parameter.shape:
                entry[key] = torch.empty_like(parameter).copy_(value)


def prefixed(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """Returns a network's weights, with ``prefix`` before each name."""
    return {f"{prefix}{name}": tensor for name, tensor in network.state_dict().items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors whose names begin with ``prefix``, under the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _networks(phases: Sequence[Phase]) -> dict[str, nn.Module]:
    """Returns the networks of the phases that take steps, by name."""
    pairs = [pair for phase in phases if phase.steps for pair in phase.networks.items()]
    return dict(zip(numbered([name for name, _ in pairs]), (network for _, network in pairs), strict=True))


def _optimisers(phases: Sequence[Phase], index: int) -> dict[str, torch.optim.Optimizer]:
    return phases[index].optimisers if index < len(phases) else {}
