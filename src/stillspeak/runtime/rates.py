"""Changes the frame rate of frames that come one by one. Ours."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]
_ROUNDING_SECONDS = 1e-3  # ours: sound shorter than this adds no frame


def at_rate(
    frames: Iterator[Frames], from_fps: float | Fraction, to_fps: float | Fraction, seconds: Callable[[], float]
) -> Iterator[Frames]:
    """Changes the frame rate: output frame k, shown at k / to_fps, is the input frame of that moment.

    ``seconds`` returns how much sound there is so far, which is always a frame more than the frames drawn. The last frame may
    outlast the sound a little: otherwise, at one frame a second, half a word would be lost.
    """
    if from_fps == to_fps:
        yield from frames
        return
    ratio = Fraction(from_fps).limit_denominator(1001) / Fraction(to_fps).limit_denominator(1001)
    shown = 0
    current: Frames | None = None
    for index, current in enumerate(frames):
        while int(shown * ratio) == index and shown < (seconds() - _ROUNDING_SECONDS) * float(to_fps):
            yield current
            shown += 1
    while current is not None and shown < (seconds() - _ROUNDING_SECONDS) * float(to_fps):
        yield current  # less than one input frame is missing at the end
        shown += 1
