"""Makes and writes the videos of a study, so that nothing but the face tells a generated video from a real one. Ours."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.animate import Animator
from stillspeak.data.manifest import ClipRecord
from stillspeak.data.prepare import write_clip
from stillspeak.evaluation.evaluate import FPS, clip_sound
from stillspeak.media.audio import Sound
from stillspeak.media.video import read_video
from stillspeak.media.writer import VideoWriter
from stillspeak.temporary import temporary_folder

REAL = "real"
_LEFT_OUT = 5  # ours: frames at the start that no video shows; in these 0.2 s a generated face leaves the photo
_ENLARGED = 3  # ours: 96 x 128 pixels are small on a screen; real and generated alike


def noise_seed(seed: int, path: str) -> int:
    """Returns the seed of a clip's noise. With one seed for all, every generated face would blink at the same moment."""
    return seed + zlib.crc32(path.encode())


def by_all_methods(
    data: Path, record: ClipRecord, animators: Mapping[str, Animator], seed: int
) -> tuple[dict[str, NDArray[np.uint8]], Sound]:
    """Returns the frames of a clip as it is and by every model, all of one length, and its sound.

    What was generated is compressed as the prepared clip was. All videos leave out the start, in which a generated face leaves
    the photo.

    Args:
        data: the prepared folder.
        record: the clip, whose first frame and sound the models get.
        animators: the models by their names.
        seed: the seed of the study, from which each clip gets a seed of noise of its own.
    """
    real, sound = read_video(data / record.path), clip_sound(data, record)
    made = {REAL: real}
    for name, animator in animators.items():
        frames = animator.animate_aligned(real[0], sound, seed=noise_seed(seed, record.path))
        made[name] = _as_prepared(frames, sound)
    length = min(map(len, made.values()))
    first = min(_LEFT_OUT, length - 1)
    heard = Sound(sound.samples[round(first * sound.rate_hz / FPS) :], sound.rate_hz)
    return {method: frames[first:length] for method, frames in made.items()}, heard


def _as_prepared(frames: NDArray[np.uint8], sound: Sound) -> NDArray[np.uint8]:
    """Returns frames as they come back from the file of a prepared clip, from which real videos come too."""
    with temporary_folder() as folder:
        write_clip(folder / "clip.mp4", frames, sound, synthetic=True)
        return read_video(folder / "clip.mp4")


def write_shown(
    path: Path, frames: NDArray[np.uint8], sound: Sound, *, synthetic: bool = True, words: str = ""
) -> None:
    """Writes a video at the size at which it is shown; real and generated videos differ only in their metadata.

    Args:
        path: the file to write.
        frames: uint8, ``(time, 128, 96, 3)``.
        sound: what is heard.
        synthetic: whether the file says that it is synthetic.
        words: for an attention check, what is written in the darkened picture.
    """
    with VideoWriter(path, FPS, sound, synthetic=synthetic) as writer:
        for frame in frames:
            size = frame.shape[1] * _ENLARGED, frame.shape[0] * _ENLARGED
            large = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            if words:
                large //= 3
                for line, at in (("Attention check:", 150), (words, 190)):
                    cv2.putText(large, line, (12, at), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (255, 255, 255), 2, cv2.LINE_AA)
            writer.write(large)
