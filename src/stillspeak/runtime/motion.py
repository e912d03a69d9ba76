"""Checks whether a model moves a mouth at all: gives it a drawn face and bursts of noise, and compares its frames.

A model that has learnt nothing returns the photo, frame after frame. Without this check nobody would tell the user why.
"""

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.runtime.engine import Engine

_FRAMES = 12
_MOUTH = slice(78, 108), slice(28, 72)  # rows, columns of an aligned face
_LEAST_MOTION = 0.2  # ours, of 255: the shipped models reach 1.4 and 1.6, an untrained one 0.0
_SKIN = (200, 160, 140)
# Centre, half axes and colour of the blobs that make the face: eyes, the base of the nose, lips, the line between them.
_FACE = (
    ((32, 48), (8, 3), (60, 40, 40)),
    ((67, 48), (8, 3), (60, 40, 40)),
    ((49, 77), (5, 2), (140, 100, 90)),
    ((49, 90), (16, 4), (170, 80, 80)),
    ((49, 90), (15, 1), (70, 30, 30)),
)


def moves_mouth(engine: Engine) -> bool:
    """Returns whether a model's frames change around the mouth when it hears sound that is like speech."""
    windows = engine.windows
    rate_hz, seconds = engine.description.rate_hz, _FRAMES / engine.description.fps + 1
    times = np.arange(round(rate_hz * seconds)) / rate_hz
    noise = np.random.default_rng(0).normal(0, 0.2, len(times))
    sound = (noise * (np.sin(8 * np.pi * times) > 0)).astype(np.float32)  # there is a burst every quarter of a second
    _, heard = windows.push(windows.begin(), sound)
    quiet = np.zeros((_FRAMES, engine.description.noise_size), np.float32)
    made, _ = engine.step(engine.identify(_drawn_face()), heard[:_FRAMES], quiet, engine.begin())
    mouth = made.frames[:, *_MOUTH].astype(np.float32)
    return float(mouth.std(axis=0).mean()) >= _LEAST_MOTION


def _drawn_face() -> NDArray[np.uint8]:
    """Draws an aligned face, ``(128, 96, 3)``, with just enough detail that a decoder takes it for one."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    face = np.full((HEIGHT_PX, WIDTH_PX, 3), _SKIN, np.float32)
    for (x, y), (across, down), colour in _FACE:
        weight = np.clip(1.5 - np.hypot((columns - x) / across, (rows - y) / down), 0, 1)[..., None]
        face = face * (1 - weight) + np.array(colour, np.float32) * weight
    return face.astype(np.uint8)
