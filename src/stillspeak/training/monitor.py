"""Does it work? Figures, strips and a short video during training, from clips that are never trained on.

Rows of a strip: real, generated. The figures are those of the judge, on few clips: they steer, they do not report.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stillspeak.config import Config
from stillspeak.data.clips import Clips
from stillspeak.data.landmarks import LOWER_INNER, UPPER_INNER, mouth_opening
from stillspeak.data.mouth_code import LIPS_AND_CHIN, MouthCode
from stillspeak.errors import DataError
from stillspeak.evaluation.mouth import match, opening
from stillspeak.media.audio import Sound
from stillspeak.media.video import VideoWriter
from stillspeak.model.generator import Generator
from stillspeak.training.tensors import images, pixels, sounds
from stillspeak.training.warm_start import CODE_SCALE, PicturePhase

SPLITS = ("heldout", "validation")
_CLIPS = 4  # of each split
_STRIP = np.arange(20, 68, 4)


class Monitor:
    """Watches a generator on held-out clips, as far as the prepared folder has any."""

    def __init__(self, config: Config, data: Path, folder: Path) -> None:
        self.folder = folder
        self.sets: dict[str, Clips] = {}
        for split in SPLITS:
            try:
                self.sets[split] = Clips(data, split, config.generator.context)
            except DataError:
                continue

    @torch.no_grad()
    def sound_figures(self, generator: Generator, code: MouthCode) -> dict[str, float]:
        """Correlation and spread of the opening as z_c has it, before any picture: over whole splits."""
        figures = {}
        opening_of_code = _opening_of_code(code)
        for split, clips in self.sets.items():
            matches = []
            for index in range(len(clips)):
                context, _ = generator.context(sounds(clips.windows(index))[None], generator.begin(1).context)
                heard = context[0, :, : len(code.basis)].numpy() / CODE_SCALE
                matches.append(match(heard @ opening_of_code, mouth_opening(clips.points[index])))
            figures[f"{split}_code_correlation"] = float(np.mean([found.correlation for found in matches]))
            figures[f"{split}_code_spread"] = float(np.mean([found.spread for found in matches]))
        return figures

    @torch.no_grad()
    def sample(self, generator: Generator, code: MouthCode, name: str, phase: str) -> dict[str, float]:
        """Writes ``name.png`` and ``name.mp4``; returns opening correlation and spread, and L1 of the lower half."""
        figures, rows = {}, []
        for split, clips in self.sets.items():
            matches, errors = [], []
            for index in range(min(_CLIPS, len(clips))):
                real = clips.frames(index)
                codes = code.encode(clips.points[index]) if phase == PicturePhase.name else None
                made = render(generator, real[0], clips.windows(index), codes)
                matches.append(match(opening(made), opening(real)))
                errors.append(np.abs(made[:, 64:].astype(float) - real[:, 64:]).mean())
                shown = np.minimum(_STRIP, len(real) - 1)
                rows += [np.hstack(list(real[shown])), np.hstack(list(made[shown]))]
                if index == 0:
                    self._video(f"{name}-{split}", real, made, Sound(clips.sounds[index][0], clips.cutter.rate_hz))
            figures[f"{split}_opening_correlation"] = float(np.mean([found.correlation for found in matches]))
            figures[f"{split}_opening_spread"] = float(np.mean([found.spread for found in matches]))
            figures[f"{split}_lower_l1"] = float(np.mean(errors))
        if rows:
            cv2.imwrite(str(self.folder / f"{name}.png"), np.vstack(rows)[:, :, ::-1])
        return figures

    def _video(self, name: str, real: NDArray[np.uint8], made: NDArray[np.uint8], sound: Sound) -> None:
        with VideoWriter(self.folder / f"{name}.mp4", 25, sound) as writer:
            for pair in zip(real, made, strict=True):
                writer.write(np.hstack(pair))


def _opening_of_code(code: MouthCode) -> NDArray[np.float32]:
    """Pixels of inner-lip opening for one unit of each element of the code, ``(code,)``."""
    row = {point: 2 * index + 1 for index, point in enumerate(LIPS_AND_CHIN)}  # of y among the offsets
    lower, upper = ([row[point] for point in points] for points in (LOWER_INNER, UPPER_INNER))
    return (code.basis[:, lower] - code.basis[:, upper]).mean(axis=1) * code.scale


def render(
    generator: Generator,
    still: NDArray[np.uint8],
    windows: NDArray[np.float32],
    codes: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """All frames of a clip without noise; from given mouth codes instead of sound while pictures are warming up."""
    state = generator.begin(1)
    noise, _ = generator.noise(torch.zeros(1, len(windows), generator.config.noise.size), state.noise)
    if codes is None:
        context, _ = generator.context(sounds(windows)[None], state.context)
    else:
        context = torch.zeros(1, len(windows), generator.config.context.size)
        context[0, :, : codes.shape[1]] = CODE_SCALE * sounds(codes)
    return pixels(generator.decode(generator.identify(images(still)[None]), context, noise))[0]
