"""Shows a run in TensorBoard: scalars, strips, moving pictures and their sound. ``metrics.jsonl`` stays the record."""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[attr-defined]
from torch.utils.tensorboard import SummaryWriter

from stillspeak.errors import RunError
from stillspeak.talk import Video

_HALF = 2  # every second frame is shown: a GIF has no compression over time


class Board:
    """Writes TensorBoard's event files of a run.

    Args:
        folder: the folder for the files; it is made with the first event.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    @property
    def writer(self) -> SummaryWriter:
        """Opens the writer when there is something to write."""
        if self._writer is None:
            self._writer = SummaryWriter(str(self.folder), flush_secs=20)
        return self._writer

    @contextlib.contextmanager
    def _written(self) -> Iterator[SummaryWriter]:
        """Raises RunError if there is no room; TensorBoard's own thread may have met it some time ago."""
        try:
            yield self.writer
        except OSError as error:
            self._writer = None
            raise RunError(f"{self.folder} could not be written: {error.strerror}.") from error

    def scalars(self, phase: str, values: Mapping[str, float], step: int) -> None:
        """Writes a point of each curve."""
        with self._written() as writer:
            for name, value in values.items():
                writer.add_scalar(f"{phase}/{name}", value, step)

    def strip(self, phase: str, picture: NDArray[np.uint8], step: int) -> None:
        """Writes a contact sheet, ``(height, width, 3)``."""
        with self._written() as writer:
            writer.add_image(f"{phase}/strip", picture, step, dataformats="HWC")

    def video(self, name: str, video: Video, step: int) -> None:
        """Writes a video as a moving picture, and its sound under it."""
        shown = [Image.fromarray(frame) for frame in video.frames[::_HALF]]
        file = io.BytesIO()
        duration_ms = round(1000 * _HALF / video.fps)
        shown[0].save(file, "GIF", save_all=True, append_images=shown[1:], duration=duration_ms, loop=0)
        height, width = video.frames.shape[1:3]
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=file.getvalue())
        summary = Summary(value=[Summary.Value(tag=f"{name}/video", image=image)])
        with self._written() as writer:
            writer._get_file_writer().add_summary(summary, step)
            writer.add_audio(f"{name}/sound", video.audio[None], step, video.rate_hz)

    def close(self) -> None:
        """Writes the events that wait, and closes the file."""
        if self._writer is not None:
            with contextlib.suppress(OSError):  # this is only a view of the record
                self._writer.close()
            self._writer = None
