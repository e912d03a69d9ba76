"""Shows every clip of the mirrored set once an epoch, beside clips of about its length. Paper, section 4.1 and Table 1.

The paper mirrors the training set, which doubles it: an epoch shows each clip once as it is and once mirrored.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_POOL = 16  # ours: so many batches are sorted by length together; more would always put the same clips together


class Order(NamedTuple):
    """Says where a batch stands in the epochs: their seed, and how many clips were drawn before it."""

    seed: tuple[int, ...]
    first: int


class Turns(NamedTuple):
    """Holds the clips of a batch: their numbers, and whether they are mirrored."""

    clips: NDArray[np.int64]
    mirrored: NDArray[np.bool_]


class Epochs:
    """Draws clips in shuffled epochs. Every draw is a pure function of its order.

    Args:
        lengths: how many frames each clip has.
        mirror: whether the set is mirrored.

    Attributes:
        size: how many draws an epoch has.
    """

    def __init__(self, lengths: list[int], mirror: bool) -> None:
        self.clips, self.size = len(lengths), len(lengths) * (2 if mirror else 1)
        self.lengths = np.tile(lengths, self.size // self.clips)
        self._shuffled = lru_cache(2)(self._shuffle)

    def turns(self, count: int, order: Order) -> Turns:
        """Returns the ``count`` clips that are due at a place in the epochs."""
        places = order.first + np.arange(count)
        epochs, inside = (places // self.size).tolist(), (places % self.size).tolist()
        drawn = np.array([self._shuffled(order.seed, e, count)[i] for e, i in zip(epochs, inside, strict=True)])
        return Turns(drawn % self.clips, drawn >= self.clips)

    def _shuffle(self, seed: tuple[int, ...], epoch: int, count: int) -> NDArray[np.int64]:
        """Returns an epoch in its order: batches of about one length, one after another by chance.

        The first draws of an epoch may complete the last batch of the epoch before it; the last ones may begin a batch.
        """
        random = np.random.default_rng([*seed, epoch])
        drawn = random.permutation(self.size)
        first, rest = np.split(drawn, [min(self.size, -epoch * self.size % count)])
        pools = np.split(rest, range(_POOL * count, len(rest), _POOL * count))
        rest = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        whole = len(rest) // count * count
        batches = random.permutation(rest[:whole].reshape(-1, count))
        return np.concatenate([first, batches.ravel(), rest[whole:]])
