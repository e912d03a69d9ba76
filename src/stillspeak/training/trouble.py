"""Finds what goes wrong in a training, and says in a sentence what to do about it. Ours.

Not-a-number always ends a run. Everything else is a warning, or ends the run too if the config asks for it.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

_STILL = 0.3  # a mouth stands still if the spread of its opening is below this
_ALWAYS = 0.98  # a discriminator with this share of right answers teaches nothing
_IN_A_ROW = 10  # a discriminator must be right for so many logged steps in a row


def not_finite(scalars: Mapping[str, float]) -> list[str]:
    """Returns the names of the scalars that are not a number or infinite."""
    return [name for name, value in scalars.items() if not math.isfinite(value)]


def all_numbers(weights: Iterable[Tensor]) -> bool:
    """Returns whether no weight is not-a-number or infinite, with a single question to a GPU."""
    return bool(torch.stack([torch.isfinite(weight).all() for weight in weights]).all())


def standing_mouth(figures: Mapping[str, float]) -> str:
    """Returns a sentence if the mouth hardly moves on any split, or an empty text."""
    still = [name for name, value in figures.items() if name.endswith("opening_spread") and value < _STILL]
    if not still:
        return ""
    return (
        f"The mouth hardly moves ({', '.join(still)}): give sound and picture phases more steps, or raise loss.mouth; "
        "without a warm start, this is the photo repeated, and L1 likes it."
    )


class Collapse:
    """Watches for a discriminator that is right about everything for long: the generator then learns nothing from it."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def sees(self, scalars: Mapping[str, float]) -> str:
        """Returns a sentence when a discriminator has just been right for ten logged steps, or an empty text."""
        said = []
        for name in [key.removesuffix("_right_on_real") for key in scalars if key.endswith("_right_on_real")]:
            right = min(scalars[f"{name}_right_on_real"], scalars[f"{name}_right_on_fake"])
            self.rows[name] = self.rows.get(name, 0) + 1 if right >= _ALWAYS else 0
            if self.rows[name] == _IN_A_ROW:
                said.append(name)
        if not said:
            return ""
        return (
            f"The discriminator {' and '.join(said)} is right about everything: lower {said[0]}.learning-rate, "
            "or let the discriminators join later with adversarial.adversaries-from."
        )
