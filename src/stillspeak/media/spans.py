"""Finds runs of true values, such as the frames in which a face is hidden."""

from collections.abc import Iterable, Iterator

import numpy as np


def spans(flags: Iterable[bool]) -> Iterator[tuple[int, int]]:
    """Yields begin and end (the index after the last) of each run of true values."""
    values = np.fromiter(flags, np.bool_)
    edges = np.flatnonzero(np.diff(values.astype(np.int8), prepend=0, append=0))
    yield from ((int(begin), int(end)) for begin, end in edges.reshape(-1, 2))
