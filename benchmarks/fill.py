"""Are drawn frames nearer to the real ones than a frozen picture or a cross-fade? Real clips lose frames, which are drawn again.

    python benchmarks/fill.py GRID_FOLDER [--model default]

It prints PSNR of the mouth in the aligned face, and the correlation of the mouth's opening, over the frames that were taken out.
"""

import argparse
from pathlib import Path

import numpy as np

import stillspeak
from stillspeak.evaluation.mouth import opening
from stillspeak.evaluation.quality import psnr
from stillspeak.media.faces import align, similarity
from stillspeak.media.film import Shown, open_film
from stillspeak.media.track import tracks_of

COUNTS = 1, 3, 5, 12, 25
CLIPS = "s20/*", "s23/*", "sU1/*", "sU2/*", "s1/bbaf2n.mp4", "s1/bbal7s.mp4"
MOUTH = np.s_[:, 78:122, 16:82]  # in the aligned face
FPS, FIRST, BETWEEN = 25, 10, 7  # the first frame that is taken out, and how many stay between two gaps
Frames = np.ndarray


def gaps(count: int, total: int) -> list[range]:
    """The frames that are taken out: ``count`` at a time."""
    starts = range(FIRST, total - count - 2, count + BETWEEN)
    return [range(start, start + count) for start in starts]


def naive(filmed: list[Shown], taken: list[range], fade: bool) -> list[Frames]:
    """The frames of all gaps, with the last frame frozen, or cross-faded into the next one."""
    made = list[Frames]()
    for gap in taken:
        before, after = filmed[gap.start - 1].picture, filmed[gap.stop].picture.astype(np.float32)
        shares = [(one + 1) / (len(gap) + 1) * fade for one in range(len(gap))]
        made += [np.rint(before + share * (after - before)).astype(np.uint8) for share in shares]
    return made


def scores(animator: stillspeak.Animator, path: Path, count: int) -> list[tuple[float, float]]:
    """PSNR and correlation of one clip: frozen, cross-faded, drawn."""
    film = open_film(path)
    filmed = [*film.shown()]
    tracks, _ = tracks_of((one.picture for one in filmed), FPS)
    points = max(tracks, key=lambda track: len(track.points)).smoothed(FPS)
    taken = gaps(count, len(points))
    listed = ",".join(f"{gap.start / FPS - 0.01:.2f}-{gap.stop / FPS - 0.01:.2f}" for gap in taken)
    drawn = [one.picture for one in animator.fill(path, listed).frames() if one.changed]
    numbers = [number for gap in taken for number in gap]
    crops = [similarity(points[number]) for number in numbers]
    real = np.stack([align(filmed[number].picture, crop) for number, crop in zip(numbers, crops, strict=True)])
    found, wanted = [], opening(real)
    for pictures in (naive(filmed, taken, False), naive(filmed, taken, True), drawn):
        made = np.stack([align(one, crop) for one, crop in zip(pictures, crops, strict=True)])
        each = [psnr(one[None], other[None]) for one, other in zip(made[MOUTH], real[MOUTH], strict=True)]
        found.append((float(np.mean(each)), float(np.corrcoef(opening(made), wanted)[0, 1])))
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grid", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS)
    known = parser.parse_args()
    animator = stillspeak.load(known.model)
    clips = [path for pattern in CLIPS for path in sorted(known.grid.glob(pattern))]
    print("| frames taken out | PSNR: frozen | cross-faded | ours | correlation: frozen | cross-faded | ours |")
    print("|---|---|---|---|---|---|---|")
    for count in known.counts:
        mean = np.mean([scores(animator, clip, count) for clip in clips], axis=0)
        cells = [f"{value:.2f}" for value in (*mean[:, 0], *mean[:, 1])]
        print(f"| {count} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
