"""Video out of files (PyAV), at an exact rate, placed by time stamps. Frames are uint8 RGB, ``(time, height, width, 3)``.

Files are written in ``writer.py``.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stillspeak.errors import MediaError
from stillspeak.media.audio import packets
from stillspeak.media.opening import open_media

Frames = NDArray[np.uint8]


def iterate_video(path: str | Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Decodes a video: pairs of seconds since the first frame and a frame ``(height, width, 3)``.

    A damaged part is skipped; what could be decoded is given.

    Raises:
        MediaError: if the file is missing, unreadable or holds no picture.
    """
    with open_media(path) as container:
        if not container.streams.video:
            raise MediaError(f"{path} has no picture in it.")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        first: float | None = None
        to_rgb = VideoReformatter()  # one for all frames: making one takes five times as long as using it
        for packet in packets(container, stream):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                seconds = frame.time or 0.0
                first = seconds if first is None else first
                yield (
                    seconds - first,
                    np.asarray(to_rgb.reformat(frame, format="rgb24", threads=1).to_ndarray(), np.uint8),
                )
        if first is None:
            raise MediaError(f"{path} holds no frame that can be decoded.")


def read_video(path: str | Path, fps: float | Fraction = 25) -> Frames:
    """All frames of a video at exactly ``fps``: output frame t is the one shown at t / fps, ``(time, height, width, 3)``.

    Raises:
        MediaError: as ``iterate_video``.
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
