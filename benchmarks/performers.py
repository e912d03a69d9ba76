"""Do performers do what the speakers do whose clips they act? Opening, width, rounding, blinks, closed lips, by one tracker.

python benchmarks/performers.py PERFORMERS PREPARED face_landmarker.task [--clips 40]
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.manifest import ClipRecord, evenly, read_manifest
from stillspeak.data.performers.drive import measured, steadied
from stillspeak.data.performers.make import CORPUS
from stillspeak.data.performers.tracking import BLENDSHAPES, Tracked, Tracker
from stillspeak.media.video import read_video

FPS = 25
ENLARGED = 4
CLOSED = 0.02  # of the outer-eye distance
LIPS_MEET = 0.16  # seconds about the start of a word in p, b or m
BLINKED = 0.5  # the tracker's score, from which a real blink is counted
ROUND = 51, 57


class Seen(NamedTuple):
    """What the tracker sees in a clip, frame by frame, in outer-eye distances; blinks as its score."""

    opening: NDArray[np.float32]
    width: NDArray[np.float32]
    height: NDArray[np.float32]
    blinks: NDArray[np.float32]


def watch(video: Path, tracker: Tracker) -> Seen:
    """Tracks one prepared clip."""
    found: list[Tracked] = []
    for frame in read_video(video):
        large = np.asarray(cv2.resize(frame, None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_CUBIC), np.uint8)
        one = tracker.track(large, found[-1] if found else None) or tracker.track(large)
        if one is not None:
            found.append(one)
    landmarks = steadied(np.stack([one.as_68() for one in found]))
    opening, width = measured(landmarks)
    height = np.linalg.norm(landmarks[:, ROUND[1]] - landmarks[:, ROUND[0]], axis=1)
    blinks = [BLENDSHAPES.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    return Seen(opening, width, height, np.stack([one.blendshapes[blinks].min() for one in found]))


def closures(record: ClipRecord, opening: NDArray[np.float32]) -> list[bool]:
    """Whether the lips meet about the start of each word that begins with p, b or m."""
    starts = [word.start for word in record.words if word.word[0] in "pbm"]
    half = round(LIPS_MEET * FPS)
    around = [opening[max(0, round(start * FPS) - half) : round(start * FPS) + half] for start in starts]
    return [bool(part.min() < CLOSED) for part in around if len(part)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("performers", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("task", type=Path)
    parser.add_argument("--clips", type=int, default=40)
    arguments = parser.parse_args()
    tracker = Tracker(arguments.task)
    sources = {f"{r.speaker}_{r.clip}": r for r in read_manifest(arguments.prepared) if r.corpus != CORPUS}
    records = [record for record in read_manifest(arguments.performers) if record.corpus == CORPUS]
    rows, real_blinks, made_blinks, real_closed, made_closed = [], [], [], [], []
    for record in evenly(records, arguments.clips):
        source = sources[record.clip]
        real = watch(arguments.prepared / source.path, tracker)
        made = watch(arguments.performers / record.path, tracker)
        rows.append([value for a, b in zip(real[:3], made[:3], strict=True) for value in follows(a, b)])
        if real.blinks.max() > BLINKED:
            real_blinks.append(real.blinks.max())
            made_blinks.append(made.blinks.max())
        real_closed += closures(source, real.opening)
        made_closed += closures(source, made.opening)
        rows[-1] += [np.quantile(real.opening, 0.95), np.quantile(made.opening, 0.95)]
    print("| | correlation | spread |\n|---|---|---|")
    means = np.mean(rows, axis=0)
    for k, name in enumerate(("opening", "width", "height of the lips")):
        print(f"| {name} | {means[2 * k]:.3f} | {means[2 * k + 1]:.3f} |")
    print(f"\n{len(rows)} clips. Opening, 95th percentile: real {means[6]:.3f}, made {means[7]:.3f} eye distances.")
    print(
        f"Blinks: peak score real {np.mean(real_blinks):.2f}, made {np.mean(made_blinks):.2f}, {len(made_blinks)} clips."
    )
    print(
        f"p, b, m close the lips: real {np.mean(real_closed):.2f}, made {np.mean(made_closed):.2f} of {len(made_closed)}."
    )


def follows(real: NDArray[np.float32], made: NDArray[np.float32]) -> tuple[float, float]:
    """Correlation, and the spread of what was made over that of what is real."""
    time = min(len(real), len(made))
    return float(np.corrcoef(real[:time], made[:time])[0, 1]), float(made[:time].std() / real[:time].std())


if __name__ == "__main__":
    main()
