"""The curves of some runs as one picture: a panel for each phase they trained, the value of a scalar over its steps.

python benchmarks/curves.py OUT.png RUN [RUN ...]
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

PANELS = (
    ("sound", "code_loss"), ("sound", "heldout_code_correlation"), ("sound", "validation_code_correlation"),
    ("picture", "mouth_l1"), ("picture", "heldout_opening_correlation"), ("picture", "validation_opening_correlation"),
    ("adversarial", "code_loss"), ("adversarial", "mouth_l1"), ("adversarial", "mouth_motion"),
    ("adversarial", "sequence_loss"), ("adversarial", "sync_loss"), ("adversarial", "fool_sync"),
)  # fmt: skip
WIDTH, HEIGHT, EDGE = 420, 240, 40
FONT = cv2.FONT_HERSHEY_SIMPLEX
COLOURS = ((180, 60, 20), (30, 120, 200), (40, 140, 60), (150, 40, 150))


def points(run: Path, phase: str, name: str) -> NDArray[np.float64]:
    """Steps and values of a scalar, ``(n, 2)``, averaged over about 60 stretches."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    pairs = np.array([(row["step"], row[name]) for row in rows if row["phase"] == phase and name in row], float)
    size = max(1, len(pairs) // 60)
    whole = pairs[: len(pairs) // size * size].reshape(-1, size, 2) if len(pairs) else np.zeros((0, 1, 2))
    return whole.mean(axis=1)


def panel(phase: str, name: str, curves: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    """One picture, ``(240, 420, 3)``, BGR."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    cv2.putText(picture, f"{phase}: {name}", (EDGE, 18), FONT, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    every = np.concatenate(curves)
    low, high = every.min(axis=0), every.max(axis=0)
    low[0] = 0
    span = np.maximum(high - low, 1e-9)
    size = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    cv2.rectangle(picture, (EDGE, EDGE), (WIDTH - EDGE, HEIGHT - EDGE), (200, 200, 200))
    for value, y in ((high[1], EDGE), (low[1], HEIGHT - EDGE)):
        cv2.putText(picture, f"{value:.3g}", (2, int(y) + 4), FONT, 0.35, (90, 90, 90), 1, cv2.LINE_AA)
    cv2.putText(picture, f"{high[0]:.0f} steps", (WIDTH - 100, HEIGHT - 22), FONT, 0.35, (90, 90, 90), 1, cv2.LINE_AA)
    for curve, colour in zip(curves, COLOURS * len(curves), strict=False):
        at = (curve - low) / span * size
        at[:, 1] = size[1] - at[:, 1]
        cv2.polylines(picture, [(at + EDGE).round().astype(np.int32)], False, colour, 1, cv2.LINE_AA)
    return picture


def main() -> None:
    out, *runs = map(Path, sys.argv[1:])
    drawn = {name: [points(run, *name) for run in runs] for name in PANELS}
    pictures = [panel(*name, curves) for name, curves in drawn.items() if any(map(len, curves))]
    if not pictures:
        sys.exit("None of these runs has trained yet.")
    pictures += [np.full_like(pictures[0], 255)] * (-len(pictures) % 3)
    rows = [np.hstack(pictures[start : start + 3]) for start in range(0, len(pictures), 3)]
    cv2.imwrite(str(out), np.vstack(rows))


if __name__ == "__main__":
    main()
