"""Does the mouth follow speech it never heard, on people it never saw? One table, from raw clips to figures.

Each clip's first frame and sound go through the public API; opening is measured on the aligned crops. Rows: the model, the
still repeated, the model with the next clip's sound.

    python benchmarks/held_out.py PREPARED [--model default] [--clips 10]
"""

import argparse
import json
from pathlib import Path

import numpy as np

import stillspeak
from stillspeak.data.manifest import ClipRecord, read_manifest
from stillspeak.evaluation.mouth import match, opening
from stillspeak.evaluation.quality import psnr, ssim
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.faces import HEIGHT_PX
from stillspeak.media.video import read_video

LOWER = slice(HEIGHT_PX // 2, None)
COLUMNS = ("opening_correlation", "opening_spread", "psnr", "ssim", "psnr_lower", "ssim_lower")


def generate(animator: stillspeak.Animator, still: np.ndarray, sound: Sound, frames: int) -> np.ndarray:
    """Frames for an already aligned still."""
    talk = animator.begin_aligned(still)
    talk, first = animator.push(talk, sound.at(animator.rate_hz).samples)
    made = np.concatenate([first, animator.finish(talk)[1]])
    return made[np.minimum(np.arange(frames), len(made) - 1)]


def score(made: np.ndarray, real: np.ndarray, real_opening: np.ndarray) -> list[float]:
    found = match(opening(made), real_opening)
    lower_made, lower_real = made[:, LOWER], real[:, LOWER]
    return [
        found.correlation,
        found.spread,
        psnr(made, real),
        ssim(made, real),
        psnr(lower_made, lower_real),
        ssim(lower_made, lower_real),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    animator = stillspeak.load(arguments.model)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for split in ("heldout", "validation"):
        records = read_manifest(arguments.prepared, split)[: arguments.clips]
        table[split] = rows(animator, arguments.prepared, records)
        print(
            f"\n{split}: {len(records)} clips\n\n| row | " + " | ".join(COLUMNS) + " |\n|---|" + "---|" * len(COLUMNS)
        )
        for name, values in table[split].items():
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=2))


def rows(animator: stillspeak.Animator, prepared: Path, records: list[ClipRecord]) -> dict[str, dict[str, float]]:
    scores: dict[str, list[list[float]]] = {"model": [], "still": [], "shuffled_audio": []}
    sounds = [read_audio((prepared / record.path).with_suffix(".flac")) for record in records]
    for index, record in enumerate(records):
        real = read_video(prepared / record.path)
        real_opening = opening(real)
        for name, sound in (("model", sounds[index]), ("shuffled_audio", sounds[(index + 1) % len(sounds)])):
            scores[name].append(score(generate(animator, real[0], sound, len(real)), real, real_opening))
        scores["still"].append(score(np.repeat(real[:1], len(real), 0), real, real_opening))
        print(
            f"  {record.speaker}/{record.clip}: {scores['model'][-1][0]:.2f} x {scores['model'][-1][1]:.2f}", flush=True
        )
    return {name: dict(zip(COLUMNS, np.mean(values, axis=0).tolist(), strict=True)) for name, values in scores.items()}


if __name__ == "__main__":
    main()
