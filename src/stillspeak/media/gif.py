"""Writes frames as an animated GIF."""

import contextlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from stillspeak.errors import OutputError
from stillspeak.media.provenance import marked_gif
from stillspeak.media.signing import Signature
from stillspeak.whole import discard, part_file, publish

_GIF_FPS = 50  # players show what is faster slowly


class GifWriter:
    """Writes an animated GIF with the 256 colours that fit the photo best; the file appears when it is whole.

    Raises:
        OutputError: if the folder is missing or cannot be written, or there are more frames a second than a GIF can show.
    """

    def __init__(self, path: Path, fps: Fraction, signature: Signature | None = None) -> None:
        if fps > _GIF_FPS:
            raise OutputError(f"A GIF shows at most {_GIF_FPS} frames a second, not {float(fps):g}; set --fps.")
        self._path, self._fps, self._signature, self._frames = path, fps, signature, 0
        self._part = part_file(path)
        self._container: av.container.OutputContainer | None = None
        self._graph: av.filter.Graph | None = None
        self._source: av.filter.context.FilterContext | None = None
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> "GifWriter":
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Appends one frame, ``(height, width, 3)``."""
        try:
            if self._graph is None:
                self._open(frame)
            assert self._source is not None
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = self._frames, 1 / self._fps
            self._frames += 1
            self._source.push(picture)
            self._take()
        except (OSError, av.error.FFmpegError) as failure:
            raise self._unwritten(failure) from failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except (OSError, av.error.FFmpegError) as failure:
            raise self._unwritten(failure) from failure
        finally:
            if self._container is not None:
                with contextlib.suppress(OSError, av.error.FFmpegError):
                    self._container.close()
            discard(self._part)

    def _finish(self) -> None:
        if self._source is None or self._stream is None or self._container is None:
            raise OutputError(f"{self._path} was not written: there was no frame to put in it.")
        self._source.push(None)
        self._take()
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._container = None
        with self._part.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            end = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(marked_gif(end))
        if self._signature is not None:
            self._signature.sign(self._part)
        publish(self._part, self._path)

    def _open(self, frame: NDArray[np.uint8]) -> None:
        height, width = frame.shape[:2]
        self._container = container = av.open(str(self._part), "w", format="gif")
        self._stream = stream = container.add_stream("gif", rate=self._fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        graph = av.filter.Graph()
        form, base = av.VideoFormat("rgb24"), 1 / self._fps
        source = graph.add_buffer(width=width, height=height, format=form, time_base=base)
        colours = graph.add_buffer(width=16, height=16, format=av.VideoFormat("bgra"), time_base=base)
        use, sink = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle"), graph.add("buffersink")
        source.link_to(use, 0, 0)
        colours.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        colours.push(_palette(frame))
        colours.push(None)
        self._source = source
        self._graph = graph

    def _take(self) -> None:
        """Encodes the frames that the filter graph has ready."""
        assert self._graph is not None
        assert self._stream is not None
        assert self._container is not None
        while True:
            try:
                picture = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(picture, av.VideoFrame)
            self._container.mux(self._stream.encode(picture))

    def _unwritten(self, failure: Exception) -> OutputError:
        return OutputError(f"{self._path} could not be written: {getattr(failure, 'strerror', None) or failure}.")


def _palette(frame: NDArray[np.uint8]) -> av.VideoFrame:
    """Returns the 256 colours that show a frame best, as a picture of 16 x 16."""
    height, width = frame.shape[:2]
    graph = av.filter.Graph()
    form = av.VideoFormat("rgb24")
    source = graph.add_buffer(width=width, height=height, format=form, time_base=Fraction(1, 25))
    colours, sink = graph.add("palettegen", "reserve_transparent=1"), graph.add("buffersink")
    source.link_to(colours)
    colours.link_to(sink)
    graph.configure()
    source.push(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24"))
    source.push(None)
    palette = graph.pull()
    assert isinstance(palette, av.VideoFrame)
    palette.pts = 0
    return palette
