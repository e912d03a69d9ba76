"""A face for a voice agent: a Pipecat processor that stands behind the speech synthesiser and shows a photo saying it.

    pip install ".[serve]" pipecat-ai     # in a clone of the project

    pipeline = Pipeline([transport.input(), stt, llm, tts, TalkingPhoto(Path("face.jpg").read_bytes()), transport.output()])

The transport must send video: ``TransportParams(video_out_enabled=True, video_out_width=512, video_out_height=512)``.
Sound is held back until its picture is drawn, 60 ms and a little more, and both leave together. To see that it works:

    python examples/pipecat_face.py face.jpg speech.wav
"""

import asyncio
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from stillspeak import load
from stillspeak.media.label import labelled
from stillspeak.serving.protocol import Hello
from stillspeak.serving.session import Drawn, Session

_AFTER_SECONDS = 0.2  # silence behind a sentence: the mouth closes


class TalkingPhoto(FrameProcessor):
    """Puts a picture beside every 40 ms of synthesised speech.

    Args:
        photo: bytes of a picture with a face in it.
        model: a shipped model's name or an exported folder.
        side: of the longer side of the pictures, in pixels, at most.
    """

    def __init__(self, photo: bytes, model: str = "default", side: int = 512) -> None:
        super().__init__()
        self._photo, self._side = photo, side
        self._animator = load(model, threads=1)
        self._session: Session | None = None
        self._rate_hz = 0
        self._forget()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Speech goes on with its pictures; everything else as it is."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            samples = np.frombuffer(frame.audio, "<i2").reshape(-1, frame.num_channels).mean(axis=1)
            await self._hear((samples / 32768).astype(np.float32), frame.sample_rate)
            return
        if isinstance(frame, TTSStoppedFrame) and self._session is not None:
            await self._hear(np.zeros(round(_AFTER_SECONDS * self._rate_hz), np.float32), self._rate_hz)
        if isinstance(frame, InterruptionFrame):
            self._forget()
        await self.push_frame(frame, direction)

    def _forget(self) -> None:
        """What was not shown yet will not be."""
        self._session = None
        self._waiting = np.zeros(0, np.float32)

    async def _hear(self, samples: NDArray[np.float32], rate_hz: int) -> None:
        if self._session is None or rate_hz != self._rate_hz:
            self._forget()
            self._rate_hz, hello = rate_hz, Hello(rate_hz=rate_hz, side=self._side)
            self._session = await asyncio.to_thread(Session, self._animator, hello, self._photo)
        self._waiting = np.concatenate([self._waiting, samples])
        for drawn in await asyncio.to_thread(self._session.hear, samples):
            await self._show(drawn)

    async def _show(self, drawn: Drawn) -> None:
        """A picture and the sound that is heard with it."""
        begin, end = (round(number * self._rate_hz / self._animator.fps) for number in (drawn.number, drawn.number + 1))
        sound, self._waiting = self._waiting[: end - begin], self._waiting[end - begin :]
        picture = labelled(drawn.picture)  # a video track has no place for a mark that a program reads
        height, width = picture.shape[:2]
        image = OutputImageRawFrame(picture.tobytes(), (width, height), "RGB")
        image.sync_with_audio = True
        await self.push_frame(image)
        pcm = (sound.clip(-1, 1) * 32767).astype("<i2").tobytes()
        await self.push_frame(TTSAudioRawFrame(pcm, self._rate_hz, 1))


async def _try(photo: Path, speech: Path) -> None:
    """Says a sound file and counts what comes out."""
    from pipecat.tests.utils import run_test

    from stillspeak.media.audio import read_audio

    sound = read_audio(speech).at(24_000)
    pcm = (sound.samples.clip(-1, 1) * 32767).astype("<i2").tobytes()
    spoken = [TTSAudioRawFrame(pcm[at : at + 4800], 24_000, 1) for at in range(0, len(pcm), 4800)]
    frames = [TTSStartedFrame(), *spoken, TTSStoppedFrame()]
    face = TalkingPhoto(photo.read_bytes())
    out, _ = await run_test(face, frames_to_send=frames)
    images = [frame for frame in out if isinstance(frame, OutputImageRawFrame)]
    heard = sum(len(frame.audio) for frame in out if isinstance(frame, TTSAudioRawFrame)) / 48_000
    changes = sum(a.image != b.image for a, b in pairwise(images))
    print(f"{len(images)} pictures with {heard:.2f} s of sound for {sound.seconds:.2f} s of speech; {changes} changes")


if __name__ == "__main__":
    asyncio.run(_try(*map(Path, sys.argv[1:])))
