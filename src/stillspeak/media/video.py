"""Video in and out of files (PyAV). Frames are uint8 RGB, ``(time, height, width, 3)``.

Reading gives frames at an exact rate, placed by their time stamps. Writing gives H.264 + AAC in mp4 whose picture and sound
end within one frame of each other; the file appears under its name only when it is whole.
"""

import contextlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stillspeak.errors import MediaError, OutputError
from stillspeak.media.audio import Sound, open_media
from stillspeak.media.provenance import container_metadata

Frames = NDArray[np.uint8]
_AAC_RATES_HZ = (32000, 44100, 48000)  # at lower rates an AAC frame is longer than a video frame
_AAC_FRAME = 1024
_SMALL_PX = 256 * 256
_WAITING = 16  # frames that may wait to be encoded: memory stays constant


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
        for packet in container.demux(stream):
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


class VideoWriter:
    """Writes frames as they come, then the sound, to an mp4 file. Encoding goes on in the background while frames are made.

    The file is made beside its destination and renamed when complete: what was there before stays until then, and an
    error or an interrupt leaves nothing behind.

    Args:
        path: where to write.
        fps: frames a second, any rational.
        sound: what is heard, or None.
        crf: H.264 quality, lower is better.
        pixel_format: ``yuv420p`` plays everywhere; ``yuv444p`` keeps colour detail for training data.

    Raises:
        OutputError: if the folder is missing or cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float | Fraction,
        sound: Sound | None = None,
        *,
        crf: int = 15,
        pixel_format: str = "yuv420p",
    ) -> None:
        self.path = Path(path)
        self.fps = Fraction(fps).limit_denominator(1001)
        self.sound = sound
        self.crf, self.pixel_format = crf, pixel_format
        self.frames = 0
        self._part = part_file(self.path)
        self._container: av.container.OutputContainer | None = None
        self._video: av.VideoStream | None = None
        self._audio: av.AudioStream | None = None
        self._encoder = ThreadPoolExecutor(1)  # one frame after another
        self._waiting: deque[Future[None]] = deque()
        self._pool = ThreadPoolExecutor(1)  # sound is encoded while frames come
        self._packets: Future[list[av.Packet]] | None = None
        self._failed = False

    def __enter__(self) -> "VideoWriter":
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Appends one frame, ``(height, width, 3)``; it may be reused at once."""
        if self._video is None:
            self._open(frame.shape[0], frame.shape[1])
        assert self._container is not None
        assert self._video is not None
        height, width = self._video.height, self._video.width
        if frame.shape[:2] != (height, width):  # H.264 wants even sides
            frame = np.pad(frame, ((0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)), mode="edge")
        self._waiting.append(self._encoder.submit(self._encode, np.array(frame, order="C"), self.frames))
        self.frames += 1
        while len(self._waiting) > _WAITING:
            self._waiting.popleft().result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = kind is not None
        try:
            if kind is None and self._container is not None and self._video is not None:
                while self._waiting:
                    self._waiting.popleft().result()
                self._container.mux(self._video.encode(None))
                self._write_sound()
            self._close()
            if kind is None and self.frames == 0:
                raise OutputError(f"{self.path} was not written: there was no frame to put in it.")
            if kind is None:
                os.replace(self._part, self.path)
        except OSError as failure:
            raise OutputError(f"{self.path} could not be written: {failure.strerror or failure}.") from failure
        finally:
            self._failed = True  # whatever is not closed by now is given up
            with contextlib.suppress(OSError):
                self._close()
            self._part.unlink(missing_ok=True)

    def _encode(self, frame: NDArray[np.uint8], number: int) -> None:
        if self._container is not None and self._video is not None and not self._failed:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts = number
            self._container.mux(self._video.encode(picture))

    def _close(self) -> None:
        """Ends the threads and the file; a second time does nothing."""
        self._encoder.shutdown()
        self._pool.shutdown()
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _open(self, height: int, width: int) -> None:
        options = {"movflags": "+faststart+use_metadata_tags"}
        container = av.open(str(self._part), "w", format="mp4", options=options)
        self._container = container
        container.metadata.update(container_metadata())
        options = {"crf": str(self.crf), "preset": "veryfast"}
        if height * width <= _SMALL_PX:
            options |= {"threads": "1", "preset": "ultrafast"}  # a crop: as sharp, and quicker
        video = container.add_stream("libx264", rate=self.fps, options=options)
        video.height, video.width = height + height % 2, width + width % 2
        video.pix_fmt = self.pixel_format
        video.time_base = 1 / self.fps
        video.codec_context.time_base = 1 / self.fps
        self._video = video
        if self.sound is not None:
            if self.sound.rate_hz not in _AAC_RATES_HZ:
                fine = max(self.sound.rate_hz, _AAC_FRAME * self.fps)  # an AAC frame no longer than one of the video
                self.sound = self.sound.at(next((rate for rate in _AAC_RATES_HZ if rate >= fine), _AAC_RATES_HZ[-1]))
            self._audio = container.add_stream(
                "aac", rate=self.sound.rate_hz, layout="mono", bit_rate=128_000, options={"aac_coder": "fast"}
            )
            container.start_encoding()
            self._packets = self._pool.submit(self._encode_sound, self._audio, self.sound)

    def _encode_sound(self, audio: av.AudioStream, sound: Sound) -> list[av.Packet]:
        """The packets of all whole blocks but the last ones, whose end the number of frames decides."""
        packets: list[av.Packet] = []
        for start in range(0, self._settled(sound), _AAC_FRAME):
            if self._failed:
                break
            packets += _encode_block(audio, sound, start, sound.samples[start : start + _AAC_FRAME])
        return packets

    def _settled(self, sound: Sound) -> int:
        """Samples that are encoded while frames come: all but two frames' worth, in whole blocks."""
        samples = len(sound.samples) - int(2 * sound.rate_hz / self.fps)
        return max(0, samples // _AAC_FRAME * _AAC_FRAME)

    def _write_sound(self) -> None:
        if self.sound is None or self._audio is None or self._container is None or self._packets is None:
            return
        length = round(self.frames * self.sound.rate_hz / self.fps)  # picture and sound end together
        packets = self._packets.result()
        begun = self._settled(self.sound)
        samples = self.sound.samples[begun:length]
        samples = np.concatenate([samples, np.zeros(max(0, length - begun) - len(samples), np.float32)])
        for start in range(0, len(samples), _AAC_FRAME):
            packets += _encode_block(self._audio, self.sound, begun + start, samples[start : start + _AAC_FRAME])
        for packet in [*packets, *self._audio.encode(None)]:
            if packet.pts is None or packet.pts >= length:
                continue
            packet.duration = min(packet.duration or _AAC_FRAME, length - packet.pts)
            self._container.mux(packet)


def _encode_block(audio: av.AudioStream, sound: Sound, start: int, samples: NDArray[np.float32]) -> list[av.Packet]:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = sound.rate_hz, start
    frame.time_base = Fraction(1, sound.rate_hz)
    return audio.encode(frame)


def part_file(path: Path) -> Path:
    """An empty file beside ``path`` to write to and rename.

    Raises:
        OutputError: if the folder is missing, ``path`` is a folder, or nothing can be written there.
    """
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; give the name of a file in it.")
        if not path.parent.is_dir():
            raise OutputError(f"There is no folder {path.parent} to write {path.name} to.")
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=f".part{path.suffix}", dir=path.parent)
    except OSError as error:
        raise OutputError(f"Nothing can be written to the folder {path.parent}: {error.strerror}.") from error
    os.close(handle)
    Path(name).chmod(0o666 & ~_umask())
    return Path(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
