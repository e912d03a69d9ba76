"""Draws figures 4 to 8 of the paper with any model and any prepared clips; it finds the moments that they show by itself.

Each figure is a PNG, which says that it is synthetic, and a PDF; ``captions.md`` says what it shows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stillspeak.animate import Animator, load
from stillspeak.data.landmarks import crop_landmarks, eye_aspect_ratio
from stillspeak.data.manifest import choose_split, evenly, read_manifest
from stillspeak.errors import DataError, OutputError
from stillspeak.evaluation.blinks import DEPTH
from stillspeak.evaluation.evaluate import FPS
from stillspeak.evaluation.mouth import opening, silent_frames
from stillspeak.experiments.drawing import Drawing, write_drawing
from stillspeak.experiments.moments import (
    STRIP,
    Clip,
    Moment,
    around,
    brow_height,
    further,
    of_several_speakers,
    two_words,
)
from stillspeak.runtime.scene import still

Frames = NDArray[np.uint8]
_COLUMNS = 8
_FACES = 3
_SEEDS = 4  # the deepest blink and frown are looked for among so many seeds of noise


@dataclass(frozen=True)
class Models:
    """Holds the models that are compared: ours, and the rows of Tables 2 and 3 that figures 4 and 8 need."""

    full: Animator
    l1: Animator | None = None
    static: Animator | None = None


def make_figures(
    data: Path,
    destination: Path,
    *,
    model: str | Path = "default",
    l1: str | Path | None = None,
    static: str | Path | None = None,
    split: str | None = None,
    speakers: list[str] | None = None,
    clips: int = 8,
    faces: Sequence[str | Path] = (),
    seed: int = 0,
) -> dict[str, str]:
    """Writes ``figure4`` to ``figure8`` as PNG and PDF, and ``captions.md``; returns what each shows, or why it was not made.

    Args:
        data: a prepared folder; figure 5 needs clips with word times.
        destination: the folder for the figures; it is made if it does not exist.
        model: a shipped model's name or an exported folder.
        l1: the model of Table 2's first row, for figure 4.
        static: the model of Table 3's baseline, for figure 8.
        split, speakers: the arguments of ``evaluate``.
        clips: how many clips, spread evenly over the list, are searched for the moments.
        faces: photos for figure 6; by default other speakers' clips.
        seed: the seed of the noise.

    Raises:
        DataError, ModelError, MediaError, FaceError, OutputError: if the clips, a model, a photo or the folder cannot be used.
    """
    if clips < 1 or seed < 0:
        raise DataError(f"--clips must be at least 1 and --seed at least 0, not {clips} and {seed}.")
    models = Models(load(model), load(l1) if l1 else None, load(static) if static else None)
    split = choose_split(data, split, speakers)
    every = [Clip(data, record) for record in read_manifest(data, split, speakers)]
    drawings = _drawings(models, every, evenly(every, clips), _other_faces(data, every, faces), seed)
    return _write(destination, drawings)


def _drawings(
    models: Models, every: list[Clip], some: list[Clip], others: list[tuple[str, Frames]], seed: int
) -> dict[str, Callable[[], Drawing | str]]:
    """Returns a function for each figure, which makes it; figures 7 and 8 take their moments from ``some`` clips."""
    return {
        "figure4": lambda: figure4(models, every, seed),
        "figure5": lambda: figure5(models, every, seed),
        "figure6": lambda: figure6(models, every[0], others, seed),
        "figure7": lambda: figure7(models, some, seed),
        "figure8": lambda: figure8(models, some, seed),
    }


def _write(destination: Path, drawings: Mapping[str, Callable[[], Drawing | str]]) -> dict[str, str]:
    """Makes the figures and writes them with ``captions.md``; returns the captions. Raises OutputError if it cannot."""
    said = {}
    try:
        destination.mkdir(parents=True, exist_ok=True)
        for name, make in drawings.items():
            drawing = make()
            said[name] = drawing if isinstance(drawing, str) else drawing.caption
            if isinstance(drawing, Drawing):
                write_drawing(destination / name, drawing)
        lines = [f"**{name.replace('figure', 'Figure ')}.** {text}\n" for name, text in said.items()]
        (destination / "captions.md").write_text("\n".join(lines), "utf-8")
    except OSError as error:
        raise OutputError(f"{destination} cannot be written: {error.strerror}.") from error
    return said


def figure4(models: Models, clips: Sequence[Clip], seed: int) -> Drawing | str:
    """Shows sharpness: the frame of each clip whose real mouth is widest open, with L1 alone and with adversaries."""
    if models.l1 is None:
        return "Not made: it needs a model trained with L1 alone (--l1)."
    chosen = of_several_speakers(clips, _FACES)
    rows: dict[str, list[Frames]] = {"real": [], "L1": [], "ours": []}
    for clip in chosen:
        made = {"real": clip.real, "L1": _made(models.l1, clip, seed), "ours": _made(models.full, clip, seed)}
        at = int(clip.opening[: min(map(len, made.values()))].argmax())
        for name, frames in made.items():
            rows[name] += [frames[at], _mouth(frames[at])]
    titles = [title for clip in chosen for title in (clip.name, "")]
    caption = "The frame of each clip in which the real mouth is widest open, and the mouth enlarged: real, a model "
    return Drawing([*rows.items()], titles, caption + "trained with an L1 loss on the whole face alone, and ours.")


def figure5(models: Models, clips: Sequence[Clip], seed: int) -> Drawing | str:
    """Shows the frames of two words, real and generated."""
    found = two_words(clips)
    if not found:
        return "Not made: no clip says when its words are spoken."
    rows: list[tuple[str, list[Frames]]] = []
    for clip, word in found:
        made = _made(models.full, clip, seed)
        length = min(len(made), len(clip.real))
        first, last = max(0, int(word.start * FPS) - 1), min(length - 1, int(np.ceil(word.end * FPS)) + 1)
        at = np.linspace(first, last, _COLUMNS).round().astype(int)
        rows += [(f"“{word.word}”, real", [*clip.real[at]]), ("ours", [*made[at]])]
    said = " and ".join(f"“{word.word}” of “{clip.record.text}” ({clip.name})" for clip, word in found)
    caption = f"From one frame before a word to one after it, evenly: {said}. The alignment says when words are spoken."
    return Drawing(rows, [""] * _COLUMNS, caption)


def figure6(models: Models, clip: Clip, others: Sequence[tuple[str, Frames]], seed: int) -> Drawing | str:
    """Shows several faces that say one sound, beside the real video."""
    if not others:
        return "Not made: there is no other face; give photos with --faces."
    made = {name: models.full.animate_aligned(face, clip.sound, seed=seed) for name, face in others}
    length = min(len(clip.real), *map(len, made.values()))
    times = [(word.start, word.end) for word in clip.record.words if word.word != "sil"]
    first, last = (times[0][0] * FPS, times[-1][1] * FPS) if times else (0, length - 1)
    at = np.linspace(first, min(last, length - 1), _COLUMNS).round().astype(int)
    rows = [("real", [*clip.real[at]]), *((name, [*frames[at]]) for name, frames in made.items())]
    said = f"“{clip.record.text}” ({clip.name})" if clip.record.text else clip.name
    return Drawing(
        rows, [f"{k / FPS:.2f} s" for k in at], f"The sound of {said} on other faces, beside the real speaker."
    )


def figure7(models: Models, clips: Sequence[Clip], seed: int) -> Drawing | str:
    """Shows a frown and a blink, the deepest that are found in generated videos."""
    deepest: dict[str, Moment] = {}
    for clip, number in ((clip, number) for clip in clips for number in range(seed, seed + _SEEDS)):
        made = _made(models.full, clip, number)
        points = crop_landmarks(made)
        for name, curve in (("frown", brow_height(points)), ("blink", eye_aspect_ratio(points))):
            closing = 1 - curve / max(float(np.median(curve)), 1e-6)
            at = int(closing.argmax())
            if name not in deepest or closing[at] > deepest[name].by:
                rows = [(name, around(made, at))]
                deepest[name] = Moment(float(closing[at]), rows, f"{clip.name}, seed {number}")
    frown, blink = deepest["frown"], deepest["blink"]
    caption = (
        f"Every second frame around the moment at which brows come closest to the eyes, by {frown.by:.0%} of their usual "
        f"distance ({frown.where}), and at which eyes are most closed, by {blink.by:.0%} ({blink.where}), in "
        f"{len(clips)} clips of {_SEEDS} seeds."
    )
    if blink.by < DEPTH:
        caption += " That is no blink: this model does not close the eyes."
    return Drawing(frown.rows + blink.rows, [""] * STRIP, caption)


def figure8(models: Models, clips: Sequence[Clip], seed: int) -> Drawing | str:
    """Shows the faults of the static baseline: a mouth that opens in silence, and one that jumps."""
    if models.static is None:
        return "Not made: it needs a model of the static baseline (--static)."
    opens: Moment | None = None
    jumps: Moment | None = None
    for clip in clips:
        made = {"static": _made(models.static, clip, seed), "ours": _made(models.full, clip, seed), "real": clip.real}
        length = min(map(len, made.values()))
        curves = {name: opening(frames[:length]) for name, frames in made.items()}
        silent = silent_frames(clip.sound.samples, clip.sound.rate_hz, FPS, length)
        wide = np.where(silent, curves["static"] - curves["real"], -np.inf)
        opens = further(opens, wide, made, clip)
        steps = [np.abs(np.diff(curves[name], prepend=curves[name][:1])) for name in ("static", "real")]
        jumps = further(jumps, steps[0] - steps[1], made, clip)
    assert jumps is not None
    parts = [part for part in (opens, jumps) if part is not None]
    said = (
        [f"the baseline opens the mouth in silence, {opens.by:.1f} px wider than real ({opens.where})"] if opens else []
    )
    said.append(
        f"its mouth moves from one frame to the next by {jumps.by:.1f} px more than the real one ({jumps.where})"
    )
    caption = f"Consecutive frames where {'; and where '.join(said)}: the furthest of {len(clips)} clips."
    return Drawing([row for part in parts for row in part.rows], [""] * STRIP, caption)


def _made(model: Animator, clip: Clip, seed: int) -> Frames:
    return model.animate_aligned(clip.real[0], clip.sound, seed=seed)


def _mouth(frame: Frames) -> Frames:
    """Returns the mouth of an aligned face, which is drawn as large as a whole face."""
    return frame[72:120, 30:66]


def _other_faces(data: Path, clips: Sequence[Clip], photos: Sequence[str | Path]) -> list[tuple[str, Frames]]:
    """Returns names and aligned faces for figure 6."""
    if photos:
        return [(f"{number}. {Path(photo).stem}", still(photo)) for number, photo in enumerate(photos, 1)]
    speaker, elsewhere = clips[0].record.speaker, (Clip(data, record) for record in read_manifest(data))
    first: dict[str, Clip] = {}
    for clip in [*clips, *_untrained_first(elsewhere)]:
        first.setdefault(clip.record.speaker, clip)
    return [(name, clip.real[0]) for name, clip in first.items() if name != speaker][: _FACES - 1]


def _untrained_first(clips: Iterator[Clip]) -> list[Clip]:
    return sorted(clips, key=lambda clip: clip.record.split == "train")
