"""Draws talking faces whose opening and blinks are known, for tests and for a first try without a corpus. Ours.

A drawn person has their own skin, hair, proportions and pitch. A clip is a string of syllables; each has a vowel that opens the
mouth by a known distance and has a known loudness. The clips are written as a prepared folder.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray
from tqdm import tqdm

from stillspeak.data.landmarks import INNER_LIPS, OUTER_LIPS
from stillspeak.data.manifest import ClipRecord, write_manifest
from stillspeak.data.prepare import FPS, sharpness, write_clip
from stillspeak.data.summary import REPORT, report
from stillspeak.errors import DataError
from stillspeak.media.audio import Sound
from stillspeak.media.faces import CANONICAL, HEIGHT_PX, WIDTH_PX

RATE_HZ = 16_000
_SCALE = 4  # a picture is drawn so much larger, and then shrunk
_SECONDS = 3.0
_QUIET_SECONDS = 0.4  # the silence before and after the syllables
_OPEN_PX = {"a": 7.0, "e": 4.0, "i": 2.0, "o": 5.0, "u": 2.5, "m": 0.0}  # ours
_FORMANTS_HZ = {
    "a": (800, 1200),
    "e": (500, 1900),
    "i": (300, 2300),
    "o": (500, 900),
    "u": (320, 800),
    "m": (250, 1000),
}
_BLINK_FRAMES = 4
_BLUR_PX = (
    1.2  # ours: sharp edges mislead a landmark predictor made for photos (0.79 of the opening found, with it 0.98)
)
_EYE_PX = 3.0  # the distance from the middle of an open eye to its lid
_HELDOUT_ONE_IN, _VALIDATION_ONE_IN = 10, 5
Random = np.random.Generator


@dataclass(frozen=True)
class Person:
    """Describes a drawn face: colours in RGB, proportions in pixels of the crop, and the pitch of the voice in hertz."""

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    lips: tuple[int, int, int]
    wall: tuple[int, int, int]
    mouth_width: float
    mouth_y: float
    chin_y: float
    pitch_hz: float


@dataclass(frozen=True)
class DrawnClip:
    """Holds a drawn clip and the true figures about it.

    Attributes:
        frames: uint8 ``(time, 128, 96, 3)``.
        points: 68 landmarks in crop pixels, ``(time, 68, 2)``.
        sound: the sound at 16 kHz.
        opening: the opening of the inner lips in pixels, ``(time,)``.
        shut_eyes: how far the eyes are shut, from 0 (open) to 1, ``(time,)``.
    """

    frames: NDArray[np.uint8]
    points: NDArray[np.float32]
    sound: Sound
    opening: NDArray[np.float32]
    shut_eyes: NDArray[np.float32]


def draw_person(random: Random) -> Person:
    """Draws a person by chance."""
    tone = random.uniform(0.35, 1.0)
    skin = np.array([235, 195, 165]) * tone + random.normal(0, 6, 3)
    lips = skin * [0.85, 0.6, 0.6]
    return Person(
        _colour(skin),
        _colour(random.uniform(20, 160) * np.array([1.0, 0.8, 0.6])),
        _colour(lips),
        _colour(random.uniform(40, 220, 3)),
        random.uniform(23, 31),
        random.uniform(92, 97),
        random.uniform(114, 121),
        random.uniform(90, 230),
    )


def draw_clip(person: Person, random: Random, seconds: float = _SECONDS) -> DrawnClip:
    """Draws a clip in which a person says syllables, and blinks now and then."""
    time = round(seconds * FPS)
    syllables = _syllables(seconds, random)
    moments = (np.arange(time) + 0.5) / FPS
    opening = np.zeros(time, np.float32)
    for start, end, vowel in syllables:
        inside = np.clip((moments - start) / (end - start), 0, 1)
        opening += _OPEN_PX[vowel] * np.sin(np.pi * inside).astype(np.float32) ** 2
    shut = np.zeros(time, np.float32)
    for start in np.flatnonzero(random.random(time) < 1 / (2 * FPS)):
        shut[start : start + _BLINK_FRAMES] = 1.0
    points = np.stack([landmarks(person, float(gap), float(closed)) for gap, closed in zip(opening, shut, strict=True)])
    frames = np.stack([_draw(person, shape) for shape in points])
    return DrawnClip(frames, points, _speak(person, syllables, seconds, random), opening, shut)


def draw_corpus(destination: str | Path, speakers: int = 10, clips: int = 10, seed: int = 0) -> list[ClipRecord]:
    """Writes a prepared folder of drawn clips: one speaker in 5 is for validation, and one training clip in 10 is held out.

    Args:
        destination: the folder, which must be new or empty.
        speakers: how many people are drawn.
        clips: how many clips each of them gets.
        seed: the same seed draws the same clips.

    Raises:
        DataError: if a number is too small, the folder holds something already, or cannot be written.
    """
    destination = Path(destination)
    if min(speakers, clips) < 1 or seed < 0:
        raise DataError(
            f"--speakers and --clips must be at least 1 and --seed at least 0, not {speakers}, {clips}, {seed}."
        )
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise DataError(f"{destination} is there already; drawn clips want a new folder.")
    records = []
    try:
        for speaker in tqdm(range(speakers), unit="speaker"):
            person = draw_person(np.random.default_rng([seed, speaker]))
            for number in range(clips):
                drawn = draw_clip(person, np.random.default_rng([seed, speaker, number]))
                held = "heldout" if number % _HELDOUT_ONE_IN == _HELDOUT_ONE_IN - 1 else "train"
                split = "validation" if speaker % _VALIDATION_ONE_IN == _VALIDATION_ONE_IN - 1 else held
                records.append(_write(destination, drawn, f"drawn{speaker}", f"clip{number}", split))
        write_manifest(destination, records)
        (destination / REPORT).write_text(report(records), "utf-8")
    except (OSError, soundfile.LibsndfileError) as error:
        why = error.strerror if isinstance(error, OSError) else error.error_string
        raise DataError(f"{destination} cannot be written: {why}.") from error
    return records


def landmarks(person: Person, opening: float, shut: float) -> NDArray[np.float32]:
    """Returns the 68 points of a person whose lips are ``opening`` pixels apart and whose eyes are ``shut`` (0 to 1)."""
    left, right = CANONICAL[[2, 3]].mean(axis=0), CANONICAL[[0, 1]].mean(axis=0)
    middle, drop = (left[0] + right[0]) / 2, opening
    turn = np.linspace(np.pi, 0, 17)
    jaw = np.stack([middle + 40 * np.cos(turn), 56 + (person.chin_y + drop - 56) * np.sin(turn)], axis=1)
    brows = [np.stack([eye[0] + np.linspace(-9, 9, 5), eye[1] - [10, 13, 14, 13, 10]], axis=1) for eye in (left, right)]
    bridge = np.stack([np.full(4, middle), np.linspace(50, 72, 4)], axis=1)
    nose = np.stack([middle + np.linspace(-7, 7, 5), [77, 78.5, CANONICAL[4, 1] + 2, 78.5, 77]], axis=1)
    eyes = [_eye(eye, shut) for eye in (left, right)]
    return np.concatenate([jaw, *brows, bridge, nose, *eyes, _lips(person, middle, opening)]).astype(np.float32)


def _eye(middle: NDArray[np.floating], shut: float) -> NDArray[np.float64]:
    lid = _EYE_PX * (1 - shut)
    x, y = [-7.8, -3, 3, 7.8, 3, -3], [0, -lid, -lid, 0, lid, lid]
    return np.asarray(middle + np.stack([x, y], axis=1), np.float64)


def _lips(person: Person, middle: float, opening: float) -> NDArray[np.float64]:
    """Returns outer and inner lips; a mouth that opens gets a little narrower."""
    half = person.mouth_width / 2 - 0.3 * opening
    upper, lower = person.mouth_y - 0.15 * opening, person.mouth_y + 0.85 * opening
    outer_x = half * np.array([-1, -0.6, -0.25, 0, 0.25, 0.6, 1, 0.6, 0.25, 0, -0.25, -0.6])
    thick = np.array([0, 2.5, 3.8, 3.3, 3.8, 2.5, 0, 3, 4, 4.2, 4, 3])
    corner = (upper + lower) / 2
    outer_y = np.concatenate([[corner], upper - thick[1:6], [corner], lower + thick[7:]])
    inner_x = half * np.array([-0.85, -0.4, 0, 0.4, 0.85, 0.4, 0, -0.4])
    inner_y = np.array([corner, upper, upper, upper, corner, lower, lower, lower])
    return np.stack([middle + np.r_[outer_x, inner_x], np.r_[outer_y, inner_y]], axis=1)


def _draw(person: Person, points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draws one frame, ``(128, 96, 3)``."""
    large = np.full((HEIGHT_PX * _SCALE, WIDTH_PX * _SCALE, 3), person.wall, np.uint8)
    shadow = _colour(0.6 * np.array(person.skin))

    def fill(shape: NDArray[np.floating], colour: tuple[int, int, int]) -> None:
        cv2.fillPoly(large, [((shape + 0.5) * _SCALE).round().astype(np.int32)], colour, cv2.LINE_AA)

    def stroke(shape: NDArray[np.floating], colour: tuple[int, int, int], width_px: float) -> None:
        line = ((shape + 0.5) * _SCALE).round().astype(np.int32)
        cv2.polylines(large, [line], False, colour, round(width_px * _SCALE), cv2.LINE_AA)

    middle = float(points[27, 0])
    turn = np.linspace(0, 2 * np.pi, 40)
    fill(np.stack([middle + 46 * np.cos(turn), 48 + 50 * np.sin(turn)], axis=1), person.hair)
    forehead = np.stack([middle + 40 * np.cos(turn[:20]), 56 - 44 * np.sin(turn[:20])], axis=1)
    fill(np.concatenate([points[:17], forehead]), person.skin)
    for brow in (points[17:22], points[22:27]):
        stroke(brow, person.hair, 2)
    stroke(points[27:31], shadow, 1)
    stroke(points[31:36], shadow, 1.5)
    for eye in (points[36:42], points[42:48]):
        fill(eye, (245, 245, 240))
        if np.ptp(eye[:, 1]) > _EYE_PX:
            fill(eye.mean(axis=0) + 2.4 * np.stack([np.cos(turn), np.sin(turn)], axis=1), (40, 30, 25))
        stroke(np.concatenate([eye, eye[:1]]), shadow, 0.8)
    fill(points[OUTER_LIPS], person.lips)
    fill(points[INNER_LIPS], (45, 12, 14))
    stroke(points[[60, 67, 66, 65, 64]], shadow, 0.6)
    small = cv2.resize(large, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_PX), np.uint8)


def _syllables(seconds: float, random: Random) -> list[tuple[float, float, str]]:
    """Draws start, end and vowel of each syllable by chance, with a pause now and then."""
    at, said = _QUIET_SECONDS, []
    while True:
        length = random.uniform(0.16, 0.32)
        if at + length > seconds - _QUIET_SECONDS:
            return said
        said.append((at, at + length, str(random.choice(list(_OPEN_PX)))))
        at += length + (random.uniform(0.1, 0.3) if random.random() < 0.2 else 0.0)  # noqa: PLR2004 - one in five


def _speak(person: Person, syllables: list[tuple[float, float, str]], seconds: float, random: Random) -> Sound:
    """Makes each syllable a hum with its vowel's two resonances, as loud as its mouth is open, with faint noise between."""
    samples = random.normal(0, 1e-4, round(seconds * RATE_HZ))
    for start, end, vowel in syllables:
        first, last = round(start * RATE_HZ), round(end * RATE_HZ)
        at = np.arange(last - first) / RATE_HZ
        harmonics = person.pitch_hz * np.arange(1, int(4000 / person.pitch_hz))
        formants = np.array(_FORMANTS_HZ[vowel])[:, None]
        gains = (1 / (1 + ((harmonics - formants) / 120) ** 2)).sum(axis=0)
        wave = (gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * at)).sum(axis=0)
        loud = 0.03 + 0.02 * _OPEN_PX[vowel]
        samples[first:last] += loud * wave / np.abs(wave).max() * np.sin(np.pi * np.linspace(0, 1, len(at)))
    return Sound(samples.astype(np.float32), RATE_HZ)


def _write(destination: Path, drawn: DrawnClip, speaker: str, clip: str, split: str) -> ClipRecord:
    video = destination / "clips" / "synthetic" / speaker / f"{clip}.mp4"
    video.parent.mkdir(parents=True, exist_ok=True)
    write_clip(video, drawn.frames, drawn.sound)
    return ClipRecord(
        clip,
        "synthetic",
        speaker,
        split,
        path=str(video.relative_to(destination)),
        frames=len(drawn.frames),
        seconds=drawn.sound.seconds,
        sharpness=sharpness(drawn.frames),
        landmarks=[round(value, 2) for value in drawn.points.ravel().tolist()],
    )


def _colour(values: NDArray[np.floating]) -> tuple[int, int, int]:
    red, green, blue = np.clip(values, 0, 255).round().astype(int).tolist()
    return red, green, blue
