"""Fits and measures what says that a mouth is covered (``media/covers.py``): portraits, and the same with covers drawn over them.

    python benchmarks/covers.py PORTRAITS... [--write src/stillspeak/weights/covers/weights.npy]

Masks, hands, scarves, microphones, cups and bars of many colours are drawn onto aligned faces.
Figures are of people that the fit has not seen (two halves, by the file's
name); ``--without KIND`` leaves a kind of cover out of the fit, to see how it does on what it was never shown.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stillspeak.errors import StillspeakError
from stillspeak.media.covers import features
from stillspeak.media.faces import align, find_faces, is_grey, similarity
from stillspeak.media.images import read_image

Array = NDArray[np.floating]
Image = NDArray[np.uint8]
Drawn = tuple[Array, Array]  # where a cover lies, (rows, columns), 0 to 1; its colours, (rows, columns, 3)
FINE, LEFT_PX = 2, 32  # the canvas: crop pixels are drawn as 2 x 2, from 32 to the left of the crop on
Y, X = (axis / FINE for axis in np.mgrid[0 : 176 * FINE, 0 : 160 * FINE].astype(np.float32))
X = X - LEFT_PX
COLOURS = (
    (245, 245, 245), (150, 195, 225), (120, 170, 210), (160, 210, 190), (240, 180, 200), (190, 190, 195), (90, 110, 140),
    (60, 90, 160), (170, 60, 60), (230, 220, 190), (15, 15, 15), (40, 40, 45), (120, 200, 255), (0, 90, 200), (255, 255, 255),
)  # fmt: skip
RIDGE = 30.0  # of the fit
VARIANTS = 5  # of each aligned face: mirrored, turned, shifted, darker, less sharp


def filled(points: Array) -> Array:
    """A canvas on which a polygon, in crop pixels, is 1."""
    canvas = np.zeros(X.shape, np.float32)
    cv2.fillPoly(canvas, [np.round((points + np.array([LEFT_PX, 0])) * FINE).astype(np.int32)], 1.0)
    return canvas


def rounded(points: Array) -> Array:
    """A closed curve through some points (Catmull and Rom's)."""
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for i in range(len(points)):
        a, b, c, d = (points[(i + k) % len(points)] for k in (-1, 0, 1, 2))
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate(pieces)


def line(distance: Array, width: float) -> Array:
    """1 where a distance is 0, and nothing a few widths away."""
    return np.exp(-((distance / width) ** 2))


def mask(random: np.random.Generator, skin: Array) -> Drawn:
    """Surgical masks with pleats, cloth with a seam, stiff ones, plain ones; over the nose or, pulled down, below it."""
    low = random.random() < 0.2
    top = random.uniform(77, 81) if low else random.uniform(56, 68)
    rise = 0 if low else 4
    outline = [(8, top + 8), (28, top + 4), (49, top - rise), (70, top + 4), (90, top + 8), (86, 100), (70, 124)]
    alpha = filled(rounded(np.array([*outline, (49, 134), (28, 124), (12, 100)], float)))
    shade = np.ones_like(X)
    if random.random() < 0.8:
        shade = 1 - 0.25 * ((X - 49) / 45) ** 2 - random.uniform(0, 0.2) * np.clip((Y - 95) / 40, 0, 1)
    style = random.integers(4)
    if style == 0:
        for pleat in np.linspace(top + 10, 120, random.integers(3, 5)):
            shade = shade - random.uniform(0.06, 0.22) * line(Y - pleat - 3 * ((X - 49) / 40) ** 2, 0.9)
    elif style == 1:
        rough = cv2.resize(
            random.normal(0, 1, (44, 40)).astype(np.float32), X.shape[::-1], interpolation=cv2.INTER_CUBIC
        )
        shade = shade + 0.06 * rough - random.uniform(0, 0.3) * line(X - 49, 0.8)
    elif style == 2:  # stiff: a fold and a bulge
        shade = shade - 0.15 * line(Y - 95, 1.2) + 0.1 * line(np.hypot((X - 49) / 10, (Y - 85) / 8), 1)
    colour = (
        skin * random.uniform(0.8, 1.1) if random.random() < 0.15 else np.array(COLOURS[random.integers(len(COLOURS))])
    )
    colours = colour * np.clip(shade, 0.2, 1.2)[..., None]
    if random.random() < 0.15:
        wide, angle = random.uniform(0.3, 1.2), random.uniform(0, np.pi)
        along = (X * np.cos(angle) + Y * np.sin(angle)) * wide
        other = np.sin(along) > 0 if random.random() < 0.5 else np.sin(X * wide) * np.sin(Y * wide) > 0.2
        colours[other] = random.uniform(0, 255, 3) * np.clip(shade, 0.2, 1.2)[other][:, None]
    return alpha, colours


def hand(random: np.random.Generator, skin: Array) -> Drawn:
    """Four fingers across the mouth, or a palm or fist."""
    centre = np.array([49 + random.uniform(-4, 4), 92 + random.uniform(-4, 4)])
    tone, alpha, shade = skin * random.uniform(0.8, 1.1), np.zeros_like(X), np.ones_like(X)
    if random.random() < 0.3:
        distance = np.hypot((X - centre[0]) / random.uniform(22, 32), (Y - centre[1]) / random.uniform(14, 24))
        shade = 1.05 - random.uniform(0, 0.3) * distance
        return (distance < 1).astype(np.float32), tone * np.clip(shade, 0.3, 1.2)[..., None]
    angle, wide = random.uniform(-1.6, 1.6), random.uniform(8, 12)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    for finger in range(4):
        start = centre + across * (finger - 1.5) * wide
        tip = start - along * random.uniform(18, 34)
        sides = np.array([tip - across * wide / 2, tip + across * wide / 2])
        alpha = np.maximum(alpha, filled(np.array([*sides, *(sides + along * 100)[::-1]])))
        alpha = np.maximum(alpha, (np.hypot(X - tip[0], Y - tip[1]) < wide / 2).astype(np.float32))
        beside = (X - start[0]) * across[0] + (Y - start[1]) * across[1]
        shade = np.where(
            np.abs(beside) <= wide / 2, 1.05 - random.uniform(0.1, 0.4) * np.abs(2 * beside / wide) ** 3, shade
        )
    return alpha, tone * np.clip(shade, 0.3, 1.2)[..., None]


def microphone(random: np.random.Generator, skin: Array) -> Drawn:
    """A dark ball in front of the mouth, on a handle from below."""
    x, y, radius = 49 + random.uniform(-4, 4), 94 + random.uniform(-4, 6), random.uniform(14, 20)
    ball = np.hypot(X - x, (Y - y) / 1.15) < radius
    handle = filled(np.array([(x - 7, y + 8), (x + 7, y + 8), (x + random.uniform(0, 20), 180), (x - 9, 180)]))
    shade = 1.3 - 0.7 * np.hypot(X - x + 5, Y - y + 5) / radius
    shade = shade + 0.15 * cv2.resize(random.normal(0, 1, (176, 160)).astype(np.float32), X.shape[::-1])
    tone = random.uniform(15, 70) if random.random() < 0.7 else random.uniform(100, 170)
    return np.maximum(ball, handle), np.full(3, tone) * np.clip(shade, 0.3, 1.8)[..., None]


def scarf(random: np.random.Generator, skin: Array) -> Drawn:
    """Folds of cloth from below the nose or from its middle on, wider than the face."""
    top = random.uniform(66, 82)
    edge = [(-20, top + 6), (20, top + 2), (49, top), (78, top + 2), (118, top + 6), (118, 160), (49, 170), (-20, 160)]
    shade = 1 + 0.08 * np.sin(X * random.uniform(0.8, 2)) * np.sin(Y * 1.6)
    for fold in np.arange(top + 6, 150, random.uniform(7, 14)):
        shade = shade - 0.25 * line(Y - fold - random.uniform(-5, 5) * ((X - 49) / 45) ** 2, 1.8)
    return filled(rounded(np.array(edge, float))), random.uniform(20, 230, 3) * np.clip(shade, 0.2, 1.3)[..., None]


def cup(random: np.random.Generator, skin: Array) -> Drawn:
    """A cup that somebody drinks from."""
    x, top = 49 + random.uniform(-3, 3), random.uniform(80, 88)
    alpha = filled(np.array([(x - 20, top), (x + 20, top), (x + 15, top + 60), (x - 15, top + 60)]))
    inside = np.hypot((X - x) / 20, (Y - top) / 4) < 1
    colours = random.uniform(60, 250, 3) * np.clip(1.05 - 0.35 * ((X - x) / 20) ** 2, 0.3, 1.2)[..., None]
    colours[inside] *= 0.6
    return np.maximum(alpha, inside), colours


def bar(random: np.random.Generator, skin: Array) -> Drawn:
    """One colour in one piece: a bar over the mouth alone, or a box or ellipse over all below the eyes or the nose."""
    small = random.random() < 0.5
    across = random.uniform(20, 30) if small else random.uniform(30, 48)
    down = random.uniform(9, 15) if small else random.uniform(24, 36)
    distance = np.abs((X - 49) / across), np.abs((Y - (89 if small else 84 + down * 0.5)) / down)
    inside = np.maximum(*distance) < 1 if random.random() < 0.6 else np.hypot(*distance) < 1
    colour = random.uniform(0, 255, 3) if random.random() < 0.5 else np.array(COLOURS[random.integers(len(COLOURS))])
    return inside.astype(np.float32), np.broadcast_to(colour.astype(np.float32), (*X.shape, 3))


KINDS: dict[str, Callable[[np.random.Generator, Array], Drawn]] = {
    "mask": mask, "hand": hand, "microphone": microphone, "scarf": scarf, "cup": cup, "bar": bar,
}  # fmt: skip


def covered(still: Image, kind: str, random: np.random.Generator) -> Image:
    """An aligned face with a cover drawn over it."""
    skin = np.concatenate([still[64:72, 26:34], still[64:72, 64:72]]).reshape(-1, 3).mean(axis=0)
    alpha, colours = KINDS[kind](random, skin)
    soft = cv2.GaussianBlur(np.asarray(alpha, np.float32), (0, 0), FINE * 0.4)
    fine = np.dstack([soft, np.asarray(colours, np.float32)])
    small = cv2.resize(fine, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
    where, cover = np.split(small[: still.shape[0], LEFT_PX : LEFT_PX + still.shape[1]], [1], axis=2)
    cover = cover + random.normal(0, 3, still.shape)
    if is_grey(still):
        cover = cover.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(still * (1 - where) + cover * where, 0, 255), np.uint8)


def gather(folders: list[Path], random: np.random.Generator, each: int) -> list[tuple[str, str, Image]]:
    """Aligned faces as (photo's name, kind, crop): bare ones of the kind ``bare``, and ``each`` covered ones of a photo."""
    rows = []
    for path in tqdm(sorted(path for folder in folders for path in folder.iterdir()), unit="photo", mininterval=20):
        try:
            photo = read_image(path)
        except StillspeakError:
            continue
        faces = find_faces(photo)
        if not faces:
            continue
        still = align(photo, similarity(faces[0].points))
        rows.append((path.name, "bare", still))
        kinds = random.choice([*KINDS, "mask", "hand"], each)
        rows += [(path.name, str(kind), covered(still, kind, random)) for kind in kinds]
    return rows


def varied(still: Image, random: np.random.Generator) -> list[Image]:
    """An aligned face, and as another camera, another light and a less lucky alignment would have it."""
    made = [still, np.ascontiguousarray(still[:, ::-1])]
    while len(made) < VARIANTS:
        matrix = cv2.getRotationMatrix2D((48, 80), random.uniform(-6, 6), random.uniform(0.93, 1.07))
        matrix[:, 2] += random.uniform(-4, 4, 2)
        moved = cv2.warpAffine(still, matrix, (96, 128), borderMode=cv2.BORDER_REPLICATE)
        soft = cv2.GaussianBlur(moved, (0, 0), random.uniform(0.2, 1.8))
        light, gamma = random.uniform(0.1, 1.0) ** random.uniform(0, 1), random.uniform(0.7, 1.4)
        made.append(np.asarray(np.rint(255 * light * (soft / 255.0) ** gamma), np.uint8))
    return made


def fit(seen: Array, bare: NDArray[np.bool_]) -> Array:
    """Ridge regression to 1 (bare) and -1 (covered), both as heavy; the threshold is the last weight."""
    weight = np.where(bare, 1 / bare.sum(), 1 / (~bare).sum()) * len(bare) / 2
    mean = seen.mean(axis=0)
    rows = np.c_[seen - mean, np.ones(len(seen))]
    inner = (rows.T * weight) @ rows + RIDGE * np.eye(rows.shape[1])
    weights = np.linalg.solve(inner, (rows.T * weight) @ np.where(bare, 1.0, -1.0))
    return np.append(weights[:-1], weights[-1] - mean @ weights[:-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path, nargs="+", help="folders of photos of bare faces")
    parser.add_argument("--each", type=int, default=3, help="covers drawn over each photo (3)")
    parser.add_argument(
        "--without", action="append", default=[], choices=list(KINDS), help="a kind that the fit is not shown"
    )
    parser.add_argument(
        "--margin", type=float, default=0.0, help="subtracted from the threshold: fewer false alarms (0)"
    )
    parser.add_argument("--write", type=Path, default=None, help="where to write weights fitted to everybody")
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    rows = gather(arguments.portraits, random, arguments.each)
    names, kinds = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    seen = np.stack([[features(one) for one in varied(row[2], random)] for row in rows])
    half = np.array([sum(name.encode()) % 2 for name in names])
    scores = np.zeros(len(rows))
    for part in (0, 1):
        shown = (half != part) & ~np.isin(kinds, arguments.without)
        weights = fit(seen[shown].reshape(-1, seen.shape[2]), np.repeat(kinds[shown] == "bare", VARIANTS))
        scores[half == part] = seen[half == part, 0] @ weights[:-1] + weights[-1] + arguments.margin
    for kind in ("bare", *KINDS):
        of_kind = scores[kinds == kind]
        print(f"{kind}: {np.mean(of_kind < 0):.3f} of {len(of_kind)} are said to be covered")
    wrong = [name for name, kind, score in zip(names, kinds, scores, strict=True) if kind == "bare" and score < 0]
    print("bare faces that are said to be covered:", ", ".join(wrong) or "none")
    print("scores of bare faces, the lowest:", np.sort(scores[kinds == "bare"])[:8].round(2))
    if arguments.write is not None:
        weights = fit(seen.reshape(-1, seen.shape[2]), np.repeat(kinds == "bare", VARIANTS))
        weights[-1] += arguments.margin
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        np.save(arguments.write, weights.astype(np.float16))


if __name__ == "__main__":
    main()
