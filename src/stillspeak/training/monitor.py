"""Measures the model during training, and draws strips and short videos, from clips that are never trained on.

A strip has a row of real and a row of generated frames. The figures are those of ``evaluate``, but on few clips: they steer the
training, and are no results.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from stillspeak.config import Config
from stillspeak.cores import granted_cores
from stillspeak.data.clips import Clips
from stillspeak.data.expression import EXPRESSION, expression
from stillspeak.data.landmarks import crop_landmarks, eye_aspect_ratio, mouth_opening
from stillspeak.data.mouth_code import MouthCode, Points
from stillspeak.errors import DataError
from stillspeak.evaluation.mouth import match
from stillspeak.evaluation.quality import psnr, ssim
from stillspeak.media.images import write_image
from stillspeak.model.generator import Generator
from stillspeak.talk import Video
from stillspeak.training.board import Board
from stillspeak.training.tensors import images, pixels, sounds
from stillspeak.training.warm_start import CODE_SCALE, EXPRESSION_SCALE, PicturePhase

SPLITS = ("heldout", "validation")
_CLIPS = 4  # so many clips of each split are shown
_STRIP = np.arange(20, 68, 4)


class Shapes(NamedTuple):
    """Holds what a face does: mouth codes ``(time, code)``, and expressions ``(time, 2)`` if the model has them."""

    codes: NDArray[np.float32]
    expressions: NDArray[np.float32] | None


class Monitor:
    """Watches a generator on held-out clips, as far as the prepared folder has any."""

    def __init__(self, config: Config, data: Path, folder: Path, board: Board) -> None:
        self.config, self.folder, self.board = config, folder, board
        self.sets: dict[str, Clips] = {}
        for split in SPLITS:
            try:
                self.sets[split] = Clips(data, split, config.generator.context)
            except DataError:
                continue

    @torch.no_grad()
    def sound_figures(self, generator: Generator, code: MouthCode) -> dict[str, float]:
        """Returns correlation and spread of the opening in z_c over whole splits, before there is any picture."""
        figures = {}
        for split, clips in self.sets.items():
            matches = []
            for index in range(len(clips)):
                context, _ = generator.context(sounds(clips.windows(index))[None], generator.begin(1).context)
                heard = context[0, :, : len(code.basis)].numpy() / CODE_SCALE
                matches.append(match(heard @ code.opening, mouth_opening(clips.points[index])))
            figures[f"{split}_code_correlation"] = float(np.mean([found.correlation for found in matches]))
            figures[f"{split}_code_spread"] = float(np.mean([found.spread for found in matches]))
        return figures

    @torch.no_grad()
    def sample(self, generator: Generator, code: MouthCode, phase: str, step: int) -> dict[str, float]:
        """Writes a strip and videos; returns opening correlation and spread, and L1 of the lower half."""
        figures, rows, name = {}, [], f"{phase}-{step:06}"
        for split, clips in self.sets.items():
            matches, eyes, errors = [], [], []
            for index in range(min(_CLIPS, len(clips))):
                real = clips.frames(index)
                shapes = self._shapes(clips.points[index], code) if phase.startswith(PicturePhase.kind) else None
                made = render(generator, real[0], clips.windows(index), shapes)
                points, wanted = crop_landmarks(made), crop_landmarks(real)
                matches.append(match(mouth_opening(points), mouth_opening(wanted)))
                eyes.append(match(eye_aspect_ratio(points), eye_aspect_ratio(wanted)))
                errors.append(np.abs(made[:, 64:].astype(float) - real[:, 64:]).mean())
                shown = np.minimum(_STRIP, len(real) - 1)
                rows += [np.hstack(list(real[shown])), np.hstack(list(made[shown]))]
                if index == 0:
                    pair, fps = np.concatenate([real, made], axis=2), float(clips.cutter.fps)
                    video = Video(pair, fps, clips.sounds(index)[0], clips.cutter.rate_hz)
                    video.save(self.folder / f"{name}-{split}.mp4")
                    self.board.video(f"{phase}-{split}", video, step)
            figures[f"{split}_opening_correlation"] = float(np.mean([found.correlation for found in matches]))
            figures[f"{split}_opening_spread"] = float(np.mean([found.spread for found in matches]))
            if phase.startswith(PicturePhase.kind) and self.config.labels.expression:
                figures[f"{split}_eyes_correlation"] = float(np.mean([found.correlation for found in eyes]))
                figures[f"{split}_eyes_spread"] = float(np.mean([found.spread for found in eyes]))
            figures[f"{split}_lower_l1"] = float(np.mean(errors))
        if rows:
            strip = np.vstack(rows)
            write_image(self.folder / f"{name}.png", strip)
            self.board.strip(phase, strip, step)
        return figures

    def _shapes(self, points: Points, code: MouthCode) -> Shapes:
        """Returns a clip's mouth codes, and its expressions if z_n has them, with the first frame as the still."""
        expressions = expression(points)
        return Shapes(code.encode(points), expressions - expressions[0] if self.config.labels.expression else None)

    @torch.no_grad()
    def quality(self, generator: Generator) -> dict[str, float]:
        """Returns PSNR and SSIM over all clips of the validation speakers, or held-out clips, for the paper's stopping rule.

        The generator may lie on a GPU. SSIM takes longer than drawing, so several clips are measured at once.
        """
        clips = self.sets.get("validation", self.sets.get("heldout"))
        if clips is None:
            return {}
        at_once, figures = granted_cores(), []
        with ThreadPoolExecutor(at_once) as pool:
            for first in range(0, len(clips), at_once):
                several = range(first, min(first + at_once, len(clips)))
                real = [clips.frames(index) for index in several]
                made = [render(generator, clips.frames(index)[0], clips.windows(index)) for index in several]
                figures += pool.map(lambda one, other: (psnr(one, other), ssim(one, other)), made, real)
        return dict(zip(("psnr", "ssim"), np.mean(figures, axis=0).tolist(), strict=True))


def render(
    generator: Generator,
    still: NDArray[np.uint8],
    windows: NDArray[np.float32],
    shapes: Shapes | None = None,
) -> NDArray[np.uint8]:
    """Draws all frames of a clip without noise; from ``shapes`` instead of the sound during the picture phase."""
    device = next(generator.parameters()).device
    state = generator.begin(1, device)
    noise, _ = generator.noise(torch.zeros(1, len(windows), generator.config.noise_size, device=device), state.noise)
    if shapes is None:
        context, _ = generator.context(sounds(windows)[None].to(device), state.context)
    else:
        context = torch.zeros(1, len(windows), generator.config.context.size, device=device)
        context[0, :, : shapes.codes.shape[1]] = CODE_SCALE * sounds(shapes.codes)
        if shapes.expressions is not None:
            noise[0, :, :EXPRESSION] = EXPRESSION_SCALE * sounds(shapes.expressions)
    return pixels(generator.decode(generator.identify(images(still)[None].to(device)), context, noise))[0]
