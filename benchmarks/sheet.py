"""The contact sheet of the README: one sentence on several faces, and the real video of it.

Rows: the real clip, the model on its first frame, the model on each photo; columns: moments of the sentence.

    python benchmarks/sheet.py PREPARED SPEAKER PHOTO [PHOTO ...] -o docs/images/sheet.png
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import skimage.data

import stillspeak
from stillspeak.data.manifest import read_manifest
from stillspeak.media.audio import read_audio
from stillspeak.media.video import read_video
from stillspeak.runtime.scene import still


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("speaker")
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--model", default="default")
    parser.add_argument("--first", type=int, default=8)
    parser.add_argument("--every", type=int, default=4)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    animator = stillspeak.load(arguments.model)
    record = read_manifest(arguments.prepared, speakers=[arguments.speaker])[0]
    real = read_video(arguments.prepared / record.path)
    samples = read_audio((arguments.prepared / record.path).with_suffix(".flac")).at(animator.rate_hz).samples
    crops = [
        real[0],
        *(still(photo) for photo in arguments.photos),
        still(np.asarray(skimage.data.astronaut(), np.uint8)),
    ]
    chosen = range(arguments.first, len(real) - 2, arguments.every)
    rows = [np.hstack([real[t] for t in chosen])]
    for crop in crops:
        talk, first = animator.push(animator.begin_aligned(crop), samples)
        made = np.concatenate([first.frames, animator.finish(talk)[1].frames])
        rows.append(np.hstack([made[t] for t in chosen]))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.output), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    print(f"{record.speaker}/{record.clip}: {record.text or 'no transcript'}; frames {list(chosen)}")


if __name__ == "__main__":
    main()
