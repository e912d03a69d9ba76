"""Decides when to stop: "until no improvement is observed on the reconstruction metrics on the validation set for 10 epochs".

Paper, section 3.3. An epoch is a gain if its PSNR or SSIM is above those of all epochs before it.
"""

from collections.abc import Mapping
from typing import Any


class Patience:
    """Counts epochs without a gain.

    Args:
        epochs: how many epochs without a gain are accepted; 0 accepts any number.
    """

    def __init__(self, epochs: int) -> None:
        self.epochs, self.waited = epochs, 0
        self.best: dict[str, float] = {}

    @property
    def over(self) -> bool:
        """Returns whether it is time to stop."""
        return 0 < self.epochs <= self.waited

    def gains(self, figures: Mapping[str, float]) -> bool:
        """Takes an epoch's figures, higher being better; returns whether any is the best so far."""
        better = {name: value for name, value in figures.items() if value > self.best.get(name, float("-inf"))}
        self.best |= better
        self.waited = 0 if better else self.waited + 1
        return bool(better)

    def state(self) -> dict[str, Any]:
        """Returns the state for a checkpoint."""
        return {"best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Takes over a ``state``; old checkpoints have none."""
        if state is not None:
            self.best, self.waited = state["best"], state["waited"]
