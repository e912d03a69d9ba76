"""Draws a sheet of people at the size that a user sees, with one model beside another: their photos and their widest mouths.

    python benchmarks/people.py SPEECH TASK PHOTO ... --model default --before OLD_MODEL -o docs/images/people.jpg

TASK is MediaPipe's ``face_landmarker.task``. Each row shows a photo, two frames of the model before and the same two frames of
the model now: those in which the mouth of the latter is open furthest. Faces are as wide as ``mouths.py`` shows them.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

import mouths
import stillspeak
from stillspeak.media.audio import read_audio

_APART = 12  # frames between the two that are shown


def widest(openings: np.ndarray) -> list[int]:
    """The frame that is open furthest, and the one that is among those at least ``_APART`` frames away."""
    first = int(openings.argmax())
    near = np.abs(np.arange(len(openings)) - first) < _APART
    return [first, int(np.where(near, -1, openings).argmax())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("landmarker", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--model", default="default")
    parser.add_argument("--before", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    tracker, sound = mouths.Tracker(arguments.landmarker), read_audio(arguments.speech)
    now, before = (stillspeak.load(name) for name in (arguments.model, arguments.before))
    rows = []
    for person in mouths.find_people(arguments.photos, tracker):
        frames, old = (list(animator.frames(person.photo, sound)) for animator in (now, before))
        looks = map(mouths.Looker(tracker).look, frames)
        shown = widest(np.array([look.opening if look else 0.0 for look in looks]))
        pictures = [person.photo, *(old[at] for at in shown), *(frames[at] for at in shown)]
        rows.append(np.hstack([mouths.tile(picture, person) for picture in pictures]))
    cv2.imwrite(str(arguments.output), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
