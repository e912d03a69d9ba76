"""Anyone's face, anyone's voice: portraits x voices through the public API, judged without a real video to compare with.

For every pair: does it work, does the mouth move, is it still the same person (the nearest of all portraits by face
descriptor is the photo's own), does the upper half keep its colour. Photos are those that ``prepare portraits`` keeps back
from training. One table, and a contact sheet: a row for each of some pairs, with the photo first.

    python benchmarks/strangers.py PORTRAITS VOICES [--photos 50] [--voices 5] [--model default] [--sheet FILE]

With ``--landmarker face_landmarker.task`` it looks at whole pictures instead, at the size a user sees, and prints what shows
between the lips and how far mouths open, by skin tone and by smile (``mouths.py``). ``--prepared FOLDER`` leaves out the people
it trains on, and ``--real VIDEO ...`` adds how far real speakers open theirs.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import stillspeak
from stillspeak.animate import Animator
from stillspeak.data.manifest import read_manifest
from stillspeak.data.portraits import find_photos, kept_back
from stillspeak.errors import StillspeakError
from stillspeak.evaluation.identity import embeddings, sampled_embeddings
from stillspeak.evaluation.mouth import opening
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.faces import HEIGHT_PX
from stillspeak.runtime.scene import still

UPPER = slice(0, HEIGHT_PX // 2)
STANDS_PX = 0.25  # a mouth whose opening varies less than this over a sentence stands still
SMILE_PX = 2.5
_SOUNDS = {".flac", ".wav", ".mp3"}
_COLUMNS, _ROWS = 9, 15
_SILENT_SECONDS = 3
_EVERY = 3  # frames between two that are measured
Frames = np.ndarray


@dataclass(frozen=True)
class Pair:
    """What came of one photo and one voice."""

    photo: str
    voice: str
    moves_px: float  # standard deviation of the lips' opening
    photo_px: float  # the opening in the photo: a smile with teeth has some
    shut_px: float  # the opening when it is shut: its first decile
    colour_shift: float  # of the upper half's mean, of 255; the worst channel
    distance: float  # of face descriptors, frames to photo
    nearest: str  # the portrait that the frames are nearest to


def spread(paths: list[Path], count: int) -> list[Path]:
    """``count`` of a list, evenly."""
    return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, count).round().astype(int))]


def judge(photo: Path, crop: Frames, voice: Path, frames: Frames, gallery: dict[str, Frames]) -> Pair:
    """One pair's figures."""
    shift = np.abs(frames[:, UPPER].mean((0, 1, 2)) - crop[UPPER].mean((0, 1))).max()
    found = sampled_embeddings(frames).mean(axis=0)
    distances = {name: float(np.linalg.norm(found - known)) for name, known in gallery.items()}
    nearest = min(distances, key=lambda name: distances[name])
    opened, own = opening(frames[::_EVERY]), float(opening(crop[None])[0])
    moves, shut = float(opened.std()), float(np.quantile(opened, 0.1))
    return Pair(photo.name, voice.stem, moves, own, shut, float(shift), distances[photo.name], nearest)


def known_faces(portraits: list[Path]) -> dict[str, Frames]:
    """Descriptors of all portraits with a face; those without are named and left out."""
    gallery = {}
    for path in portraits:
        try:
            gallery[path.name] = embeddings(still(path)[None])[0]
        except StillspeakError as error:
            print(f"  {path.name}: {error}", flush=True)
    return gallery


def table(pairs: list[Pair], failed: int) -> str:
    """The figures of all pairs in Markdown."""
    own = np.mean([pair.nearest == pair.photo for pair in pairs])
    still_mouths = sum(pair.moves_px < STANDS_PX for pair in pairs)
    shifts = np.array([pair.colour_shift for pair in pairs])
    moves = np.array([pair.moves_px for pair in pairs])
    smiles = [pair for pair in pairs if pair.photo_px > SMILE_PX]
    before, after = (
        float(np.mean([getattr(pair, name) for pair in smiles] or [0])) for name in ("photo_px", "shut_px")
    )
    rows = [
        ("pairs", f"{len(pairs)}"),
        ("failed", f"{failed}"),
        (f"mouths that stand still (below {STANDS_PX} px)", f"{still_mouths}"),
        ("opening's standard deviation, px: mean (least)", f"{moves.mean():.2f} ({moves.min():.2f})"),
        (
            f"{len(smiles)} pairs with an open smile: opening in the photo, and when shut, px",
            f"{before:.1f}, {after:.1f}",
        ),
        ("nearest of all portraits is the photo's own", f"{own:.1%}"),
        ("descriptor distance to the photo: mean", f"{np.mean([pair.distance for pair in pairs]):.3f}"),
        ("upper half's colour shift of 255: mean (worst)", f"{shifts.mean():.2f} ({shifts.max():.2f})"),
    ]
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def never_trained_on(photos: list[Path], prepared: Path | None) -> list[Path]:
    """The photos of people of whom a prepared folder holds no training clip; without one, those that are always kept back."""
    if prepared is None:
        return [path for path in photos if kept_back(path.name)]
    trained = {record.speaker for record in read_manifest(prepared) if record.split == "train"}
    return [path for path in photos if path.stem not in trained]


def judge_crops(
    animator: Animator, portraits: list[Path], photos: int, sounds: dict[Path, Sound]
) -> tuple[str, Frames]:
    """The table of ``Pair`` figures, and a sheet of aligned crops."""
    gallery = known_faces(portraits)
    pairs: list[Pair] = []
    rows: list[Frames] = []
    failed = 0
    chosen = spread([path for path in never_trained_on(portraits, None) if path.name in gallery], photos)
    for number, photo in enumerate(chosen):
        crop = still(photo)
        for place, (voice, sound) in enumerate(sounds.items()):
            try:
                frames = np.stack(list(animator.frames(photo, sound, crop=True)))
            except StillspeakError as error:
                failed += 1
                print(f"  {photo.name} x {voice.name}: {error}", flush=True)
                continue
            pairs.append(judge(photo, crop, voice, frames, gallery))
            if place == number % len(sounds) and len(rows) < _ROWS:
                shown = np.linspace(8, min(len(frames), 100) - 5, _COLUMNS).astype(int)
                rows.append(np.hstack([crop, *frames[shown]]))
    return table(pairs, failed), np.vstack(rows)


def judge_mouths(
    animator: Animator, task: Path, portraits: list[Path], photos: list[Path], sounds: dict[Path, Sound]
) -> tuple[str, Frames]:
    """The table of ``mouths.py``, and a sheet of the widest mouths, 400 pixels a face."""
    import mouths

    tracker = mouths.Tracker(task)
    real = [one.look for one in mouths.find_people(portraits, tracker) if one.smiles]
    spoken, silent, rows = [], [], []
    nothing = Sound(np.zeros(_SILENT_SECONDS * animator.rate_hz, np.float32), animator.rate_hz)
    for number, person in enumerate(mouths.find_people(photos, tracker)):
        try:
            silent.append(mouths.speak(animator, person, nothing, tracker)[0])
        except StillspeakError as error:
            print(f"  {person.path.name}: {error}", flush=True)
            continue
        for place, sound in enumerate(sounds.values()):
            said, widest = mouths.speak(animator, person, sound, tracker)
            spoken.append(said)
            if place == number % len(sounds):
                rows.append(np.hstack([mouths.tile(picture, person) for picture in [person.photo, *widest]]))
    figures = mouths.table(spoken, silent, real)
    return f"{len(real)} real open mouths, {len(sounds)} sounds\n\n{figures}", np.vstack(rows)


def real_reach(task: Path, videos: list[Path]) -> str:
    """How far real speakers open their mouths and how far that spreads: means over speakers of means over their videos."""
    import mouths

    tracker = mouths.Tracker(task)
    speakers: dict[Path, list[Frames]] = {}
    for video in videos:
        openings = np.array([look.opening for look in mouths.watch(video, tracker)])
        speakers.setdefault(video.parent, []).append(np.array([np.quantile(openings, 0.95), openings.std()]))
    far, wide = np.mean([np.mean(found, axis=0) for found in speakers.values()], axis=0)
    return f"95th percentile {far:.3f}, spread {wide:.3f}; {len(speakers)} speakers"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--voices", type=int, default=5)
    parser.add_argument("--model", default="default")
    parser.add_argument("--landmarker", type=Path, metavar="TASK", help="judge mouths in whole pictures by this model")
    parser.add_argument(
        "--prepared", type=Path, help="with --landmarker: a prepared folder, whose training people are left out"
    )
    parser.add_argument(
        "--real", type=Path, nargs="+", help="with --landmarker: videos of real speakers, a folder for each"
    )
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    animator = stillspeak.load(arguments.model)
    portraits = find_photos(arguments.portraits)
    voices = spread(sorted(p for p in arguments.speech.iterdir() if p.suffix in _SOUNDS), arguments.voices)
    sounds = {voice: read_audio(voice) for voice in voices}
    if arguments.landmarker:
        photos = spread(never_trained_on(portraits, arguments.prepared), arguments.photos)
        figures, sheet = judge_mouths(animator, arguments.landmarker, portraits, photos, sounds)
    else:
        figures, sheet = judge_crops(animator, portraits, arguments.photos, sounds)
    print(figures)
    if arguments.landmarker and arguments.real:
        print(f"\nopening of real speakers | {real_reach(arguments.landmarker, arguments.real)}")
    if arguments.sheet:
        arguments.sheet.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(arguments.sheet), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
