"""Makes many processes train one model: shares the clips of a batch, and averages gradients and batch norms. Ours.

``torchrun`` starts the processes; without it there is one. Each process draws its own clips of the one batch that a seed gives.
So n processes with a batch of m clips take the step that one process would take. Gradients are averaged after each backward
pass, all of a network in one message. ``DistributedDataParallel`` needs one forward pass for each backward pass, which
adversaries do not have.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from stillspeak.errors import RunError
from stillspeak.training.tensors import seeded

_LONGEST_WAIT = timedelta(hours=4)  # processes wait so long for another one that decodes clips for the first time


@dataclass(frozen=True)
class Share:
    """Names one part of a batch: part ``index`` of ``parts``."""

    index: int = 0
    parts: int = 1

    def of(self, clips: int, field: str = "adversarial.clips") -> slice:
        """This part's place among the clips of a batch. Raises RunError, naming ``field``, if they cannot be shared evenly."""
        if clips % self.parts:
            raise RunError(f"A batch of {clips} clips cannot be cut into {self.parts} equal parts; set {field}.")
        size = clips // self.parts
        return slice(self.index * size, (self.index + 1) * size)


class Draws:
    """Draws random numbers for one part of a batch, the same as if the whole batch had been drawn."""

    def __init__(self, share: Share, *seed: int) -> None:
        self.share, self.random = share, seeded(*seed)

    def uniform(self, clips: int, *shape: int) -> Tensor:
        """Draws uniform numbers in [0, 1), ``(clips, *shape)``, for the ``clips`` of this part."""
        return self._own(torch.rand(clips * self.share.parts, *shape, generator=self.random), clips)

    def normal(self, clips: int, *shape: int) -> Tensor:
        """Draws Gaussian numbers, ``(clips, *shape)``, for the ``clips`` of this part."""
        return self._own(torch.randn(clips * self.share.parts, *shape, generator=self.random), clips)

    def _own(self, whole: Tensor, clips: int) -> Tensor:
        return whole[self.share.index * clips : (self.share.index + 1) * clips]


class Team:
    """Joins the processes of a training, as ``torchrun`` started them; without it there is one process."""

    def __init__(self) -> None:
        self.rank, self.size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if self.size > 1 and local < torch.cuda.device_count():
            torch.cuda.set_device(local)  # from now on "cuda" is this process's own
        if self.size > 1 and not distributed.is_initialized():
            backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            distributed.init_process_group(backends, timeout=_LONGEST_WAIT)

    @property
    def leads(self) -> bool:
        """Returns whether this process is the one that writes, prints and watches."""
        return self.rank == 0

    def shares(self, parts: int = 1) -> list[Share]:
        """Returns this process's parts of a batch, if each process cuts its share into ``parts``."""
        return [Share(self.rank * parts + part, self.size * parts) for part in range(parts)]

    def average_gradients(self, parameters: Iterable[nn.Parameter], parts: int = 1) -> None:
        """Makes gradients that were summed over ``parts`` the mean over them and over all processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.size > 1 and gradients:
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            distributed.all_reduce(flat)
            for gradient, whole in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(whole.view_as(gradient))
        if self.size * parts > 1:
            for gradient in gradients:
                gradient.div_(self.size * parts)

    def average(self, scalars: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns the mean of each scalar over all processes."""
        if self.size == 1:
            return scalars
        values = torch.stack([value.float() for value in scalars.values()])
        distributed.all_reduce(values)
        return dict(zip(scalars, values / self.size, strict=True))

    def any(self, flag: bool) -> bool:
        """Returns whether ``flag`` is true in any process. It asks over the network, while the GPUs go on working."""
        if self.size == 1:
            return flag
        said = torch.tensor(float(flag))
        distributed.all_reduce(said, distributed.ReduceOp.MAX)
        return bool(said)

    def wait(self) -> None:
        """Waits until every process has come here."""
        if self.size > 1:
            distributed.barrier()

    def synchronise_norms(self, network: nn.Module) -> None:
        """Replaces batch norms, in place, by ones that take their statistics over the clips of all processes."""
        if self.size == 1:
            return
        for module in network.modules():
            if norm := _TEAM_NORMS.get(type(module)):
                module.__class__ = norm  # type: ignore[assignment]


class _Sum(torch.autograd.Function):
    """Sums a tensor over all processes, and its gradient on the way back."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class _TeamNorm(nn.modules.batchnorm._BatchNorm):
    """Normalises batches over all processes; ``nn.SyncBatchNorm`` works on GPUs alone."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - PyTorch's name
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        axes = [axis for axis in range(input.dim()) if axis != 1]
        values = input.float()
        own = torch.cat(
            [values.sum(axes), values.square().sum(axes), values.new_full((1,), values.numel() / values.shape[1])]
        )
        total = _Sum.apply(own)
        size, count = values.shape[1], total[-1]
        mean = total[:size] / count
        variance = (total[size:-1] / count - mean.square()).clamp(min=0)
        with torch.no_grad():
            momentum = self.momentum or 0.0
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / (count - 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked.add_(1)
        shape = [1, -1] + [1] * (input.dim() - 2)
        scale = self.weight / torch.sqrt(variance + self.eps)
        return (values * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(input.dtype)


class _TeamNorm1d(_TeamNorm, nn.BatchNorm1d):
    pass


class _TeamNorm2d(_TeamNorm, nn.BatchNorm2d):
    pass


class _TeamNorm3d(_TeamNorm, nn.BatchNorm3d):
    pass


_TEAM_NORMS: dict[type[nn.Module], type[_TeamNorm]] = {
    nn.BatchNorm1d: _TeamNorm1d,
    nn.BatchNorm2d: _TeamNorm2d,
    nn.BatchNorm3d: _TeamNorm3d,
}
