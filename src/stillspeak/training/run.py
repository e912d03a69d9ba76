"""A run folder: resolved config, metrics, samples, and one checkpoint that is always whole.

``config.toml``, ``metrics.jsonl``, ``samples/``, ``checkpoint.safetensors`` (weights, averages, optimisers, progress). No
file here executes code when loaded.
"""

import contextlib
import json
import math
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import reduce
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stillspeak.config import Config, ContextConfig, JudgeConfig
from stillspeak.data.mouth_code import LIPS_AND_CHIN
from stillspeak.errors import RunError
from stillspeak.training.runs import CONFIG, METRICS, flat
from stillspeak.whole import whole

_NETWORK = "network"  # the section that a judge's config has and a generator's has not
_MOST_LAYERS = 4  # each halves the mouth's 48 pixels
CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"  # the generator of the best epoch, where validation decides when to stop


def config_to_dict(config: Config | JudgeConfig) -> dict[str, Any]:
    """A config as plain tables; a discriminator that a preset does not have is left out."""
    return {key: value for key, value in asdict(config).items() if value is not None}


def config_from_dict(table: dict[str, Any]) -> Config:
    """The inverse of ``config_to_dict``. Raises RunError if a value is unknown or of the wrong type."""
    try:
        return checked(
            TypeAdapter(Config).validate_python({"frame": None, "sequence": None, "sync": None, "mouth": None, **table})
        )
    except ValidationError as error:
        raise RunError(f"The configuration is not valid: {error.errors()[0]['msg']}.") from error


def checked(config: Config) -> Config:
    """The config, with the discriminators hearing what the generator hears.

    Raises:
        RunError: if the sound rate is no whole number of kilohertz: figure 10's strides are milliseconds; if the frame rate is
            not that of prepared clips, or a count is too small.
    """
    context = config.generator.context
    if context.rate_hz <= 0 or context.rate_hz % 1000:
        raise RunError(f"generator.context.rate-hz must be a multiple of 1000, not {context.rate_hz}.")
    if context.fps != _FPS:
        raise RunError(f"generator.context.fps must be {_FPS}, the rate of prepared clips, not {context.fps}.")
    if context.window_seconds < 1 / context.fps:
        raise RunError(f"generator.context.window-seconds must be a frame's at least, not {context.window_seconds:g}.")
    _require_numbers(config)
    for name in ("kernel_seconds", "stride_seconds"):
        if round(getattr(context, name) * context.rate_hz) < 1:
            raise RunError(
                f"generator.context.{name.replace('_', '-')} must be a sample's at least, not {getattr(context, name)}."
            )
    for name, least in _LEAST.items():
        value = reduce(lambda table, key: table and getattr(table, key), name.split("."), config)
        if value is not None and value < least:
            raise RunError(f"{name.replace('_', '-')} must be at least {least}, not {value}.")
    if config.train.keep_context and config.train.keep_picture:
        raise RunError("train.keep-context and train.keep-picture together leave nothing to learn.")
    most = min(config.generator.context.size, 2 * len(LIPS_AND_CHIN))
    if config.warm.code > most:
        raise RunError(f"warm.code must be at most {most}, not {config.warm.code}.")
    for name, channels, layers in (
        ("generator.identity", config.generator.identity.channels, _HALVINGS),
        ("generator.context", context.channels, 0),
        ("frame", config.frame and config.frame.channels, _HALVINGS),
        ("sequence", config.sequence and config.sequence.channels, _HALVINGS),
    ):
        if channels is not None and (min(channels, default=0) < 1 or len(channels) != (layers or len(channels))):
            many = f"{layers} numbers of" if layers else "numbers of"
            raise RunError(f"{name}.channels must be {many} at least 1, not {' '.join(map(str, channels)) or 'none'}.")
    heard = replace(context, recurrent=True)
    sequence = config.sequence and replace(config.sequence, context=heard)
    return replace(config, sequence=sequence, sync=config.sync and replace(config.sync, context=heard))


def _require_numbers(config: Config | JudgeConfig) -> None:
    """Raises RunError if a setting is not finite, or a learning rate below 0."""
    for name, value in flat(asdict(config)).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise RunError(f"{name.replace('_', '-')} must be a number, not {value}.")
        if name.endswith("learning_rate") and value < 0:
            raise RunError(f"{name.replace('_', '-')} must be at least 0, not {value}.")


def checked_judge(config: JudgeConfig) -> JudgeConfig:
    """The config. Raises RunError if its numbers cannot be trained with."""
    _require_numbers(config)
    if config.train.seed < 0:
        raise RunError(f"train.seed must be at least 0, not {config.train.seed}.")
    train, layers = config.train, len(config.network.channels)
    counts = (train.clips, train.log_every, train.check_every, *config.network.channels)
    if min(counts) < 1 or train.steps < 0 or not 1 <= layers <= _MOST_LAYERS:
        raise RunError(f"A judge needs counts of at least 1 and 1 to {_MOST_LAYERS} layers; {config.name}'s are not.")
    return config


# What a number may be at least; of an adversary only if the preset has it.
_LEAST = {
    "generator.context.bands": 0, "generator.context.features": 1, "generator.context.size": 1, "generator.context.layers": 1,
    "generator.noise.size": 1, "generator.identity.size": 1,
    "frame.frames": 1, "sync.frames": 1, "sync.snippets": 1,
    "warm.code": 1, "warm.sound_steps": 0, "warm.sound_clips": 1,
    "warm.picture_steps": 0, "warm.picture_clips": 1, "warm.picture_frames": 1,
    "train.steps": 0, "train.clips": 1, "train.accumulate": 1, "train.frames": 1,
    "train.seed": 0, "train.hours": 0, "train.threads": 0, "train.log_every": 1, "train.sample_every": 0,
}  # fmt: skip
_HALVINGS = 5  # of a crop's sides, down to 4 x 3
_FPS = ContextConfig().fps


class RunFolder:
    """Reads and writes the files of a run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return (self.path / CONFIG).is_file()

    @property
    def began(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return (self.path / CHECKPOINT).is_file()

    @contextlib.contextmanager
    def created(self, config: Config | JudgeConfig, data: Path) -> Iterator[None]:
        """Makes the folder and writes the resolved config; if the body fails the folder is free for another try.

        Raises:
            RunError: if a run is there already or the folder cannot be made.
        """
        self.create(config, data)
        try:
            yield
        except BaseException:
            (self.path / CONFIG).unlink()
            raise

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from training here as long as the body runs.

        Raises:
            RunError: if one does.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{self.path} is being trained by another process.") from None
        except (OSError, NotImplementedError):  # a file system without locks, or a full one
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def create(self, config: Config | JudgeConfig, data: Path) -> None:
        """As ``created``, for good. What was ended before its first checkpoint is started anew."""
        if self.exists and self.began:
            raise RunError(f"{self.path} holds a run already; go on with: stillspeak resume {self.path}")
        try:
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
            table = {"prepared": str(data.resolve()), **config_to_dict(config)}
            (self.path / CONFIG).write_text(tomli_w.dumps(table))
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}.") from error

    def config(self) -> tuple[Config, Path]:
        """The resolved config and the folder of its data.

        Raises:
            RunError: if there is no run here.
        """
        table, data = self._table()
        if _NETWORK in table:
            raise RunError(f"{self.path} holds a run of the judge {table['name']} and not of a generator.")
        return config_from_dict(table), data

    def judge_config(self) -> tuple[JudgeConfig, Path]:
        """As ``config``, of a judge's run."""
        table, data = self._table()
        try:
            return checked_judge(TypeAdapter(JudgeConfig).validate_python(table)), data
        except ValidationError as error:
            raise RunError(f"The configuration is not valid: {error.errors()[0]['msg']}.") from error

    @property
    def is_judge(self) -> bool:
        """Whether the run is one of a judge. Raises RunError if there is no run here."""
        return _NETWORK in self._table()[0]

    def _table(self) -> tuple[dict[str, Any], Path]:
        if not self.exists:
            raise RunError(f"{self.path} holds no training run ({CONFIG} is missing).")
        try:
            table = tomllib.loads((self.path / CONFIG).read_text())
            data = Path(table.pop("prepared"))
            return {"name": table["name"], **table}, data
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{self.path / CONFIG} is damaged: {error}.") from error

    def log(self, scalars: dict[str, Any]) -> None:
        """Appends one line to ``metrics.jsonl``. Raises RunError if it cannot be written."""
        try:
            with (self.path / METRICS).open("a") as file:
                file.write(json.dumps(scalars) + "\n")
        except OSError as error:
            raise RunError(f"{self.path / METRICS} could not be written: {error.strerror}.") from error

    def save(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Writes the checkpoint beside the old one and swaps them.

        Raises:
            RunError: if it cannot be written; the old one is then still there.
        """
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            with whole(self.path / CHECKPOINT) as part:
                save_file(kept, part, metadata)
        except (OSError, SafetensorError) as error:
            raise RunError(f"The checkpoint could not be written ({error}); the one before it is kept.") from error

    def load(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """The checkpoint's tensors and metadata, or None if none was saved yet."""
        path = self.path / CHECKPOINT
        return load_tensors(path) if path.is_file() else None


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file. Raises RunError if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise RunError(f"{path} is damaged: {error}.") from error
