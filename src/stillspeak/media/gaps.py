"""Finds the gaps of a recording: frames that are missing, frozen or black while the sound goes on. Ours.

``Looker`` keeps a few numbers of each frame, so memory hardly grows with the film. ``find_gaps`` decides from those numbers
alone.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.spans import spans

Image = NDArray[np.uint8]
MISSING, FROZEN, BLACK, LISTED = "missing", "frozen", "black", "listed"
LEVEL_SECONDS = 0.04  # the sound's level is taken over so long
_SMALL_PX = 320, 180  # the size at which two frames are compared
_BLOCKS = 16, 9  # each frame is compared in so many blocks, across and down
_BLACK = 24  # of 255: all blocks of a black frame are at most so bright
_SAME, _NEARLY = 0.2, 0.35  # of the film's usual change: a repeated frame changes less; one amid repeated ones, less
_USUAL = 0.75  # the quantile of the changes that is called usual
_JUMP = 0.3  # of the usual change: a good frame differs by more from repeated ones before it
_JUMP_OF_ONE = 1.0  # the same where only one is repeated
_SAME_LEAST, _SAME_MOST = 0.05, 1.3  # of 255: bounds of the change of a repeated frame
_LATE = 1.5  # an interval that is longer than so many of the film's has lost a frame
_LATE_VARYING, _LATE_SECONDS = 4.0, 0.3  # the same of a film whose frames come at varying times, and the least
_STEADY_SHARE, _STEADY = 0.8, 0.25  # a film is steady if such a share of its intervals is so near to their median
_RHYTHM = 0.06  # a film in which more frames than this are lone repetitions repeats them on purpose (24 shown as 30)
_SHORT_RUN = 2  # repetitions in a row of which that is said
_RANGE_DB, _SPEECH_SHARE, _FAINTEST_DB = (
    15.0,
    0.3,
    -50.0,
)  # speech is louder than the background by a share of the range
_LISTED = re.compile(r"\s*(\d{1,7}(?:\.\d{1,9})?)\s*-\s*(\d{1,7}(?:\.\d{1,9})?)\s*", re.ASCII)


class Gap(NamedTuple):
    """Holds a part of a film whose frames are to be drawn.

    Attributes:
        begin: when the first frame that is not good is shown, or should be, in seconds.
        end: when the next good frame is shown; after the last frame, when the film should end.
        kind: ``missing``, ``frozen``, ``black`` or ``listed``.
    """

    begin: float
    end: float
    kind: str


class Looker:
    """Looks at one frame after another.

    Attributes:
        times: when each frame is shown, in seconds.
        changes: how far each frame differs from the one before in the block that differs most, of 255; infinite for the first.
            While frames hardly change, each is compared with the first of them, so that a slow motion shows.
        black: whether each frame is black.
    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.changes: list[float] = []
        self.black: list[bool] = []
        self._compared: NDArray[np.float32] | None = None

    def push(self, seconds: float, picture: Image) -> None:
        """Takes the next frame, RGB uint8 ``(height, width, 3)``."""
        small = cv2.resize(picture, _SMALL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
        change = np.inf
        if self._compared is not None:
            difference = np.abs(small - self._compared).mean(axis=2)
            change = float(cv2.resize(difference, _BLOCKS, interpolation=cv2.INTER_AREA).max())
        brightest = float(cv2.resize(small, _BLOCKS, interpolation=cv2.INTER_AREA).max())
        self.times.append(seconds)
        self.changes.append(change)
        self.black.append(brightest <= _BLACK)
        if change > _SAME_MOST:
            self._compared = small


def find_gaps(
    times: Sequence[float], changes: Sequence[float], black: Sequence[bool], levels_db: NDArray[np.float64]
) -> list[Gap]:
    """Finds the gaps of a recording in which its sound speaks.

    Args:
        times, changes, black: as ``Looker`` keeps them.
        levels_db: the level of the sound in each 0.04 s, in decibels.

    Returns:
        The gaps in their order. Those that touch are joined.
    """
    if not times:
        return []
    at, step = np.asarray(times), interval_of(times)
    end = float(at[-1]) + step
    ends = np.append(at[1:], end)
    found = [Gap(float(at[one] + step), float(at[one + 1]), MISSING) for one in _late(at, step)]
    lasts = len(levels_db) * LEVEL_SECONDS
    if lasts > end + max(_LATE_SECONDS, _LATE * step):
        found.append(Gap(end, lasts, MISSING))
    for flags, kind in ((np.asarray(black), BLACK), (_frozen(np.asarray(changes), np.asarray(black)), FROZEN)):
        found += [Gap(float(at[begin]), float(ends[stop - 1]), kind) for begin, stop in spans(flags)]
    speech = _speech(levels_db)
    return joined([gap for gap in found if _speaks(gap, speech)], step)


def read_gaps(text: str) -> list[Gap]:
    """Reads gaps that a user lists, such as ``1.2-1.8,4-5``, in seconds. Raises MediaError if they make no sense."""
    gaps = list[Gap]()
    for part in text.split(","):
        said = _LISTED.fullmatch(part)
        if said is None or float(said[1]) >= float(said[2]):
            raise MediaError(f"Gaps are listed in seconds, as in 1.2-1.8,4-5; {part.strip()!r:.40} is none.")
        gaps.append(Gap(float(said[1]), float(said[2]), LISTED))
    gaps.sort()
    if any(one.end > other.begin for one, other in pairwise(gaps)):
        raise MediaError(f"Two of the gaps {text:.60} overlap.")
    return gaps


def interval_of(times: Sequence[float]) -> float:
    """Returns the usual time between two frames, in seconds: the median."""
    return float(np.median(np.diff(times))) if len(times) > 1 else LEVEL_SECONDS


def filled_times(times: Sequence[float], gaps: Sequence[Gap]) -> Iterator[tuple[float, int | None]]:
    """Yields when each frame of the repaired film is shown, and its number in the film; None for one that is to be drawn.

    Frames that lie in a gap are drawn at their own times. Where frames are missing in a gap, they are added.

    Args:
        times: when each frame of the film is shown.
        gaps: the gaps in their order.
    """
    step = interval_of(times)
    nearly = step / 4
    whole = [*times, max(times[-1] + step, gaps[-1].end if gaps else 0.0)]
    waiting = iter(gaps)
    gap = next(waiting, None)
    for index, seconds in enumerate(times):
        while gap is not None and gap.end <= seconds + nearly:
            gap = next(waiting, None)
        inside = gap is not None and gap.begin <= seconds + nearly
        yield seconds, None if inside else index
        following = whole[index + 1]
        if gap is not None and gap.begin < following - nearly and following - seconds > _LATE * step:
            missing = round((following - seconds) / step) - 1
            added = (seconds + (following - seconds) * (one + 1) / (missing + 1) for one in range(missing))
            yield from ((one, None) for one in added if gap.begin <= one + nearly and one < gap.end - nearly)


def joined(gaps: Iterable[Gap], step: float) -> list[Gap]:
    """Returns gaps in their order; those that overlap or touch become one, which keeps the kind of the longest."""
    made = list[Gap]()
    for gap in sorted(gaps):
        if made and gap.begin <= made[-1].end + step / 2:
            last = made[-1]
            kind = max(last, gap, key=lambda one: one.end - one.begin).kind
            made[-1] = Gap(last.begin, max(last.end, gap.end), kind)
        else:
            made.append(gap)
    return made


def level_db(samples: NDArray[np.float32]) -> float:
    """Returns the level of some samples ``(n,)`` in decibels; -100 for silence."""
    return 10 * float(np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-10))


def _late(times: NDArray[np.float64], step: float) -> list[int]:
    """Returns the numbers of the frames after which at least one is missing."""
    waits = np.diff(times)
    if not len(waits):
        return []
    steady = np.mean(np.abs(waits - step) <= _STEADY * step) >= _STEADY_SHARE
    longest = _LATE * step if steady else max(_LATE_VARYING * step, _LATE_SECONDS)
    return [int(one) for one in np.flatnonzero(waits > longest)]


def _frozen(changes: NDArray[np.float64], black: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns whether each frame repeats the one before, ``(frames,)``."""
    moving = changes[np.isfinite(changes) & ~black & (changes > _SAME_LEAST)]
    usual = float(np.quantile(moving, _USUAL)) if len(moving) else 0.0
    same = (changes < np.clip(_SAME * usual, _SAME_LEAST, _SAME_MOST)) & ~black
    for begin, stop in [*spans(~same)]:  # an encoder refreshes a picture that stands still now and then
        if begin and stop < len(same) and stop - begin == 1 and changes[begin] < _NEARLY * usual:
            same[begin] = True
    short = [run for run in spans(same) if run[1] - run[0] <= _SHORT_RUN]
    if sum(stop - begin for begin, stop in short) > _RHYTHM * len(same):
        for begin, stop in short:
            same[begin:stop] = False
    for begin, stop in [*spans(same)]:  # somebody who sits still begins to move slowly
        jump = np.inf if stop == len(same) or black[stop] else changes[stop]
        lone = stop - begin == 1
        if jump < (_JUMP_OF_ONE if lone else _JUMP) * usual or (lone and stop == len(same)):
            same[begin:stop] = False
    return same


def _speech(levels_db: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Returns in which pieces of the sound somebody may speak."""
    if not len(levels_db):
        return np.zeros(0, np.bool_)
    background, loud = np.quantile(levels_db, [0.05, 0.95])
    limit = background + _SPEECH_SHARE * (loud - background) if loud - background > _RANGE_DB else _FAINTEST_DB
    return levels_db > max(limit, _FAINTEST_DB)


def _speaks(gap: Gap, speech: NDArray[np.bool_]) -> bool:
    begin, end = int(gap.begin / LEVEL_SECONDS), int(np.ceil(gap.end / LEVEL_SECONDS))
    return bool(speech[max(0, begin - 1) : end + 1].any())
