"""Writes frames and sound to mp4, mov, mkv and webm files as they come (PyAV). ``gif.py`` and ``pictures.py`` write the rest.

Picture and sound end within one frame of each other. A file appears under its name only when it is whole.
"""

import contextlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from stillspeak.cores import usable_cores
from stillspeak.errors import OutputError
from stillspeak.media.provenance import DIGITAL_SOURCE_TYPE, container_metadata, mark_file
from stillspeak.media.signing import Signature
from stillspeak.media.soundtrack import Heard, Track, open_track
from stillspeak.whole import discard, part_file, publish

_SMALL_PX, _LARGE_PX = 256 * 256, 1280 * 720
_FIRST_QUANTISER = 5  # ours: with this quantiser H.264's first frame is over 45 dB from the photo
_WAITING, _WAITING_BYTES = 16, 100_000_000  # frames that may wait to be encoded: memory stays constant
_LOOKAHEAD = 40, 8  # frames that H.264 looks ahead, and in pictures larger than HD, where each takes much memory
_FULL_HD_PX = 1920 * 1088
_MOST_ENCODER_THREADS = 16  # ours: each holds frames of its own
CHROMA_FILTER = (
    np.array([[1, 2, 1], [1, 2, 1]]) / 8
)  # colour lies between two rows, on the left of two columns: H.264, figure E-1
_KR_KB_601, _KR_KB_709 = (0.299, 0.114), (0.2126, 0.0722)
_BT601, _BT709 = 6, 1  # H.273: SMPTE 170M, BT.709; for matrix, primaries and transfer alike


@dataclass(frozen=True)
class _Kind:
    """Describes a container: FFmpeg's name, its codecs, and the codecs of sound that may be copied (see ``copied.py``)."""

    format: str
    video: str
    audio: str
    copied: tuple[str, ...]
    options: dict[str, str]


_MP4 = {"movflags": "+faststart+use_metadata_tags"}
_KINDS = {
    ".mp4": _Kind("mp4", "libx264", "aac", ("aac",), _MP4),
    ".mov": _Kind("mov", "libx264", "aac", ("aac",), _MP4),
    ".mkv": _Kind("matroska", "libx264", "aac", ("aac", "mp3", "mp3float", "flac", "opus", "libopus", "vorbis"), {}),
    ".webm": _Kind("webm", "libvpx-vp9", "libopus", ("opus", "libopus", "vorbis"), {}),
}
FILM_SUFFIXES = tuple(_KINDS)


class VideoWriter:
    """Writes frames and sound to a video file. Encoding goes on in the background while frames are made.

    The file is made beside its destination and renamed when complete. Until then an older file stays, and an error or an
    interrupt leaves nothing behind.

    Args:
        path: the file to write; its suffix names the container.
        fps: frames a second, any rational.
        sound: samples, a file whose own packets are copied if the container takes them, files that are heard at once, or None.
        crf: the quality of H.264; lower is better.
        pixel_format: ``yuv420p`` plays everywhere; ``yuv444p`` keeps colour detail for training data.
        alpha: the opacity of every frame, uint8 ``(height, width)``; only webm keeps it.
        signature: the key that signs the file (C2PA); None for no signature.
        synthetic: whether the file says that it is synthetic; recordings must not say so.

    Raises:
        OutputError: if the folder is missing or cannot be written, or the suffix is unknown.
    """

    _source_type = DIGITAL_SOURCE_TYPE
    _edited: Path | None = None  # the file that was edited to make this one

    def __init__(
        self,
        path: str | Path,
        fps: float | Fraction,
        sound: Heard | None = None,
        *,
        crf: int = 15,
        pixel_format: str = "yuv420p",
        alpha: NDArray[np.uint8] | None = None,
        signature: Signature | None = None,
        synthetic: bool = True,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in _KINDS and not os.path.isdir(self.path):  # noqa: PTH112 - as in pictures.py
            raise OutputError(f"{self.path.name} must end in {', '.join(_KINDS)}.")
        self._part = part_file(self.path)
        self._kind = _KINDS[self.path.suffix.lower()]
        self.fps = Fraction(fps).limit_denominator(1001)
        self.sound, self.crf, self.pixel_format = sound, crf, pixel_format
        self.signature, self._synthetic = signature, synthetic
        self.alpha = alpha if self._kind.video == "libvpx-vp9" else None
        if self.alpha is not None:
            self.pixel_format = "yuva420p"
        self.frames = 0
        self._container: av.container.OutputContainer | None = None
        self._video: av.VideoStream | None = None
        self._track: Track | None = None
        self._encoder = ThreadPoolExecutor(1)  # encodes one frame after another
        self._waiting: deque[Future[None]] = deque()
        self._failed = False
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Appends one frame, ``(height, width, 3)``; the caller may reuse the array at once."""
        if self._process != os.getpid():
            raise OutputError(f"{self.path} is written by the process that began it; a fork begins a file of its own.")
        try:
            if self._video is None:
                self._open(frame.shape[0], frame.shape[1])
            self._waiting.append(self._encoder.submit(self._encode, np.array(frame, order="C"), self.frames))
            self.frames += 1
            while len(self._waiting) * frame.nbytes > _WAITING_BYTES or len(self._waiting) > _WAITING:
                self._waiting.popleft().result()
        except (OSError, av.error.FFmpegError) as failure:
            raise self._unwritten(failure) from failure

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process != os.getpid():
            return  # after a fork, the file and the thread that encodes belong to the parent process
        self._failed = kind is not None
        try:
            if kind is None:
                self._finish()
            self._close()
            if kind is None:
                publish(self._part, self.path)
        except (OSError, av.error.FFmpegError) as failure:
            raise self._unwritten(failure) from failure
        finally:
            self._failed = True  # whatever is not closed by now is given up
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self._close()
            discard(self._part)

    def _finish(self) -> None:
        if self.frames == 0:
            raise OutputError(f"{self.path} was not written: there was no frame to put in it.")
        assert self._container is not None
        assert self._video is not None
        while self._waiting:
            self._waiting.popleft().result()
        self._container.mux(self._video.encode(None))
        if self._track is not None:
            self._track.finish(self._end_seconds(self.frames - 1))
        self._close()
        if self._synthetic:
            mark_file(self._part, self._source_type)
        if self.signature is not None:
            self.signature.sign(self._part, self._edited)

    def _unwritten(self, failure: Exception) -> OutputError:
        return OutputError(f"{self.path} could not be written: {getattr(failure, 'strerror', None) or failure}.")

    def _encode(self, frame: NDArray[np.uint8], number: int) -> None:
        if self._container is None or self._video is None or self._failed:
            return
        picture = self._picture(frame, number)
        self._container.mux(self._video.encode(picture))
        if self._track is not None:
            self._track.write_until(self._end_seconds(number))

    def _end_seconds(self, number: int) -> float:
        """Returns when a frame has been shown."""
        return float((number + 1) / self.fps)

    def _picture(self, frame: NDArray[np.uint8], number: int) -> av.VideoFrame:
        """Returns a frame as the encoder takes it, with even sides and the colours that the file names."""
        assert self._video is not None
        height, width = self._video.height, self._video.width
        alpha = None if self.alpha is None else even_sided(self.alpha, height, width)
        picture = to_yuv(even_sided(frame, height, width), self.pixel_format, height * width >= _LARGE_PX, alpha)
        picture.pts, picture.time_base = number, 1 / self.fps
        return picture

    def _close(self) -> None:
        """Ends the thread and the file; a second time does nothing."""
        self._encoder.shutdown()
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _open(self, height: int, width: int) -> None:
        kind = self._kind
        container = av.open(str(self._part), "w", format=kind.format, options=kind.options)
        self._container = container
        if self._synthetic:
            container.metadata.update(container_metadata(self._source_type))
        video = container.add_stream(kind.video, rate=self.fps, options=self._options(height * width))
        video.height, video.width = (
            height + height % 2,
            width + width % 2,
        )  # two pixels share a colour, so sides are even
        video.pix_fmt = self.pixel_format
        video.time_base = video.codec_context.time_base = 1 / self.fps
        self._tag(video.codec_context, height * width >= _LARGE_PX)
        self._video = video
        if self.sound is not None:
            self._track = open_track(container, self.sound, kind.audio, kind.copied, self.fps)
        container.start_encoding()

    def _tag(self, context: Any, large: bool) -> None:
        """Says in the file what its colours mean."""
        context.color_primaries = context.color_trc = context.colorspace = _BT709 if large else _BT601
        context.color_range = ColorRange.MPEG

    def _options(self, pixels: int) -> dict[str, str]:
        if self._kind.video == "libvpx-vp9":
            options = {"crf": str(self.crf + 5), "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
            options |= {"threads": str(_encoder_threads())}
            return options | ({"auto-alt-ref": "0"} if self.alpha is not None else {})
        if pixels <= _SMALL_PX:
            return {
                "crf": str(self.crf),
                "threads": "1",
                "preset": "ultrafast",
            }  # a crop looks as sharp, and is quicker
        # The first frame is the photo, and the encoder copies from it whatever stands still.
        ahead = _LOOKAHEAD[pixels > _FULL_HD_PX]
        tuned = f"zones=0,0,q={_FIRST_QUANTISER}:rc-lookahead={ahead}"
        return {"crf": str(self.crf), "preset": "veryfast", "x264-params": tuned, "threads": str(_encoder_threads())}


def _encoder_threads() -> int:
    """Returns one and a half threads for each core that this process may use; x264 itself counts the cores of the host."""
    return min(max(1, 3 * usable_cores() // 2), _MOST_ENCODER_THREADS)


def to_yuv(
    frame: NDArray[np.uint8], pixel_format: str, large: bool, alpha: NDArray[np.uint8] | None = None
) -> av.VideoFrame:
    """Converts a frame of even sides to the colours of video, limited range. It rounds; FFmpeg's converter darkens by 1 of 255.

    Args:
        frame: RGB, uint8 ``(height, width, 3)``.
        pixel_format: ``yuv420p``, ``yuva420p`` or ``yuv444p``.
        large: whether to use BT.709, as high definition does, instead of BT.601.
        alpha: the opacity, uint8 ``(height, width)``; None if there is none.
    """
    luma, blue, red = cv2.split(cv2.transform(frame, to_yuv_matrix(*(_KR_KB_709 if large else _KR_KB_601))))
    if pixel_format != "yuv444p":
        blue, red = (cv2.filter2D(plane, -1, CHROMA_FILTER, anchor=(1, 0))[::2, ::2] for plane in (blue, red))
    picture = av.VideoFrame(frame.shape[1], frame.shape[0], pixel_format)
    for plane, values in zip(picture.planes, [luma, blue, red, *([] if alpha is None else [alpha])], strict=True):
        rows = np.asarray(memoryview(plane)).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = values
    return picture


def to_yuv_matrix(red: float, blue: float) -> NDArray[np.float64]:
    """Returns the 3 x 4 matrix from RGB to YCbCr of limited range (BT.601, BT.709), by the shares of red and blue in luma."""
    luma = np.array([red, 1 - red - blue, blue])
    to_blue, to_red = (np.array([0, 0, 1]) - luma) / (2 * (1 - blue)), (np.array([1, 0, 0]) - luma) / (2 * (1 - red))
    return np.column_stack([np.stack([luma * 219, to_blue * 224, to_red * 224]) / 255, [16, 128, 128]])


def even_sided(picture: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Repeats the last row or column of a picture if a side is odd."""
    if picture.shape[:2] == (height, width):
        return picture
    more = [(0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)]
    return np.pad(picture, more[: picture.ndim], mode="edge")
