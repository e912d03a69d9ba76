"""Measures dubbing: seconds of work for a second of film, stage by stage; and how much of the filmed sentence shows through.

    python benchmarks/dub.py speed FILM SPEECH
    python benchmarks/dub.py leakage SPEECH_FILM ... --filmed FILM ...

``leakage`` dubs each filmed sentence with that of each SPEECH_FILM, and with silence. It prints how the opening of the dubbed
mouth follows the wanted sentence and the filmed one, how the two real films follow each other, and the share of frames whose
mouth is not shut although the sound is silence.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import stillspeak
from stillspeak.animate import Animator
from stillspeak.dub import Dub
from stillspeak.evaluation.mouth import match, opening
from stillspeak.media.audio import Sound
from stillspeak.media.faces import align
from stillspeak.media.film import open_film
from stillspeak.media.track import tracks_of
from stillspeak.runtime.cast import Cast, look_through

NOT_SHUT_PX = 2.0  # of the crop; a shut mouth measures below 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "leakage"))
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--filmed", type=Path, nargs="*", default=[])
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    animator = stillspeak.load(arguments.model)
    if arguments.what == "speed":
        speed(animator, *arguments.files)
    else:
        leakage(animator, arguments.filmed, arguments.files)


def speed(animator: Animator, path: Path, speech: Path) -> None:
    """Prints a table of stages: seconds of the clock and of all cores together, for a second of film."""
    film = open_film(path)
    shown = list(film.shown())
    seconds = len(shown) / float(film.fps)
    print("| stage | clock | processor |\n|---|---|---|")
    timed("decode", seconds, lambda: list(film.shown()))
    timed("follow faces", seconds, lambda: tracks_of((one.picture for one in shown), float(film.fps)))
    cast = timed("look through (decode, follow, find shut mouths)", seconds, lambda: look_through(film))
    timed("draw", seconds, lambda: sum(1 for _ in Dub(animator.engine, cast, speech, extend="end").frames()))
    with tempfile.TemporaryDirectory() as folder:
        dub = Dub(animator.engine, cast, speech, extend="end")
        timed("draw and encode", seconds, lambda: dub.save(Path(folder) / "made.mp4"))


def timed(name: str, seconds: float, work: Callable[[], object]) -> object:
    clock, processor = time.perf_counter(), time.process_time()
    made = work()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    print(f"| {name} | {clock / seconds:.3f} | {processor / seconds:.3f} |", flush=True)
    return made


def leakage(animator: Animator, filmed: list[Path], spoken: list[Path]) -> None:
    """Prints a row for each filmed sentence and each sentence that it is dubbed with."""
    real = {path: look_through(open_film(path)) for path in dict.fromkeys([*filmed, *spoken])}
    opened = {path: opening(crops(cast, [one.picture for one in cast.film.shown()])) for path, cast in real.items()}
    print(
        "| filmed | dubbed with | follows it | follows the filmed one | the real ones | spread |\n|---|---|---|---|---|---|"
    )
    rows = []
    for path in filmed:
        for other in spoken:
            made = opening(dubbed(animator, real[path], other))
            wanted, leaked = match(made, opened[other]), match(made, opened[path], 0).correlation
            rows.append((wanted.correlation, leaked, match(opened[other], opened[path], 0).correlation, wanted.spread))
            print(
                f"| {path.parent.name} | {other.parent.name} | "
                + " | ".join(f"{value:.2f}" for value in rows[-1])
                + " |",
                flush=True,
            )
    print("| mean | | " + " | ".join(f"{value:.2f}" for value in np.mean(rows, axis=0)) + " |\n")
    print("| filmed | not shut in silence | of the real film |\n|---|---|---|")
    for path in filmed:
        length = round(16_000 * (real[path].times[-1] + real[path].interval))
        silent = opening(dubbed(animator, real[path], Sound(np.zeros(length, np.float32), 16_000)))
        shares = (silent > NOT_SHUT_PX).mean(), (opened[path] > NOT_SHUT_PX).mean()
        print(f"| {path.parent.name} | {shares[0]:.2f} | {shares[1]:.2f} |", flush=True)


def dubbed(animator: Animator, cast: Cast, speech: Path | Sound) -> NDArray[np.uint8]:
    return crops(cast, [made.picture for made in Dub(animator.engine, cast, speech, extend="end").frames()])


def crops(cast: Cast, pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Returns the aligned faces of person 1 in pictures of a film without cuts."""
    (one,) = cast.people[0]
    return np.stack([align(picture, to_crop) for picture, to_crop in zip(pictures, one.to_crop, strict=True)])


if __name__ == "__main__":
    main()
