"""How far does quiet speech move the mouth? Its motion beside that of the same speech at full level, raised and not raised.

Motion is the mean change of the mouth's pixels from frame to frame. Each sound is drawn three times: as it is, fainter, and
fainter with the gain of ``media/loudness.py`` switched off.

    python benchmarks/quiet.py SOUND ... [--photo FILE] [--model default]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data

import stillspeak
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.loudness import Loudness, LoudnessState
from stillspeak.runtime.scene import still

MOUTH = np.s_[:, 66:116, 20:76]
MOST_SECONDS = 6
LOUD_DB = 20  # a frame is speech if it is within so much of the loudest
Samples = np.ndarray


class Unraised(Loudness):
    """The gain switched off."""

    def raised(self, state: LoudnessState, windows: Samples) -> tuple[LoudnessState, Samples]:
        return state, windows


def pink(like: Samples, level_db: float) -> Samples:
    """Pink noise so many decibels from the power of a sound's loud parts."""
    hertz = np.maximum(np.fft.rfftfreq(len(like), 1 / 16_000), 20)
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(0).normal(size=len(like))) * hertz**-0.5, len(like))
    return noise / noise.std() * loud_level(like) * 10 ** (level_db / 20)


def melody(like: Samples, level_db: float, rate_hz: int) -> Samples:
    """Plucked notes, as loud as ``pink``."""
    t = np.arange(len(like)) / rate_hz
    hertz = 220 * 2 ** (np.array([0, 4, 7, 12, 7, 4, 5, 9])[(t // 0.4).astype(int) % 8] / 12)
    notes = np.sum([np.sin(2 * np.pi * k * hertz * t) / k for k in (1, 2, 3, 4)], axis=0) * np.exp(-4 * (t % 0.4))
    return notes / notes.std() * loud_level(like) * 10 ** (level_db / 20)


def loud_level(samples: Samples) -> float:
    power = (samples[: len(samples) // 320 * 320].reshape(-1, 320) ** 2).mean(axis=1)
    return float(np.sqrt(power[power > power.max() / 1000].mean()))


def cases(rate_hz: int) -> dict[str, tuple[Callable[[Samples], Samples], float]]:
    """What is added to the speech, and how many decibels fainter it all becomes."""
    return {
        "-10 dB": (lambda x: x, -10),
        "-25 dB": (lambda x: x, -25),
        "-45 dB": (lambda x: x, -45),
        "-25 dB, pink noise 30 dB below the speech": (lambda x: x + pink(x, -30), -25),
        "-45 dB, pink noise 30 dB below": (lambda x: x + pink(x, -30), -45),
        "-45 dB, pink noise 15 dB below": (lambda x: x + pink(x, -15), -45),
        "-40 dB, music 10 dB below": (lambda x: x + melody(x, -10, rate_hz), -40),
        "+10 dB, clipped": (lambda x: x, 10),
        "+20 dB, clipped": (lambda x: x, 20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path, nargs="+")
    parser.add_argument("--photo", type=Path, default=None)
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    animator, off = stillspeak.load(arguments.model), stillspeak.load(arguments.model)
    off.loudness = Unraised(off.windows)
    crop = still(arguments.photo or np.asarray(skimage.data.astronaut(), np.uint8))

    def motion(which: stillspeak.Animator, samples: Samples) -> Samples:
        sound = Sound(np.clip(samples, -1, 1).astype(np.float32), which.rate_hz)
        frames = which.animate_aligned(crop, sound)[MOUTH].astype(np.float32)
        return np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))

    print("| the same speech | motion before | now | the first second of speech before | now |\n|---|---|---|---|---|")
    speeches = [
        read_audio(path).at(animator.rate_hz).samples[: MOST_SECONDS * animator.rate_hz] for path in arguments.sounds
    ]
    for name, (changed, level_db) in cases(animator.rate_hz).items():
        rows = []
        for speech in speeches:
            full = changed(speech)
            level = (animator.windows.cut(speech.astype(np.float32)) ** 2).mean(axis=1)
            begins = max(8, int(np.argmax(level > level.max() * 10 ** (-LOUD_DB / 10))))
            first = slice(begins, begins + animator.fps)
            loud = motion(animator, full)
            made = [motion(one, full * 10 ** (level_db / 20)) for one in (off, animator)]
            rows.append([one[part].mean() / loud[part].mean() for part in (slice(None), first) for one in made])
        print(
            f"| {name} | "
            + " | ".join(
                f"{mean:.2f} ({least:.2f})"
                for mean, least in zip(np.mean(rows, axis=0), np.min(rows, axis=0), strict=True)
            )
            + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
