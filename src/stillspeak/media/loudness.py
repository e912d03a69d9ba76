"""Makes quiet speech as loud as the speech that the model learnt on, while it is heard. Ours.

The level of speech is measured where somebody speaks and not in the pauses, as ITU-T P.56 measures it. Here a frame counts
as spoken if it has a pitch and stands clear of the noise floor. The pitch is found by autocorrelation (Boersma 1993) of a
flattened spectrum (Tolonen, Karjalainen 2000); the floor is the faintest of the last frames (minimum statistics, Martin
2001). Noise has no pitch and steady hum does not stand clear of itself, so neither is raised alone. A whisper has no pitch
either: it stays as it is. What has one, such as music, is raised as a voice is.

The gain is never below 1, and exactly 1 for speech at an ordinary level. Loud and clipped speech moves the mouth as far as
ordinary speech does, so it needs no gain below 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stillspeak.media.windows import Windows

Float = NDArray[np.float32]
# All numbers are ours. Decibels are of full scale, in which loud spoken frames of GRID reach -20 to -8.
_FAINTEST_DB = -26.0  # speech that is louder is not raised; training makes GRID's up to 14 dB fainter
_KNEE_DB = 10.0  # fainter speech is raised by twice what it lacks, until it is raised this far above _FAINTEST_DB
_NOISE_DB = -35.0  # the noise floor is not raised above this; training has speech with as much noise
_LIMIT_DB = -10.0  # no window is raised above this, so a loud voice beside a quiet one is not overdriven
_NOTHING_DB = -90.0  # digital silence and its dither say nothing about a room
# A frame that repeats itself so far is spoken if it is so many decibels above the floor.
_WEAK, _STRONG = (0.35, 11.0), (0.7, 3.0)
_STEADY_DB = 0.5  # what changes by less in three frames is hum or a tone
_PITCH_HZ, _HEARD_HZ = (75.0, 400.0), (70.0, 1500.0)
_RECENT_FRAMES, _SPOKEN_FRAMES = 75, 24  # 3 s of sound; about 2 s of speech
_LOUD_SHARE = 0.75  # the level of speech is that which so many of its frames stay below
_EVIDENCE = ((26.0, 2), (16.0, 3), (0.0, 5))  # a gain of so many decibels begins after so many recent spoken frames


@dataclass(frozen=True)
class LoudnessState:
    """Holds what was heard lately, in decibels of full scale. It never changes; copy it freely.

    Attributes:
        levels: the levels of the last frames; the faintest is the noise floor.
        recent: which of the last frames were spoken.
        spoken: the levels of the last spoken frames, however long ago they were.
        gain_db: the gain of the last frame.
    """

    levels: tuple[float, ...] = ()
    recent: tuple[bool, ...] = ()
    spoken: tuple[float, ...] = ()
    gain_db: float = 0.0


@dataclass(frozen=True)
class Loudness:
    """Raises windows of quiet speech. The gain of a window depends on that window and on those before it.

    Args:
        windows: the ``Windows`` that cut the sound.
    """

    windows: Windows

    def raised(self, state: LoudnessState, windows: Float) -> tuple[LoudnessState, Float]:
        """Takes the next windows, ``(n, length)``; returns the new state and the windows, with quiet speech made louder."""
        gains = np.zeros(len(windows), np.float32)
        level, repetition, power = self._levels(windows), self._repetition(windows), _decibels(windows**2)
        for index, frame in enumerate(zip(level.tolist(), repetition.tolist(), strict=True)):
            state = _after(state, *frame)
            gains[index] = max(0.0, min(state.gain_db, _LIMIT_DB - power[index]))
        factors: Float = np.float32(10) ** (gains / np.float32(20))
        return state, windows * factors[:, None]

    @property
    def _stride(self) -> int:
        return round(self.windows.rate_hz / self.windows.fps)

    def _levels(self, windows: Float) -> NDArray[np.float64]:
        """Returns the level of each window's new part, which the window before it lacks, ``(n,)``, without a constant offset."""
        return _decibels((windows[:, -self._stride :] - windows.mean(axis=1, keepdims=True)) ** 2)

    def _repetition(self, windows: Float) -> NDArray[np.float64]:
        """Returns how far the end of each window repeats itself at the pitch of a voice, ``(n,)``: 0 not at all, 1 wholly."""
        rate_hz = self.windows.rate_hz
        end = windows[:, -2 * self._stride :]
        size = 1 << (2 * end.shape[1] - 1).bit_length()
        hertz = np.fft.rfftfreq(size, 1 / rate_hz)
        spectrum = np.abs(np.fft.rfft(end * np.hanning(end.shape[1]), size))
        spectrum[:, (hertz < _HEARD_HZ[0]) | (hertz > _HEARD_HZ[1])] = 0
        repeats = np.fft.irfft(spectrum, size)
        lags = slice(int(rate_hz / _PITCH_HZ[1]), int(rate_hz / _PITCH_HZ[0]))
        return repeats[:, lags].max(axis=1) / (repeats[:, 0] + 1e-12)


def _decibels(power: Float) -> NDArray[np.float64]:
    return 10 * np.log10(power.mean(axis=1, dtype=np.float64) + 1e-12)


def _after(state: LoudnessState, level: float, repetition: float) -> LoudnessState:
    """Returns the state after a frame with this level and this repetition."""
    is_heard = level > _NOTHING_DB
    levels = (*state.levels, level)[-_RECENT_FRAMES:] if is_heard else state.levels
    floor = min(levels, default=0.0)
    is_steady = max(levels[-3:], default=0.0) - min(levels[-3:], default=0.0) < _STEADY_DB
    has_voice = any(repetition > least and level > floor + clear for least, clear in (_WEAK, _STRONG))
    is_spoken = is_heard and has_voice and not is_steady
    spoken = (*state.spoken, level)[-_SPOKEN_FRAMES:] if is_spoken else state.spoken
    recent = (*state.recent, is_spoken)[-_RECENT_FRAMES:]
    gain = _gain(spoken, floor)
    needed = 1 if state.gain_db else next(frames for least, frames in _EVIDENCE if gain >= least)
    return LoudnessState(levels, recent, spoken, gain if sum(recent) >= needed else 0.0)


def _gain(spoken: tuple[float, ...], floor: float) -> float:
    """Returns the decibels that make speech of these levels loud enough and its noise floor not too loud."""
    if not spoken:
        return 0.0
    lacking = _FAINTEST_DB - sorted(spoken)[int(_LOUD_SHARE * (len(spoken) - 1))]
    return max(0.0, min(lacking + min(lacking, _KNEE_DB), _NOISE_DB - floor))
