"""Defines the messages of ``WS /talk``.

1. The client sends a JSON text, ``Hello``, and then the photo as one binary message.
2. The server answers ``{"ready": true, "fps": 25, "width": ..., "height": ...}``, or ``{"error": sentence}`` and closes.
   ``"notes"`` holds sentences about the photo that a user should read, if there are any.
3. The client sends sound as it comes: binary messages of whole samples, little-endian, mono, at ``rate_hz``.
4. The server sends a binary message for each frame: ``HEADER`` (number, seconds of the client's own sound at which the frame
   begins, 1 if it was made of silence because no sound came, else 0), then the picture.
5. The client may send new pictures of the face at any time: the JSON text ``{"picture": true}``, and then the picture as one
   binary message. The talk goes on from the newest one. The server answers ``{"picture": true}`` once it is used, or
   ``{"picture": false, "note": sentence}``; a picture that a newer one overtakes gets no answer.
6. The client sends ``{"end": true}``; the server sends the last frames, then ``{"end": true, "frames": n, "dropped": m}``.
"""

import contextlib
import json
import struct
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillspeak.errors import MediaError
from stillspeak.runtime.engine import MOST_GAIN

HEADER = struct.Struct("<IdB")
MOST_HZ = 768_000  # the highest sample rate of a client's sound: browsers open no more; studio interfaces have 384,000


class Hello(BaseModel):
    """Holds a client's settings of a talk.

    Attributes:
        rate_hz: the sample rate of the sound that the client sends.
        samples: the format of the samples, ``s16`` or ``f32``.
        format: the format of the frames.
        quality: the quality of the frames, 1 to 100.
        side: the longest side of a frame in pixels; larger photos are made smaller.
        face: largest, all, or the number of a face.
        seed: the seed of the noise that moves eyes and brows.
        mouth: how far the mouth opens, from 0 to 2; 1 is as far as the model draws it.
        crop: whether frames show the aligned face alone, 96 x 128 pixels, instead of the photo.
        idle: whether the server sends frames of silence while no sound comes.
    """

    model_config = ConfigDict(extra="forbid")

    rate_hz: int = Field(16_000, ge=8_000, le=MOST_HZ)
    samples: Literal["s16", "f32"] = "s16"
    format: Literal["jpeg", "webp"] = "jpeg"
    quality: int = Field(85, ge=1, le=100)
    side: int = Field(512, ge=64, le=1920)
    face: str = Field("largest", max_length=8)
    seed: int = Field(0, ge=0, le=2**32)
    mouth: float = Field(1.0, ge=0, le=MOST_GAIN)
    crop: bool = False
    idle: bool = True


class Frame(NamedTuple):
    """Holds a picture, its number, when it begins in the client's sound, and whether it shows silence that nobody sent."""

    number: int
    seconds: float
    idle: bool
    picture: bytes


def read_hello(text: str) -> Hello:
    """Reads a client's first message. Raises MediaError with a sentence if it makes no sense."""
    try:
        return Hello.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the first message"
        raise MediaError(f"{where}: {first['msg']}.") from error


def read_mark(text: str) -> Literal["end", "picture"]:
    """Reads a text that comes during a talk: the sound ends, or a picture is next. Raises MediaError if it says neither."""
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(text)
        if said == {"end": True}:
            return "end"
        if said == {"picture": True}:
            return "picture"
    raise MediaError('During a talk the only texts are {"end": true} and {"picture": true}.')


def for_client(note: str) -> str:
    """Returns a note about a photo for a client, who has a field where the command has an option."""
    return note.replace("--face", "face")


def read_samples(data: bytes, kind: str) -> NDArray[np.float32]:
    """Reads the samples of a binary message as floats. Raises MediaError if the last one is cut off."""
    size = 2 if kind == "s16" else 4
    if len(data) % size:
        raise MediaError(f"A message of sound must hold whole samples of {size} bytes, not {len(data)} bytes.")
    if kind == "s16":
        return np.asarray(np.frombuffer(data, "<i2") / 32768, np.float32)
    samples = np.frombuffer(data, "<f4").astype(np.float32)
    return np.asarray(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1), np.float32)


def pack(frame: Frame) -> bytes:
    """Packs a frame into a message."""
    return HEADER.pack(frame.number, frame.seconds, frame.idle) + frame.picture


def unpack(message: bytes) -> Frame:
    """Reads a frame from a message. Raises MediaError if the message holds none."""
    if len(message) <= HEADER.size:
        raise MediaError("The message is too short for a frame.")
    number, seconds, idle = HEADER.unpack_from(message)
    return Frame(number, seconds, bool(idle), message[HEADER.size :])
