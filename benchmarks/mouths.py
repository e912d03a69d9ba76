"""Do strangers speak with teeth, and do their mouths open as far as real ones? Whole pictures, judged by MediaPipe's landmarks.

``strangers.py --landmarker`` prints the figures; ``docs/evaluation.md`` defines them. Detail and contrast are shares of those of
the real open mouths in the same folder of photos.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from lips import OPEN, TONES, Image, Look, Looker, skin_tone
from stillspeak.animate import Animator
from stillspeak.data.performers.tracking import Tracker
from stillspeak.media.audio import Sound
from stillspeak.media.images import read_image
from stillspeak.media.video import read_video

_FEWEST_OPEN = 3  # frames; fewer say nothing about what is between the lips
_TILE_PX = 400
ACROSS = 4  # pictures of a row: the photo, and the frames whose mouth is open furthest


class Person(NamedTuple):
    """A photo, what it shows, and the group of its skin's tone."""

    path: Path
    photo: Image
    look: Look
    tone: str
    face: NDArray[np.float32]  # x, y, width, height in pixels

    @property
    def smiles(self) -> bool:
        """Whether the photo shows what is between the lips."""
        return self.look.opening > OPEN


class Spoken(NamedTuple):
    """What came of a photo and a sound: what every frame shows."""

    person: Person
    looks: list[Look]

    def opening(self) -> NDArray[np.float64]:
        """In outer-eye distances, frame by frame."""
        return np.array([look.opening for look in self.looks])

    def blink(self) -> float:
        """How far both eyes are shut where they are shut furthest."""
        return max(look.blink for look in self.looks)

    def between(self, name: str) -> float:
        """Mean over the open mouths of ``detail`` or ``contrast``; nan if hardly any mouth is open."""
        values = [getattr(look, name) for look in self.looks if look.opening > OPEN]
        return float(np.nanmean(values)) if len(values) >= _FEWEST_OPEN else float("nan")


def find_people(photos: Iterable[Path], tracker: Tracker) -> list[Person]:
    """The people in whose photos the tracker finds a face."""
    people = []
    for path in photos:
        photo, looker = read_image(path), Looker(tracker)
        look = looker.look(photo)
        if look is None or looker.before is None:
            print(f"  {path.name}: the tracker finds no face.", file=sys.stderr)
            continue
        points = looker.before.points[:, :2]
        face = np.r_[points.min(axis=0), np.ptp(points, axis=0)]
        people.append(Person(path, photo, look, skin_tone(photo, looker.before), face))
    return people


def speak(animator: Animator, person: Person, sound: Sound, tracker: Tracker) -> tuple[Spoken, list[Image]]:
    """A person says something; also the frames whose mouth is open furthest, the furthest first."""
    frames = list(animator.frames(person.photo, sound))
    looker = Looker(tracker)
    looks = [looker.look(frame) for frame in frames]
    seen = [(look, frame) for look, frame in zip(looks, frames, strict=True) if look is not None]
    widest = sorted(seen, key=lambda pair: -pair[0].opening)[: 3 * ACROSS : 3]
    return Spoken(person, [look for look, _ in seen]), [frame for _, frame in widest]


def table(spoken: list[Spoken], silent: list[Spoken], real: list[Look]) -> str:
    """The figures in Markdown, for all and by group. ``silent`` heard nothing, ``real`` are open mouths of photos."""
    groups = {"all": lambda person: True, "closed photos": lambda person: not person.smiles}
    groups |= {"open smiles": lambda person: person.smiles}
    groups |= {f"{tone} skin": lambda person, tone=tone: person.tone == tone for tone in TONES}
    lines = [
        "| group | people | detail | contrast | opening, 95th percentile | spread | opening in the photo | in silence | blinks |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for name, belongs in groups.items():
        members, quiet = ([one for one in everybody if belongs(one.person)] for everybody in (spoken, silent))
        if not members:
            continue
        detail, contrast = (
            np.nanmean([one.between(kind) for one in members]) / np.mean([getattr(look, kind) for look in real])
            for kind in ("detail", "contrast")
        )
        photo = np.mean([one.person.look.opening for one in quiet])
        rest = np.mean([np.median(one.opening()) for one in quiet])
        blinks = np.mean([one.blink() for one in members])
        cells = (
            f"{len(quiet)} | {detail:.2f} | {contrast:.2f} | {reach(members)} | {photo:.3f} | {rest:.3f} | {blinks:.2f}"
        )
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def reach(spoken: list[Spoken]) -> str:
    """Two cells: the opening's 95th percentile and its spread, means over what was spoken."""
    openings = [one.opening() for one in spoken]
    return (
        f"{np.mean([np.quantile(one, 0.95) for one in openings]):.3f} | {np.mean([one.std() for one in openings]):.3f}"
    )


def watch(video: Path, tracker: Tracker) -> list[Look]:
    """What each frame of a real speaker's video shows."""
    looker = Looker(tracker)
    return [look for frame in read_video(video) if (look := looker.look(frame)) is not None]


def tile(picture: Image, person: Person) -> Image:
    """The face and what is around it, ``_TILE_PX`` wide."""
    x, y, width, height = person.face
    side = 1.35 * max(width, height)
    left, top = x + width / 2 - side / 2, y + height / 2 - side / 2
    move = np.array([[1, 0, -left], [0, 1, -top]]) * (_TILE_PX / side)
    size = _TILE_PX, _TILE_PX
    return np.asarray(
        cv2.warpAffine(picture, move, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
