"""The README's sheet of whole photos: a moment of speech on each, beside the photo, and the mouth at full size.

python benchmarks/scenes.py SPEECH PHOTO [PHOTO ...] -o docs/images/film.jpg
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import skimage.data

import stillspeak
from stillspeak.runtime.scene import open_scene

HEIGHT_PX = 420


def shown(image: np.ndarray, height: int = HEIGHT_PX) -> np.ndarray:
    """A picture at a height."""
    width = round(image.shape[1] * height / image.shape[0])
    how = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def row(animator: stillspeak.Animator, photo: np.ndarray, speech: Path, seconds: float) -> np.ndarray:
    """The photo, the frame in which most moves, three details of the face at moments of the speech."""
    scene = open_scene(photo)
    frames = list(animator.frames(photo, speech))[: round(seconds * animator.fps)]
    place = scene.faces[0].place
    moved = [float(np.abs(frame[place].astype(int) - photo[place]).mean()) for frame in frames]
    order = np.argsort(moved)
    moments = [frames[order[int(share * (len(frames) - 1))]][place] for share in (0.0, 0.6, 1.0)]
    return np.hstack([shown(photo), shown(frames[order[-1]]), *(shown(moment) for moment in moments)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    animator = stillspeak.load()
    photos = [np.asarray(skimage.data.astronaut(), np.uint8), *(open_scene(path).photo for path in arguments.photos)]
    rows = [row(animator, photo, arguments.speech, arguments.seconds) for photo in photos]
    width = max(one.shape[1] for one in rows)
    sheet = np.vstack([np.pad(one, ((0, 6), (0, width - one.shape[1]), (0, 0)), constant_values=255) for one in rows])
    cv2.imwrite(str(arguments.output), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
