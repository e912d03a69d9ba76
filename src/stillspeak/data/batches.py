"""Holds what the networks are given in a step, as arrays: single frames of clips, or pieces of clips with their sound."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.fine import Fine, fine_of
from stillspeak.data.landmarks import mouth_interior


@dataclass(frozen=True)
class Batch:
    """Single frames of clips for one step.

    Attributes:
        stills: uint8 ``(clips, 128, 96, 3)``.
        frames: uint8 ``(clips, time, 128, 96, 3)``.
        codes: mouth codes of ``frames``, float32 ``(clips, time, code)``.
        points: landmarks of the still and then of ``frames``, float32 ``(clips, 1 + time, 68, 2)``.
        expressions: what eyes and brows do on the way from the still to ``frames``, float32 ``(clips, time, 2)``.
        interior: where the mouth of ``frames`` is open, uint8 ``(clips, time, 128, 96)``.
        fine: stills and mouths at three times the resolution, where they were asked for.
    """

    stills: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    codes: NDArray[np.float32]
    points: NDArray[np.float32]
    expressions: NDArray[np.float32]
    interior: NDArray[np.uint8]
    fine: Fine | None = None


@dataclass(frozen=True)
class Pieces:
    """Pieces of clips for one step, of any lengths: the frames of all clips lie one after another, and so do their windows.

    Attributes:
        stills: uint8 ``(clips, 128, 96, 3)``.
        frames: uint8 ``(n, 128, 96, 3)``, the last frames of what is heard.
        windows: float32 ``(heard, samples)``: of each clip all sound from its start to its last frame.
        others: float32 ``(n, samples)``: beside each frame what another clip says; without rows where it was not asked for.
        interior: where the mouth of ``frames`` is open, uint8 ``(n, 128, 96)``.
        codes: mouth codes of ``frames``, float32 ``(n, code)``.
        expressions: what eyes and brows do on the way from the still to ``frames``, float32 ``(n, 2)``.
        lengths: how many windows and how many frames each clip has, int32 ``(clips, 2)``.
        longest: the longest of these two in the batch of which this is a part, the same for each clip, int32 ``(clips, 2)``.
    """

    stills: NDArray[np.uint8]
    frames: NDArray[np.uint8]
    windows: NDArray[np.float32]
    others: NDArray[np.float32]
    interior: NDArray[np.uint8]
    codes: NDArray[np.float32]
    expressions: NDArray[np.float32]
    lengths: NDArray[np.int32]
    longest: NDArray[np.int32]


class Picture(NamedTuple):
    """Holds one clip's part of a batch: still and frames, landmarks, the frames' mouth codes and expressions from the still.

    ``large`` are still and frames at three times the resolution, ``(1 + time, 384, 288, 3)``, where the clip has them.
    """

    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    codes: NDArray[np.float32]
    expressions: NDArray[np.float32]
    large: NDArray[np.uint8] | None


def batch_of(pictures: list[Picture], fine: bool) -> Batch:
    """Joins pictures that have as many frames as each other; with ``fine`` their larger mouths too."""
    parts = zip(*(picture[:-1] for picture in pictures), strict=True)
    frames, points, codes, expressions = (np.stack(arrays) for arrays in parts)
    interior = np.stack([mouth_interior(moved[1:]) for moved in points])
    larger = fine_of(frames[:, 0], frames.shape[1] - 1, [picture.large for picture in pictures]) if fine else None
    return Batch(frames[:, 0], frames[:, 1:], codes, points, expressions, interior, larger)


def pieces_of(
    pictures: list[Picture],
    windows: list[NDArray[np.float32]],
    others: list[NDArray[np.float32]],
    lengths: NDArray[np.int64],
    longest: NDArray[np.int64],
) -> Pieces:
    """Joins the pieces of clips: their pictures and windows, what other clips say, and the lengths as ``Pieces`` has them."""
    return Pieces(
        stills=np.stack([picture.frames[0] for picture in pictures]),
        frames=np.concatenate([picture.frames[1:] for picture in pictures]),
        windows=np.concatenate(windows),
        others=np.concatenate(others or [windows[0][:0]]),
        interior=np.concatenate([mouth_interior(picture.points[1:]) for picture in pictures]),
        codes=np.concatenate([picture.codes for picture in pictures]),
        expressions=np.concatenate([picture.expressions for picture in pictures]),
        lengths=lengths.astype(np.int32),
        longest=longest.astype(np.int32),
    )
