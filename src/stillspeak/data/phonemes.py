"""Says which phoneme is spoken when, in a sentence that flite reads aloud, or in a clip whose words are known. Ours.

flite says when each of its phonemes ends. For a recording, dynamic time warping lays a reading of the same words along it, as
in ``readings.py``. Source: flite, Black, Lenzo 2001; its phonemes are those of CMU's dictionary, a schwa and a pause.
"""

import shutil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.readings import Reader, alignment, run_reader
from stillspeak.data.voices import RATE_HZ
from stillspeak.errors import DataError
from stillspeak.media.spectrum import HOP

PAUSE = "pau"
_VOWELS = "aa ae ah ao aw ax ay eh er ey ih iy ow oy uh uw"
_CONSONANTS = "b ch d dh f g hh jh k l m n ng p r s sh t th v w y z zh"
PHONEMES = (PAUSE, *_VOWELS.split(), *_CONSONANTS.split())
VOICES = ("awb", "rms", "slt", "kal16")  # the voices of flite that were recorded from people
STEPS_PER_FRAME = RATE_HZ // 25 // HOP  # of 10 ms, at 25 frames a second
_NUMBERS = {phoneme: number for number, phoneme in enumerate(PHONEMES)}
_ALONG = ("slt", "rms")  # ours: the voices that are laid along a clip, a woman's and a man's
_PAUSE_STEPS = 50  # the pause before and after a sentence: half a second
_FEWEST_STEPS = 340  # with its pauses: a sentence drawn at the fastest speed still fills a batch's clip


class Spoken(NamedTuple):
    """Holds a spoken text: float32 samples ``(n,)`` at 16 kHz, and the number of the phoneme at each 10 ms, uint8."""

    samples: NDArray[np.float32]
    phonemes: NDArray[np.uint8]


class NothingToSayError(DataError):
    """flite makes no phoneme of a text."""


def require_flite() -> None:
    """Raises DataError if flite is not installed."""
    if not shutil.which("flite"):
        raise DataError("Phonemes come from the speech engine flite; install it with: apt install flite")


def read_sentence(text: str, voice: str, pace: float = 1.0) -> Spoken:
    """Lets a voice of flite read a text, with a pause before and after; the result lasts at least 3.4 s.

    Args:
        text: the text to read.
        voice: one of ``VOICES``.
        pace: the factor on the duration; above 1 is slower.

    Raises:
        NothingToSayError: if flite finds nothing in the text to say.
        DataError: if flite fails.
    """
    options = ("-voice", voice, "--setf", f"duration_stretch={pace:.3f}", "-psdur")
    printed, samples = run_reader(text, Reader("flite", ("flite", *options, "-f", "{text}", "-o", "{wav}")))
    said, begin = np.zeros(-(-len(samples) // HOP), np.uint8), 0.0
    lines = printed.decode(errors="replace").splitlines()
    for line in lines:  # flite prints one for each sentence that it finds in the text, with a clock of its own
        zero = begin
        for part in line.split():
            phoneme, _, end = part.rpartition(":")
            begin, last = zero + float(end), begin
            said[round(last * RATE_HZ / HOP) : round(begin * RATE_HZ / HOP)] = _NUMBERS.get(phoneme, 0)
    if not said.any():
        raise NothingToSayError(f"flite finds nothing to say in “{text}”; it reads English.")
    pause = max(_PAUSE_STEPS, -(-(_FEWEST_STEPS - len(said)) // 2))
    padded = np.pad(samples, (0, len(said) * HOP - len(samples)))
    return Spoken(np.pad(padded, pause * HOP), np.pad(said, pause))


def phonemes_along(recorded: NDArray[np.float32], text: str) -> NDArray[np.uint8]:
    """Finds the phonemes of a recording by two readings of its words: ``(2, steps)``, with steps of 10 ms.

    Args:
        recorded: float32 ``(n,)`` at 16 kHz.
        text: the words of the recording.

    Raises:
        NothingToSayError, DataError: as ``read_sentence`` does.
    """
    readings = [read_sentence(text, voice) for voice in _ALONG]
    at = [alignment(reading.samples, recorded).round().astype(int) for reading in readings]
    return np.stack(
        [
            reading.phonemes[steps.clip(0, len(reading.phonemes) - 1)]
            for reading, steps in zip(readings, at, strict=True)
        ]
    )


def occupancy(phonemes: NDArray[np.uint8], frames: int) -> NDArray[np.float32]:
    """Returns the share of each frame that each phoneme takes, as a mean over readings.

    Args:
        phonemes: the phoneme at each 10 ms, ``(readings, steps)``.
        frames: the number of frames at 25 a second; past the end there is a pause.

    Returns:
        ``(frames, len(PHONEMES))``; rows add up to 1.
    """
    steps = frames * STEPS_PER_FRAME
    said = np.pad(phonemes[:, :steps], ((0, 0), (0, max(0, steps - phonemes.shape[1]))))
    shares = np.eye(len(PHONEMES), dtype=np.float32)[said].mean(axis=0)
    return np.asarray(shares.reshape(frames, STEPS_PER_FRAME, -1).mean(axis=1), np.float32)
