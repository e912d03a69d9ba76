"""Writes the sound of a video: copies the user's own packets if the container takes them, and encodes the sound otherwise.

A track is written in step with the picture, so that memory stays constant. Both end within one frame of each other.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from stillspeak.media.audio import Sound, SoundStream, open_sound
from stillspeak.media.copied import CopiedTrack, kept_from

Heard = Sound | Path | list[Path] | SoundStream  # samples, a file, several files that are heard at once, or blocks
_AAC_RATES_HZ = (32000, 44100, 48000)  # at lower rates an AAC frame is longer than a video frame
_OPUS_RATE_HZ = 48000
_BLOCK = 1024  # so many samples are encoded at once: an AAC frame
_BITS = {1: 128_000, 2: 192_000}


class Track(Protocol):
    """Writes the sound stream of a container."""

    def write_until(self, seconds: float) -> None:
        """Muxes the sound up to a moment of the picture."""

    def finish(self, seconds: float) -> None:
        """Muxes the rest, and ends with the picture."""


class EncodedTrack:
    """Encodes sound, and writes it.

    Args:
        container: the container that is written; it has no packet yet.
        codec: ``aac`` or ``libopus``.
        sound: the sound of the video.
        fps: frames a second of the picture.
    """

    def __init__(self, container: av.container.OutputContainer, codec: str, sound: SoundStream, fps: Fraction) -> None:
        sound = sound.at(_encoded_rate(codec, sound.rate_hz, fps))
        self._container, self._rate_hz, self._blocks = container, sound.rate_hz, sound.blocks
        self._channels = sound.channels
        self._layout = "mono" if sound.channels == 1 else "stereo"
        options = {"aac_coder": "fast"} if codec == "aac" else {}
        self._stream = container.add_stream(
            codec, rate=sound.rate_hz, layout=self._layout, bit_rate=_BITS[sound.channels], options=options
        )
        self._waiting = np.zeros((sound.channels, 0), np.float32)
        self._encoded = 0
        self._end: int | None = None

    def write_until(self, seconds: float) -> None:
        """Encodes and muxes the sound up to a moment of the picture, as ``Track`` asks."""
        wanted = int(seconds * self._rate_hz) // _BLOCK * _BLOCK - self._encoded
        self._fill(wanted)
        while self._encoded + _BLOCK <= seconds * self._rate_hz and self._waiting.shape[1] >= _BLOCK:
            self._encode(_BLOCK)

    def finish(self, seconds: float) -> None:
        """Encodes and muxes the rest, as ``Track`` asks; silence follows sound that ends early."""
        self._end = round(seconds * self._rate_hz)
        missing = self._end - self._encoded
        self._fill(missing)
        silence = np.zeros((self._channels, max(0, missing - self._waiting.shape[1])), np.float32)
        self._waiting = np.concatenate([self._waiting[:, : max(0, missing)], silence], axis=1)
        while self._waiting.shape[1]:
            self._encode(min(_BLOCK, self._waiting.shape[1]))
        self._mux(self._stream.encode(None))

    def _fill(self, samples: int) -> None:
        """Reads until at least so many samples wait to be encoded, or the sound ends."""
        pieces, count = [self._waiting], self._waiting.shape[1]
        while count < samples and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            count += block.shape[1]
        if len(pieces) > 1:
            self._waiting = np.concatenate(pieces, axis=1)

    def _encode(self, samples: int) -> None:
        block, self._waiting = self._waiting[:, :samples], self._waiting[:, samples:]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate_hz, self._encoded, Fraction(1, self._rate_hz)
        self._encoded += samples
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            if self._end is not None and packet.pts is not None and packet.time_base is not None:
                left = self._end - round(packet.pts * packet.time_base * self._rate_hz)
                if left <= 0:
                    continue
                longest = int(left / self._rate_hz / packet.time_base)
                packet.duration = min(packet.duration or longest, longest)
            self._container.mux(packet)


def open_track(
    container: av.container.OutputContainer, sound: Heard, codec: str, copied: tuple[str, ...], fps: Fraction
) -> Track:
    """Opens a track for a new container.

    Args:
        container: the container that is written; it has no packet yet.
        sound: the sound of the video.
        codec: the codec for sound that must be encoded.
        copied: the codecs whose packets may be copied.
        fps: frames a second of the picture.

    Raises:
        MediaError: if a file is missing, unreadable or holds no sound.
    """
    if isinstance(sound, Path) and (start := kept_from(sound, copied)) is not None:
        return CopiedTrack(container, sound, start)
    return EncodedTrack(container, codec, _stream_of(sound), fps)


def mixed(sounds: list[tuple[Sound | Path, float]]) -> SoundStream:
    """Returns the sum of several sounds, each multiplied by a gain, in constant memory; no sample is beyond 1.

    Raises:
        MediaError: if a file is missing, unreadable or holds no sound.
    """
    streams = [(_stream_of(sound), gain) for sound, gain in sounds]
    rate_hz = max(stream.rate_hz for stream, _ in streams)
    voices = [_louder(stream.at(rate_hz).mono(), gain) for stream, gain in streams]
    return SoundStream(_mixed(voices, _BLOCK), rate_hz, 1)


def _louder(blocks: Iterator[NDArray[np.float32]], gain: float) -> Iterator[NDArray[np.float32]]:
    return (block * np.float32(gain) for block in blocks)


def _stream_of(sound: Heard) -> SoundStream:
    if isinstance(sound, SoundStream):
        return sound
    if isinstance(sound, Sound):
        return SoundStream(iter([sound.samples[None]]), sound.rate_hz, 1)
    if isinstance(sound, Path):
        return open_sound(sound)
    return mixed([(path, 1.0) for path in sound])


def _mixed(voices: list[Iterator[NDArray[np.float32]]], size: int) -> Iterator[NDArray[np.float32]]:
    """Yields the sum of several sounds in blocks ``(1, size)`` until the last one ends; no sample is beyond 1."""
    waiting = [np.zeros(0, np.float32) for _ in voices]
    while True:
        for number, voice in enumerate(voices):
            while len(waiting[number]) < size and (piece := next(voice, None)) is not None:
                waiting[number] = np.concatenate([waiting[number], piece])
        longest = max(min(size, len(piece)) for piece in waiting)
        if not longest:
            return
        block = np.zeros((1, longest), np.float32)
        for number, piece in enumerate(waiting):
            block[0, : len(piece[:size])] += piece[:size]
            waiting[number] = piece[size:]
        yield block.clip(-1, 1)


def _encoded_rate(codec: str, rate_hz: int, fps: Fraction) -> int:
    if codec != "aac":
        return _OPUS_RATE_HZ
    if rate_hz in _AAC_RATES_HZ:
        return rate_hz
    fine = max(rate_hz, _BLOCK * fps)  # an AAC frame no longer than one of the video
    return next((rate for rate in _AAC_RATES_HZ if rate >= fine), _AAC_RATES_HZ[-1])
