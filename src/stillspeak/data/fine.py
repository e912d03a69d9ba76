"""Collects mouths at three times the crop's resolution from clips whose frames are that large. Ours."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.mouths import FINE, WINDOW_LEFT_PX, WINDOW_PX, WINDOW_TOP_PX

_ROWS, _COLUMNS = (slice(FINE * first, FINE * (first + WINDOW_PX)) for first in (WINDOW_TOP_PX, WINDOW_LEFT_PX))


class Fine(NamedTuple):
    """Holds the part of a batch at three times the crop's resolution.

    Attributes:
        stills: uint8 ``(clips, 384, 288, 3)``; a clip without large frames has its enlarged crop.
        mouths: the mouth's window of each frame, uint8 ``(clips, time, 144, 144, 3)``; black where a clip has no large frames.
        known: which clips have large frames, bool ``(clips,)``.
    """

    stills: NDArray[np.uint8]
    mouths: NDArray[np.uint8]
    known: NDArray[np.bool_]


def fine_of(stills: NDArray[np.uint8], time: int, large: Sequence[NDArray[np.uint8] | None]) -> Fine:
    """Makes the fine part of a batch.

    Args:
        stills: the stills at the crop's resolution, uint8 ``(clips, 128, 96, 3)``.
        time: the number of frames of each clip.
        large: the large still and frames of each clip, ``(1 + time, 384, 288, 3)``, or None.
    """
    side = FINE * WINDOW_PX
    mouths = np.zeros((len(stills), time, side, side, 3), np.uint8)
    larger = []
    for clip, (still, frames) in enumerate(zip(stills, large, strict=True)):
        if frames is None:
            larger.append(cv2.resize(still, None, fx=FINE, fy=FINE, interpolation=cv2.INTER_CUBIC))
            continue
        larger.append(frames[0])
        mouths[clip] = frames[1:, _ROWS, _COLUMNS]
    return Fine(np.stack(larger).astype(np.uint8), mouths, np.array([frames is not None for frames in large]))
