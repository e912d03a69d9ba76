"""Does the mouth follow speech it never heard, on people it never saw? One table, from raw clips to figures.

A raw clip's first frame and its sound go through the public API, as a user's photo and speech would; what comes out is
compared with the prepared, aligned clip. Rows: the model, the still repeated, the model with the next clip's sound.

    python benchmarks/held_out.py GRID_FOLDER PREPARED [--model default] [--clips 10] [--json FILE]
"""

import argparse
import json
from pathlib import Path

import numpy as np

import stillspeak
from stillspeak.data.corpora import grid
from stillspeak.data.manifest import ClipRecord, read_manifest
from stillspeak.evaluation.mouth import match, opening
from stillspeak.evaluation.quality import psnr, ssim
from stillspeak.media.faces import HEIGHT_PX
from stillspeak.media.video import read_video
from stillspeak.runtime.scene import still

LOWER = slice(HEIGHT_PX // 2, None)
COLUMNS = ("opening_correlation", "opening_spread", "psnr", "ssim", "psnr_lower", "ssim_lower")
Frames = np.ndarray


def score(made: Frames, real: Frames, real_opening: np.ndarray) -> list[float]:
    """One row's figures of one clip; a frame that is missing at the end is the last one repeated."""
    made = made[np.minimum(np.arange(len(real)), len(made) - 1)]
    found = match(opening(made), real_opening)
    halves = made[:, LOWER], real[:, LOWER]
    return [found.correlation, found.spread, psnr(made, real), ssim(made, real), psnr(*halves), ssim(*halves)]


def rows(
    animator: stillspeak.Animator, prepared: Path, sources: dict[str, Path], records: list[ClipRecord]
) -> dict[str, dict[str, float]]:
    """Mean figures of each row over some clips."""
    scores: dict[str, list[list[float]]] = {"model": [], "still": [], "shuffled_audio": []}
    videos = [sources[f"{record.speaker}/{record.clip}"] for record in records]
    for index, record in enumerate(records):
        real, photo = read_video(prepared / record.path), read_video(videos[index])[0]
        real_opening = opening(real)
        for name, speech in (("model", videos[index]), ("shuffled_audio", videos[(index + 1) % len(videos)])):
            scores[name].append(score(animator(photo, speech, crop=True).frames, real, real_opening))
        scores["still"].append(score(still(photo)[None], real, real_opening))
        print(
            f"  {record.speaker}/{record.clip}: {scores['model'][-1][0]:.2f} x {scores['model'][-1][1]:.2f}", flush=True
        )
    return {name: dict(zip(COLUMNS, np.mean(values, axis=0).tolist(), strict=True)) for name, values in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    animator = stillspeak.load(arguments.model)
    sources = {f"{clip.speaker}/{clip.clip}": clip.path for clip in grid(arguments.source)}
    table = {}
    for split in ("heldout", "validation"):
        records = read_manifest(arguments.prepared, split)[: arguments.clips]
        table[split] = rows(animator, arguments.prepared, sources, records)
        print(
            f"\n{split}: {len(records)} clips\n\n| row | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS)
        )
        for name, values in table[split].items():
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2) + "\n")


if __name__ == "__main__":
    main()
