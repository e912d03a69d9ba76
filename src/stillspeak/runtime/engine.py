"""Runs a shipped model in ONNX Runtime: one graph for the still, and one for the frames, which takes and returns its state.

This needs no PyTorch. A model is a folder with ``identity.onnx``, ``step.onnx`` and ``model.json``, which ``training/export.py``
writes.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib.resources import files
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.cores import usable_cores
from stillspeak.errors import MediaError, ModelError
from stillspeak.media.windows import Windows
from stillspeak.runtime.graph import Graph

FORMAT = 3  # the version of model.json and of the graphs' inputs and outputs
IDENTITY, STEP, DESCRIPTION = "identity.onnx", "step.onnx", "model.json"
MOUTH_GAIN = "mouth_gain"  # the step graph has this input, float32 (1,), if z_c begins with a mouth code
MOST_GAIN = 2.0  # ours: the mouth opens at most twice as far as the model draws it
_MOST_THREADS = 4  # ours: a call of about a second has at most so many parts; one thread draws one frame
_PART_FRAMES = 6  # ours: the threads share a call of at least twice as many frames; smaller parts are not worth it
Float = NDArray[np.float32]


@dataclass(frozen=True)
class Description:
    """Holds the content of ``model.json``: what the graphs expect.

    Attributes:
        rate_hz, fps, window_seconds: the sample rate, the windows in a second, and the length of a sound window.
        height_px, width_px: the size of the aligned crop.
        context_layers, context_size, noise_size: the layers and sizes of the recurrent state.
        noise_variance: the variance of the Gaussian noise that moves eyes and brows.
    """

    name: str
    rate_hz: int
    fps: int
    window_seconds: float
    height_px: int
    width_px: int
    context_layers: int
    context_size: int
    noise_size: int
    noise_variance: float
    format: int = FORMAT


@dataclass(frozen=True)
class Memory:
    """Holds the hidden states of the two GRUs, ``(layers, 1, size)`` and ``(1, 1, size)``. It never changes; copy it freely."""

    context: Float
    noise: Float


class Layers(NamedTuple):
    """Holds frames, and how they were made from the still, so that ``compose.py`` can do the same to the photo.

    Attributes:
        frames: uint8 ``(n, 128, 96, 3)``.
        motion: float32 ``(n, 128, 96, 2)``: pixel p shows the still at p + motion(p), x and y in pixels.
        mask: float32 ``(n, 128, 96)``: how much of a pixel is painted, 0 to 1. A decoder that only paints gives 1, and no motion.
        mouth_paint: uint8 ``(n, 144, 144, 3)``: the paint of the mouth's window (media/mouths.py) at three times the resolution;
            None if the model does not draw it.
        mouth_mask: float32 ``(n, 144, 144)``: how much of a pixel of the mouth's window is painted, 0 to 1.
    """

    frames: NDArray[np.uint8]
    motion: Float
    mask: Float
    mouth_paint: NDArray[np.uint8] | None = None
    mouth_mask: Float | None = None

    def part(self, index: int) -> "Layers":
        """Returns one frame."""
        return Layers(*(None if field is None else field[index : index + 1] for field in self))  # type: ignore[arg-type]

    @classmethod
    def painted(cls, frames: NDArray[np.uint8]) -> "Layers":
        """Returns the layers of frames in which every pixel is painted."""
        return cls(frames, np.zeros((*frames.shape[:3], 2), np.float32), np.ones(frames.shape[:3], np.float32))

    @classmethod
    def joined(cls, pieces: "Sequence[Layers]") -> "Layers":
        """Joins pieces, one after another in time."""
        if len(pieces) == 1:
            return pieces[0]
        frames, motion, mask, *mouth = (
            None if parts[0] is None else np.concatenate(parts) for parts in zip(*pieces, strict=True)
        )
        assert frames is not None
        assert motion is not None
        assert mask is not None
        return cls(frames, motion, mask, *mouth)


class Engine:
    """Runs a model.

    Args:
        folder: the folder of the exported model.
        threads: how many threads may draw; 0 means one for each core that may be used. It starts no more than help.

    Raises:
        ModelError: if the folder is not a model of this format.
    """

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.description = read_description(folder)
        self.threads = min(threads or usable_cores(), _MOST_THREADS)
        if cv2.getNumThreads() > usable_cores():  # OpenCV counts the cores of the host
            cv2.setNumThreads(usable_cores())
        self._pools: dict[int, ThreadPoolExecutor] = {}
        self._identity, self._step = Graph(folder / IDENTITY), Graph(folder / STEP)
        self._step_wants = set(self._step.inputs)  # a decoder that only paints does not take the still
        made = self._step.outputs  # a decoder that only paints returns nothing but frames
        self._layers = tuple(name for name in Layers._fields if name in made)

    @property
    def _pool(self) -> ThreadPoolExecutor:
        """Returns the threads of this process, for a forked process has none of the threads of its parent."""
        process = os.getpid()
        if process not in self._pools:
            self._pools.setdefault(process, ThreadPoolExecutor(self.threads))
        return self._pools[process]

    @property
    def windows(self) -> Windows:
        """Returns the ``Windows`` that cut the sound for this model."""
        return Windows(self.description.rate_hz, Fraction(self.description.fps), self.description.window_seconds)

    def begin(self) -> Memory:
        """Returns the memory before the first frame."""
        d = self.description
        return Memory(
            np.zeros((d.context_layers, 1, d.context_size), np.float32), np.zeros((1, 1, d.noise_size), np.float32)
        )

    def identify(self, still: NDArray[np.uint8]) -> dict[str, Float]:
        """Encodes a still, ``(128, 96, 3)`` uint8, once; returns everything that ``step`` needs of it."""
        tensor = (still.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]
        values = self._identity.run(None, {"still": tensor})
        return {"still": tensor, **dict(zip(self._identity.outputs, values, strict=True))}

    def noise(self, seed: int, first: int, count: int) -> Float:
        """Returns the noise of ``count`` frames from ``first`` on, ``(count, size)``; it depends on seed and frame alone."""
        scale = self.description.noise_variance**0.5
        rows = [
            np.random.default_rng([seed, t]).normal(0, scale, self.description.noise_size)
            for t in range(first, first + count)
        ]
        return np.array(rows, np.float32).reshape(count, self.description.noise_size)

    def require_mouth(self, mouth: float) -> None:
        """Raises MediaError as ``require_gain`` does, and ModelError if ``mouth`` is not 1 but the model has no such input."""
        require_gain(mouth)
        if mouth != 1 and MOUTH_GAIN not in self._step_wants:
            said = f"The model {self.description.name} opens its mouth only as far as speech says"
            raise ModelError(
                f"{said}; leave the mouth at 1, or export the model again if it was trained with a warm start."
            )

    def step(
        self, identity: dict[str, Float], windows: Float, noise: Float, memory: Memory, mouth: float = 1.0
    ) -> tuple[Layers, Memory]:
        """Draws the next frames. If they are many, each thread draws a part of them; before, it listens to all windows up to
        its part, which is cheap.

        Args:
            identity: from ``identify``.
            windows: ``(n, samples)``, n at least 1.
            noise: ``(n, noise size)``.
            memory: from ``begin`` or the step before.
            mouth: how far the mouth opens, from 0 to 2; 1 is as far as the model draws it.

        Returns:
            The layers of n frames, and the memory after them.

        Raises:
            MediaError, ModelError: as ``require_mouth`` does.
        """
        self.require_mouth(mouth)
        fixed = {**identity, MOUTH_GAIN: np.array([mouth], np.float32)}
        made, memory = self._draw(self._layers, fixed, windows, noise, memory)
        return Layers(*made) if len(made) > 1 else Layers.painted(made[0]), memory

    def listen(self, identity: dict[str, Float], windows: Float, noise: Float, memory: Memory) -> Memory:
        """Returns the memory after some windows, ``(n, samples)``, and draws nothing. Any ``identity`` will do."""
        inputs = {**identity, MOUTH_GAIN: np.ones(1, np.float32), "windows": windows, "noise": noise}
        inputs |= {"context_state": memory.context, "noise_state": memory.noise, "draw": np.zeros(0, np.int64)}
        wanted = {name: value for name, value in inputs.items() if name in self._step_wants}
        return Memory(*self._step.run(["context_out", "noise_out"], wanted))

    def _draw(
        self, names: tuple[str, ...], fixed: dict[str, Float], windows: Float, noise: Float, memory: Memory
    ) -> tuple[list[NDArray], Memory]:
        """Returns those outputs of the step graph that have a row for each frame, and the memory after them.

        ``fixed`` holds what is the same for all frames; the graph gets those of its values that it has inputs for.
        """
        parts = max(1, min(self.threads, len(windows) // _PART_FRAMES))

        def draw(index: NDArray[np.int64]) -> list[NDArray]:
            heard = index[-1] + 1
            inputs = {"windows": windows[:heard], "noise": noise[:heard], "draw": index}
            inputs |= {"context_state": memory.context, "noise_state": memory.noise}
            inputs |= {name: value for name, value in fixed.items() if name in self._step_wants}
            return self._step.run([*names, "context_out", "noise_out"], inputs)

        drawn = np.array_split(np.arange(len(windows)), parts)
        results = [draw(drawn[0])] if parts == 1 else list(self._pool.map(draw, drawn))
        rows = zip(*(result[: len(names)] for result in results), strict=True)
        made = [pieces[0] if parts == 1 else np.concatenate(pieces) for pieces in rows]
        return made, Memory(*results[-1][len(names) :])


def require_gain(mouth: float) -> None:
    """Raises MediaError unless ``mouth``, how far a mouth opens, is a number from 0 to 2."""
    if not (isinstance(mouth, Real) and 0 <= mouth <= MOST_GAIN):
        raise MediaError(f"How far the mouth opens must be a number from 0 to {MOST_GAIN:g}, not {mouth}.")


def read_description(folder: Path) -> Description:
    """Reads ``model.json``. Raises ModelError if the folder is no model, is incomplete, or is of another format."""
    try:
        missing = [name for name in (DESCRIPTION, IDENTITY, STEP) if not (folder / name).is_file()]
        if missing:
            said = f"{folder} is not an exported model; missing: {', '.join(missing)}"
            raise ModelError(f"{said}. A run becomes one by: stillspeak export")
        table = json.loads((folder / DESCRIPTION).read_text("utf-8"))
        if table["format"] != FORMAT:
            raise ModelError(
                f"{folder} is of format {table['format']}; this version of stillspeak reads format {FORMAT}."
            )
        description = Description(**{key: table[key] for key in Description.__dataclass_fields__})
        numbers = [value for value in asdict(description).values() if not isinstance(value, str)]
        if len(numbers) != len(Description.__dataclass_fields__) - 1 or min(numbers) <= 0:
            raise ModelError(f"{folder / DESCRIPTION} is damaged: sizes and rates must be numbers above 0.")
        return description
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{folder / DESCRIPTION} is damaged.") from error
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}.") from error


def model_digest(folder: Path) -> str:
    """Returns a digest of the files that decide what a model draws. It skips missing files; loading the model names them."""
    digest = hashlib.sha256()
    for name in (STEP, IDENTITY, DESCRIPTION):
        with contextlib.suppress(OSError):
            digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def find_model(name_or_folder: str | Path) -> Path:
    """Returns the folder of a model.

    Args:
        name_or_folder: the name of a shipped model, or the folder of an exported one.

    Raises:
        ModelError: if there is no such model.
    """
    shipped = Path(str(files("stillspeak"))) / "weights"
    folder = Path(name_or_folder)
    with contextlib.suppress(OSError):  # a folder that may not be read, or an impossible name, counts as missing
        if isinstance(name_or_folder, str) and (shipped / name_or_folder / DESCRIPTION).is_file():
            return shipped / name_or_folder
        if folder.is_dir():
            return folder
    known = sorted(path.parent.name for path in shipped.glob(f"*/{DESCRIPTION}") if (path.parent / STEP).is_file())
    raise ModelError(
        f"There is no model {name_or_folder}: neither shipped ({', '.join(known) or 'none'}) nor a folder."
    )
