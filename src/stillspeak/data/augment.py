"""Changes faces (alike over a clip and its still) and voices, but neither the words nor the mouth. Ours.

These are pure functions of the data and a random generator. ``drawer.py`` mirrors faces, since landmarks must follow.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX

Frames = NDArray[np.uint8]
Samples = NDArray[np.float32]
_SPECTRUM_SECONDS = 0.032  # in this time formants stand still, and harmonics blur


@dataclass(frozen=True)
class Look:
    """Makes a person look like another one in another light, alike in all frames of a clip.

    Attributes:
        map_x, map_y: the place each pixel of the crop comes from, ``(128, 96)``.
        table: a tone curve for each channel, ``(256, 1, 3)``.
        mixing: the matrix that mixes the colours, ``(3, 3)``.
        light: the factor on the brightness of each pixel, ``(128, 96, 3)``.
    """

    map_x: NDArray[np.float32]
    map_y: NDArray[np.float32]
    table: Frames
    mixing: NDArray[np.float32]
    light: NDArray[np.float32]

    def of(self, frames: Frames) -> Frames:
        """Changes frames, uint8 ``(n, height, width, 3)``, of the crop's size or a multiple of it."""
        scale, size = frames.shape[2] // WIDTH_PX, frames.shape[2:0:-1]
        how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_LINEAR  # large frames must keep their detail
        map_x, map_y, light = self.map_x, self.map_y, self.light
        if scale > 1:
            map_x, map_y = ((cv2.resize(field, size) + 0.5) * scale - 0.5 for field in (map_x, map_y))
            light = cv2.resize(light, size)
        out = np.empty_like(frames, order="C")
        for i, frame in enumerate(frames):
            whole = np.ascontiguousarray(frame)
            moved = cv2.remap(whole, map_x, map_y, how, borderMode=cv2.BORDER_REPLICATE)
            mixed = cv2.LUT(cv2.transform(moved, self.mixing), self.table)
            out[i] = cv2.multiply(mixed, light, dtype=cv2.CV_8U)
        return out

    def moved(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Moves landmarks along with the face, ``(..., 2)`` in and out, in pixels of the crop."""
        return _moved(points, self.map_x, self.map_y)


def draw_look(strength: float, random: np.random.Generator) -> Look:
    """Draws a look; a strength of 0 changes nothing, 1 is what training uses."""
    map_x, map_y = _geometry(strength, random)
    table, mixing = _colour_table(strength, random), _colour_mixing(strength, random)
    return Look(map_x, map_y, table, mixing, _light(strength, random))


def _moved(points: NDArray[np.float32], map_x: NDArray[np.float32], map_y: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverts the map, which says where each output pixel comes from, at some points, by two fixed-point steps."""
    found = points.copy()
    for _ in range(2):
        x = found[..., 0].clip(0, WIDTH_PX - 1).astype(int)
        y = found[..., 1].clip(0, HEIGHT_PX - 1).astype(int)
        shift = np.stack([map_x[y, x] - x, map_y[y, x] - y], axis=-1)
        found = points - shift
    return found


def _geometry(strength: float, random: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draws where each output pixel comes from: a turn, a stretch, a shift, and a smooth bend of the proportions."""
    turn = np.deg2rad(random.uniform(-4, 4) * strength)
    stretch = np.exp(random.uniform(-0.08, 0.08, 2) * strength)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * stretch
    shift = random.uniform(-3, 3, 2) * strength
    bend = random.normal(0, 1.8 * strength, (5, 4, 2)).astype(np.float32)
    bend = cv2.resize(bend, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    centre = np.array([WIDTH_PX / 2, HEIGHT_PX / 2])
    source = (np.stack([x, y], axis=-1) - centre) @ matrix.T + centre + shift + bend
    return source[..., 0].astype(np.float32), source[..., 1].astype(np.float32)


def _colour_table(strength: float, random: np.random.Generator) -> Frames:
    """Draws a tone curve for each channel, ``(256, 1, 3)``: gain, offset and gamma, mostly shared."""
    levels = np.arange(256)[:, None] / 255
    gamma = np.exp(random.uniform(-0.3, 0.3) * strength)
    gain = np.exp(random.uniform(-0.2, 0.2) * strength + random.uniform(-0.1, 0.1, 3) * strength)
    offset = random.uniform(-0.06, 0.06) * strength
    return np.clip(255 * (gain * levels**gamma + offset), 0, 255).astype(np.uint8)[:, None, :]


def _colour_mixing(strength: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Draws a 3 x 3 matrix that makes colours more or less saturated, sometimes grey."""
    grey = np.tile(np.array([0.299, 0.587, 0.114], np.float32), (3, 1))
    keep = 0.0 if random.random() < 0.15 * strength else 1 + random.uniform(-0.4, 0.3) * strength
    return (keep * np.eye(3) + (1 - keep) * grey).astype(np.float32)


def _light(strength: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Draws light from a side: a linear ramp of brightness, ``(128, 96, 3)``."""
    slope = random.normal(0, 0.12 * strength, 2)
    y, x = np.mgrid[-1 : 1 : HEIGHT_PX * 1j, -1 : 1 : WIDTH_PX * 1j]
    ramp = np.exp(slope[0] * x + slope[1] * y)
    return np.repeat(ramp[..., None], 3, axis=2).astype(np.float32)


def change_speed(samples: Samples, factor: float) -> Samples:
    """Plays sound faster (factor > 1) or slower; pitch and formants go along, as on a tape."""
    return soxr.resample(samples, 1000 * factor, 1000, quality="LQ").astype(np.float32)


def change_throat(samples: Samples, rate_hz: int, factor: float) -> Samples:
    """Makes speech sound as from a shorter vocal tract (factor > 1) or a longer one; timing and level stay.

    It multiplies all frequencies by ``factor``: a phase vocoder stretches short-time spectra along frequency and turns their
    phases as much faster. ``(n,)`` in and out. Source: Laroche, Dolson 1999, "New phase-vocoder techniques for pitch-shifting".
    """
    hop = round(_SPECTRUM_SECONDS / 4 * rate_hz)
    size = 4 * hop
    window = np.sqrt((1 - np.cos(2 * np.pi * np.arange(size) / size)) / 4).astype(
        np.float32
    )  # squares of four add up to 1
    pieces = sliding_window_view(np.pad(samples, (size, size + hop)), size)[::hop] * window
    spectra = np.fft.rfft(
        np.fft.fftshift(pieces, axes=1)
    )  # steps, bins; phases are those of the middle, smooth over bins
    bins = np.arange(spectra.shape[1])
    source = bins / factor
    low = np.minimum(source.astype(int), bins[-1])
    high, share = np.minimum(low + 1, bins[-1]), (source - low).clip(0, 1).astype(np.float32)
    turns = np.tile(np.exp(0.5j * np.pi * (bins - source)), (len(spectra), 1))  # a hop is a quarter of a bin's turn
    turns[:1] = 1
    moved = (1 - share) * spectra[:, low] + share * spectra[:, high]
    moved *= np.cumprod(turns, axis=0)
    pieces = (np.fft.fftshift(np.fft.irfft(moved, size), axes=1) * window).reshape(len(moved), 4, hop)
    joined = sum(pieces[3 - late : len(pieces) - late, late] for late in range(4))  # each hop is heard in four pieces
    spoken = joined.reshape(-1)[size - 3 * hop :][: len(samples)]
    level = np.linalg.norm(samples) / max(float(np.linalg.norm(spoken)), 1e-9)
    return (level * spoken).astype(np.float32)


def jitter_voice(samples: Samples, rate_hz: int, strength: float, random: np.random.Generator) -> Samples:
    """Gives speech another room, microphone, level and noise; timing stays. ``(n,)`` in and out."""
    size = len(samples)
    padded = 1 << (size + rate_hz // 2 - 1).bit_length()  # this leaves room for an echo, and is quick to transform
    spectrum = np.fft.rfft(samples, padded)
    hertz = np.fft.rfftfreq(padded, 1 / rate_hz)
    spectrum *= _microphone(hertz, strength, random)
    if random.random() < 0.3 * strength:
        spectrum *= np.fft.rfft(_room(rate_hz, random), padded)
    heard = np.fft.irfft(spectrum, padded)[:size]
    level = 10 ** (random.uniform(-14, 8) * strength / 20)
    loudness = float(np.sqrt(np.mean(heard**2)) + 1e-5)
    hiss = np.fft.rfft(random.normal(0, 1, padded)) * np.maximum(hertz, 20) ** -random.uniform(0, 1)
    noise = np.fft.irfft(hiss, padded)[:size]
    noise *= loudness * 10 ** (-random.uniform(14, 50) / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
    return np.clip((heard + noise) * level, -1, 1).astype(np.float32)


def _microphone(hertz: NDArray[np.floating], strength: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Draws a smooth random gain over frequency, now and then with a telephone's band."""
    knots = np.geomspace(60, hertz[-1], 8)
    decibels = np.interp(np.log(np.maximum(hertz, 1)), np.log(knots), random.normal(0, 5 * strength, 8))
    if random.random() < 0.1 * strength:
        decibels = decibels - 40 * ((hertz < 300) | (hertz > 3400))  # noqa: PLR2004 - the telephone's band
    return 10 ** (decibels / 20)


def _room(rate_hz: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Draws an impulse response: the direct sound and a decaying tail."""
    seconds = random.uniform(0.05, 0.35)
    tail = random.normal(0, 1, int(seconds * rate_hz)) * np.exp(-6.9 * np.linspace(0, 1, int(seconds * rate_hz)))
    tail *= random.uniform(0.1, 0.5) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1.0
    return tail
