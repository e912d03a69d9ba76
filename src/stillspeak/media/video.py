"""Reads videos (PyAV) at an exact rate, by their time stamps. Frames are uint8 RGB, ``(time, height, width, 3)``.

``writer.py`` writes videos.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.opening import open_media
from stillspeak.media.shown import Screen
from stillspeak.media.streams import shown_stream, timed, timeline_of

Frames = NDArray[np.uint8]


def iterate_video(path: str | Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decodes a video; yields each frame ``(height, width, 3)`` as players show it, after the seconds since the first frame.

    A frame is turned and mirrored as the file says, and its pixels are square. Damaged parts are skipped. ``read_audio`` puts
    the sound of the same file on the same clock.

    Raises:
        MediaError: if the file is missing, unreadable or holds no picture.
    """
    with open_media(path) as container:
        if shown_stream(container) is None:
            found = "has no moving picture in it, only a cover" if container.streams.video else "has no picture in it"
            raise MediaError(f"{path} {found}.")
        timeline = timeline_of(container)
    with open_media(path) as container:
        stream = shown_stream(container)
        assert stream is not None
        stream.thread_type = "AUTO"
        screen, first = Screen(), None
        for seconds, frame, pixel in timed(container, stream, timeline):
            try:
                picture = screen.show(frame, pixel)
            except av.error.FFmpegError:
                continue
            first = seconds if first is None else first
            yield seconds - first, picture
        if first is None:
            raise MediaError(f"{path} holds no frame that can be decoded.")


def read_video(path: str | Path, fps: float | Fraction = 25) -> Frames:
    """Reads a video at exactly ``fps``, ``(time, height, width, 3)``: output frame t is the one shown at t / fps.

    Raises:
        MediaError: as ``iterate_video`` does.
    """
    half = 0.5 / float(fps)
    frames: list[NDArray[np.uint8]] = []
    held: NDArray[np.uint8] | None = None
    shown, interval = 0.0, 1 / float(fps)
    for seconds, frame in iterate_video(path):
        while held is not None and len(frames) / float(fps) + half <= seconds:
            frames.append(held)
        interval = seconds - shown if held is not None else interval
        held, shown = frame, seconds
    while held is not None and (not frames or len(frames) / float(fps) + half <= shown + interval + 1e-6):
        frames.append(held)  # the last frame is shown as long as the one before it
    return np.stack(frames)
