"""Measures a video against the real one by every metric. Paper, section 4.2; each metric's own file defines it."""

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stillspeak.data.landmarks import crop_landmarks, eye_aspect_ratio, mouth_opening, mouth_width
from stillspeak.evaluation.blinks import blinks
from stillspeak.evaluation.identity import Embeddings, acd, embeddings, sampled_embeddings
from stillspeak.evaluation.mouth import match, silence_motion, silent_frames
from stillspeak.evaluation.quality import psnr, ssim
from stillspeak.evaluation.sharpness import cpbd, fdbm
from stillspeak.evaluation.sync import LEAST_CONFIDENCE, SyncScorer
from stillspeak.evaluation.words import GRID_GRAMMAR, GRID_WORDS, LipReader, wer
from stillspeak.media.audio import Sound

Frames = NDArray[np.uint8]
_NOTHING = 1e-6  # a real video that stands still is no unit to measure in
Row = dict[str, float]  # metric -> figure; a metric that does not apply is missing


class Metric(NamedTuple):
    """Describes a metric as the tables name it."""

    title: str
    unit: str
    better: str  # higher, lower, or the value that it should be near


METRICS: dict[str, Metric] = {
    "psnr": Metric("PSNR", "dB", "higher"),
    "ssim": Metric("SSIM", "", "higher"),
    "psnr_lower": Metric("PSNR, lower half", "dB", "higher"),
    "ssim_lower": Metric("SSIM, lower half", "", "higher"),
    "cpbd": Metric("CPBD", "", "near real"),
    "fdbm": Metric("FDBM", "", "near real"),
    "acd": Metric("ACD", "", "lower"),
    "acd_ratio": Metric("ACD over the real videos'", "", "near 1"),
    "acd_ratio_people": Metric("ACD over that of other people", "", "lower"),
    "wer": Metric("WER", "", "near real"),
    "av_offset": Metric("AV offset", "frames", "near 0"),
    "av_confidence": Metric("AV confidence", "", "near real"),
    "blinks_per_s": Metric("blinks", "a second", "near real"),
    "blink_s": Metric("blink length", "s", "near real"),
    "opening_correlation": Metric("opening correlation", "", "higher"),
    "opening_spread": Metric("opening spread", "", "near 1"),
    "width_correlation": Metric("width correlation", "", "higher"),
    "width_spread": Metric("width spread", "", "near 1"),
    "silence_motion_px": Metric("mouth motion in silence", "px a frame", "near real"),
}


@dataclass(frozen=True)
class Reference:
    """Holds a real clip, and all that its rows are compared with.

    Attributes:
        frames: aligned crops, uint8 ``(time, 128, 96, 3)``.
        sound: the sound of the clip.
        fps: frames a second.
        text: the spoken sentence; empty if unknown.
        opening, width: the opening and the width of the real mouth in crop pixels, ``(time,)`` each.
        still: the descriptor of the first frame, ``(128,)``.
        acd: the ACD of the real video.
        strangers: the descriptors of other people, ``(n, 128)``; n may be 0.
    """

    frames: Frames
    sound: Sound
    fps: float
    text: str
    opening: NDArray[np.float32]
    width: NDArray[np.float32]
    still: Embeddings
    acd: float
    strangers: Embeddings


def reference(frames: Frames, sound: Sound, fps: float, text: str, strangers: Embeddings) -> Reference:
    """Prepares a real clip for comparison."""
    still = embeddings(frames[:1])[0]
    own = acd(still, sampled_embeddings(frames))
    points = crop_landmarks(frames)
    return Reference(frames, sound, fps, text, mouth_opening(points), mouth_width(points), still, own, strangers)


class Judges:
    """Holds the trained judges, which each process loads once. Raises ModelError if they are missing."""

    def __init__(self) -> None:
        self.reader = LipReader()
        self.scorer = SyncScorer()


def measure(made: Frames, real: Reference, judges: Judges, seconds: dict[str, float] | None = None) -> Row:
    """Computes all metrics of a video, crops ``(time, 128, 96, 3)``, with the real clip's sound.

    A shorter video goes on with its last frame, and a longer one is cut.

    Args:
        made: the video.
        real: the real clip.
        judges: the lip reader and the sync scorer.
        seconds: a dictionary to which the time of each group of metrics is added; None if nobody needs it.
    """
    made = made[np.minimum(np.arange(len(real.frames)), len(made) - 1)]
    values: Row = {}
    for name, group in _GROUPS.items():
        started = time.perf_counter()
        values |= group(made, real, judges)
        if seconds is not None:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started
    return {name: float(values[name]) for name in METRICS if np.isfinite(values.get(name, np.nan))}


def _quality(made: Frames, real: Reference, _: Judges) -> Row:
    half = made.shape[1] // 2
    lower = made[:, half:], real.frames[:, half:]
    return {
        "psnr": psnr(made, real.frames),
        "ssim": ssim(made, real.frames),
        "psnr_lower": psnr(*lower),
        "ssim_lower": ssim(*lower),
    }


def _sharpness(made: Frames, _: Reference, __: Judges) -> Row:
    return {"cpbd": cpbd(made), "fdbm": fdbm(made)}


def _identity(made: Frames, real: Reference, _: Judges) -> Row:
    distance = acd(real.still, sampled_embeddings(made))
    row = {"acd": distance, "acd_ratio": _ratio(distance, real.acd)}
    if len(real.strangers):
        row["acd_ratio_people"] = _ratio(distance, acd(real.still, real.strangers))
    return row


def _ratio(value: float, unit: float) -> float:
    return value / unit if unit > _NOTHING else float("nan")


def _landmarks(made: Frames, real: Reference, _: Judges) -> Row:
    points = crop_landmarks(made)
    opened = mouth_opening(points)
    found, wide = match(opened, real.opening), match(mouth_width(points), real.width)
    blinked = blinks(eye_aspect_ratio(points), real.fps)
    silent = silent_frames(real.sound.samples, real.sound.rate_hz, real.fps, len(made))
    return {
        "blinks_per_s": blinked.rate,
        "blink_s": blinked.seconds,
        "opening_correlation": found.correlation,
        "opening_spread": found.spread,
        "width_correlation": wide.correlation,
        "width_spread": wide.spread,
        "silence_motion_px": silence_motion(opened, silent),
    }


def _sync(made: Frames, real: Reference, judges: Judges) -> Row:
    found = judges.scorer.match(made, real.sound, real.fps)
    certain = found.confidence >= LEAST_CONFIDENCE
    return {"av_confidence": found.confidence} | ({"av_offset": found.offset} if certain else {})


def _words(made: Frames, real: Reference, judges: Judges) -> Row:
    said = real.text.split()
    if len(made) < len(said) or len(said) != len(GRID_GRAMMAR) or any(word not in GRID_WORDS for word in said):
        return {}  # the lip reader knows only GRID's sentences
    return {"wer": wer(judges.reader.read(made), said)}


_GROUPS = {
    "PSNR, SSIM": _quality,
    "CPBD, FDBM": _sharpness,
    "ACD": _identity,
    "opening, blinks, silence": _landmarks,
    "AV offset": _sync,
    "WER": _words,
}
