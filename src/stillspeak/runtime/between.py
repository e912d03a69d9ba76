"""Draws the frames that are missing between two good frames of a film: forward from the last one, backward from the next. Ours.

Both drawings say the same sound. The model draws a still's own moment a little unlike the still. That difference is taken away
from the drawing, less and less with the distance, so each drawing leaves its good frame without a jump. Then head and background
move from one good frame towards the other, and the two drawings are cross-faded.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import similarity
from stillspeak.media.track import is_cut, thumb_of
from stillspeak.runtime.compose import Composer
from stillspeak.runtime.engine import Engine, Layers
from stillspeak.runtime.flow import flow_between, moved
from stillspeak.runtime.ramp import ramp
from stillspeak.runtime.words import Tick

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
MEETING_SECONDS = 2.0  # ours: head and background need at most so long from one good frame to the next
_KEPT_SECONDS = 0.4  # ours: after this time nothing of the good frame's own mouth is kept in the drawing
_OFTEN_SECONDS = 0.4  # ours: pictures that come more often are shown without melting into each other
_MEETING_FRAMES = 3  # ours: so many frames after a new picture hold something of the last one before it
_SAME_PLACE = 1.0  # in widths of the eyes: a face that is further away after a gap is another one


@dataclass(frozen=True)
class Good:
    """Holds a good frame at the edge of a gap.

    Attributes:
        picture: RGB, uint8 ``(height, width, 3)``.
        points: the five points of the face that speaks, ``(5, 2)``; None if no face is seen.
        tick: what is heard at its moment; None where there is no sound.
        seconds: when it is shown.
    """

    picture: Image
    points: Float | None
    tick: Tick | None
    seconds: float


class Bridge:
    """Draws the frames of one gap.

    Attributes:
        meets_from: from when on the next good frame is needed, in seconds.

    Args:
        engine: the model.
        before: the last good frame; None at the beginning of the film.
        after: the next good frame without its sound, which ``meet`` brings; None at the end of the film.
        mouth: how far the mouth opens, from 0 to 2; 1 is as far as the model draws it.
    """

    def __init__(self, engine: Engine, before: Good | None, after: Good | None, mouth: float = 1.0) -> None:
        self._engine, self._mouth = engine, mouth
        if before is not None and after is not None and not _one_shot(before, after):
            after = None
        self._before, self._after = before, after
        self._from = None if before is None else Side(engine, before, mouth)
        self._to: Side | None = None
        self.meets_from = np.inf if after is None else -np.inf if before is None else after.seconds - MEETING_SECONDS

    @property
    def speaks(self) -> bool:
        """Returns whether a face is seen at an edge of the gap."""
        return any(one is not None and one.points is not None for one in (self._before, self._after))

    def meet(self, tick: Tick | None) -> None:
        """Takes what is heard at the next good frame, which must be known before a frame after ``meets_from`` is drawn."""
        if self._after is None:
            return
        self._to = Side(self._engine, replace(self._after, tick=tick), self._mouth)
        if self._before is not None:
            one, other = self._before, self._after
            self._flows = (
                flow_between(one.picture, other.picture, one.points),
                flow_between(other.picture, one.picture, other.points),
            )

    def draw(self, tick: Tick | None, seconds: float) -> Image:
        """Returns the frame that is shown, and heard, at a moment, ``(height, width, 3)``."""
        if seconds <= self.meets_from or self._after is None:
            assert self._from is not None
            return self._from.draw(tick, seconds)
        assert self._to is not None
        later = self._to.draw(tick, seconds)
        if self._from is None or self._before is None:
            return later
        begin = max(self.meets_from, self._before.seconds)
        share = (seconds - begin) / max(self._after.seconds - begin, 1e-6)
        earlier = moved(self._from.draw(tick, seconds), self._flows[0], share)
        later = moved(later, self._flows[1], 1 - share)
        return np.asarray(cv2.addWeighted(earlier, 1 - share, later, share, 0.0), np.uint8)


class Side:
    """Draws frames from one good frame.

    Args:
        engine: the model.
        good: the good frame.
        mouth: how far the mouth opens; 1 is as far as the model draws it.
    """

    def __init__(self, engine: Engine, good: Good, mouth: float = 1.0) -> None:
        self._engine, self._good, self._mouth = engine, good, mouth
        if good.points is None or good.tick is None:
            self._face = None
            return
        self._face = Composer(good.picture, similarity(good.points))
        self._identity = engine.identify(self._face.still)
        self._own = self._step(good.tick)

    def draw(self, tick: Tick | None, seconds: float) -> Image:
        """Returns the good frame as it says the sound of another moment, ``(height, width, 3)``."""
        if self._face is None or tick is None:
            return self._good.picture
        kept = float(1 - ramp(abs(seconds - self._good.seconds), 0.0, _KEPT_SECONDS))
        made = self._good.picture.copy()
        self._face.paste(made, without(self._step(tick), self._own, self._face.still, kept), 0)
        return made

    def _step(self, tick: Tick) -> Layers:
        return self._engine.step(self._identity, tick.window, tick.noise, tick.memory, self._mouth)[0]


def without(layers: Layers, own: Layers, still: Image, kept: float) -> Layers:
    """Takes away what the model does to a still at the still's own moment, so that at that moment the still itself is shown.

    Args:
        layers: one frame.
        own: the frame that the model draws at the still's own moment.
        still: the still, uint8 ``(128, 96, 3)``.
        kept: how much is taken away: 1 at the still's own moment, 0 far from it.
    """
    if kept <= 0:
        return layers
    share = np.float32(kept)
    frames = layers.frames + share * (still.astype(np.float32) - own.frames)
    mask = np.maximum(0, layers.mask - share * own.mask)
    mouth_mask = layers.mouth_mask
    if mouth_mask is not None and own.mouth_mask is not None:
        mouth_mask = np.maximum(0, mouth_mask - share * own.mouth_mask)
    drawn = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    motion = np.asarray(layers.motion - share * own.motion, np.float32)
    return Layers(drawn, motion, mask, layers.mouth_paint, mouth_mask)


class Renewal:
    """Lets a live talk go on from a new picture: its first frame is the picture itself.

    Args:
        stills: the aligned face of everybody who talks, ``(128, 96, 3)``.
        fps: frames a second.
        last: the last frame that was shown, which melts into the new ones; None if there was none.
        before: how the talk was renewed before, if it was.
    """

    def __init__(self, stills: list[Image], fps: int, last: Image | None, before: "Renewal | None") -> None:
        often = before is not None and before.shown <= _OFTEN_SECONDS * fps
        self._stills, self._fps, self._last = stills, fps, None if often else last
        self._own: list[Layers] = []
        self._drawn = self.shown = 0

    def corrected(self, layers: list[Layers]) -> list[Layers]:
        """Returns the layers of the next frames of everybody, as they follow from the new picture."""
        count = len(layers[0].frames)
        if not count:
            return layers
        self._own = self._own or [layer.part(0) for layer in layers]
        shares = [float(1 - ramp((self._drawn + one) / self._fps, 0.0, _KEPT_SECONDS)) for one in range(count)]
        self._drawn += count
        if not any(shares):
            return layers
        return [
            Layers.joined([without(one.part(at), own, still, share) for at, share in enumerate(shares)])
            for one, own, still in zip(layers, self._own, self._stills, strict=True)
        ]

    def met(self, picture: Image) -> Image:
        """Returns the next frame, which for a moment still holds something of the last one before the new picture."""
        self.shown += 1
        share = self.shown / (_MEETING_FRAMES + 1)
        if self._last is None or share >= 1:
            return picture
        return np.asarray(cv2.addWeighted(self._last, 1 - share, picture, share, 0.0), np.uint8)


def _one_shot(before: Good, after: Good) -> bool:
    """Returns whether the first of two good frames can become the second: no cut and no other face lies between them."""
    if is_cut(thumb_of(before.picture), thumb_of(after.picture)):
        return False
    if before.points is None or after.points is None:
        return True
    eyes = float(np.linalg.norm(before.points[0] - before.points[2]))
    return float(np.linalg.norm(before.points.mean(axis=0) - after.points.mean(axis=0))) <= _SAME_PLACE * eyes
