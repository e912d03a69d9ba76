"""Reads and writes a run folder: the resolved config, metrics, samples, and one checkpoint that is always whole.

``config.toml``, ``metrics.jsonl``, ``samples/``, ``checkpoint.safetensors`` (weights, averages, optimisers, progress). No
file here executes code when loaded.
"""

import contextlib
import json
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from stillspeak.config import DISCRIMINATORS, Config
from stillspeak.errors import RunError
from stillspeak.judge_config import JudgeConfig
from stillspeak.training.checks import checked, checked_judge
from stillspeak.training.former import modernised, require_resumable
from stillspeak.training.runs import CONFIG, METRICS
from stillspeak.whole import whole

_STAGES = "stages"
_NETWORK = "network"  # the section that a judge's config has and a generator's has not
CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"  # the generator of the best epoch, where validation decides when to stop


def config_to_dict(config: Config | JudgeConfig) -> dict[str, Any]:
    """Returns a config as plain tables, without networks that the preset does not have."""
    return _without_none(asdict(config))


def _without_none(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: [*map(_without_none, value)]
        if key == _STAGES
        else _without_none(value)
        if isinstance(value, dict)
        else value
        for key, value in table.items()
        if value is not None
    }


def config_from_dict(table: dict[str, Any]) -> Config:
    """Reads the tables of ``config_to_dict``. Raises RunError if a value is missing, of the wrong type or out of bounds."""
    try:
        return checked(TypeAdapter(Config).validate_python({**dict.fromkeys(DISCRIMINATORS), **modernised(table)}))
    except ValidationError as error:
        raise RunError(_what_is_wrong(error)) from error


def _what_is_wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"The configuration is not valid: {'.'.join(map(str, first['loc']))}: {first['msg'].rstrip('.')}."


class RunFolder:
    """Reads and writes the files of a run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def exists(self) -> bool:
        """Returns whether a run was started here."""
        return (self.path / CONFIG).is_file()

    @property
    def began(self) -> bool:
        """Returns whether there is a checkpoint to go on from."""
        return (self.path / CHECKPOINT).is_file()

    def make(self) -> None:
        """Makes the folder if it does not exist. Raises RunError if it cannot be made."""
        try:
            (self.path / "samples").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}.") from error

    @contextlib.contextmanager
    def created(self, config: Config | JudgeConfig, data: Path) -> Iterator[None]:
        """Writes the resolved config, and removes it if the body fails. Call it while the folder is ``held``.

        Raises:
            RunError: if a run exists already, or the folder cannot be written.
        """
        self.create(config, data)
        try:
            yield
        except BaseException:
            (self.path / CONFIG).unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from training here as long as the body runs.

        Raises:
            RunError: if another process trains here.
        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"{self.path} is being trained by another process.") from None
        except (OSError, NotImplementedError):  # the file system has no locks, or is full
            yield
            return
        try:
            yield
        finally:
            lock.release()

    def create(self, config: Config | JudgeConfig, data: Path) -> None:
        """Writes the resolved config, like ``created``, but keeps it. A run without a checkpoint is started anew."""
        if self.began and not self.exists:
            raise RunError(
                f"{self.path} holds a checkpoint whose {CONFIG} is missing; give this run a folder of its own."
            )
        if self.began:
            raise RunError(f"{self.path} holds a run already; go on with: {self.command('resume')}")
        self.make()
        try:
            table = {"prepared": str(data.resolve()), **config_to_dict(config)}
            with whole(self.path / CONFIG) as part:
                part.write_text(tomli_w.dumps(table), "utf-8", errors="surrogateescape")
        except OSError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}.") from error

    def command(self, verb: str, *rest: str) -> str:
        """Returns the command that does something with this run."""
        return shlex.join(["stillspeak", verb, str(self.path), *rest])

    def config(self) -> tuple[Config, Path]:
        """Reads the resolved config and the folder of its data.

        Raises:
            RunError: if there is no run here.
        """
        table, data = self._table()
        if _NETWORK in table:
            raise RunError(f"{self.path} holds a run of the judge {table['name']} and not of a generator.")
        try:
            require_resumable(table)
            config = config_from_dict(table)
        except RunError as error:
            raise RunError(f"{self.path / CONFIG}: {error}") from error
        known = {*config_to_dict(config), *DISCRIMINATORS}
        if unknown := [name for name in modernised(table) if name not in known]:
            raise RunError(f"{self.path / CONFIG}: there is no section {unknown[0]}.")
        return config, data

    def judge_config(self) -> tuple[JudgeConfig, Path]:
        """Reads the config of a judge's run, as ``config`` does for a generator's."""
        table, data = self._table()
        try:
            return checked_judge(TypeAdapter(JudgeConfig).validate_python(table)), data
        except ValidationError as error:
            raise RunError(f"{self.path / CONFIG}: {_what_is_wrong(error)}") from error

    def settings(self) -> tuple[Config | JudgeConfig, Path]:
        """Reads the config of a run, whether it trains a generator or a judge, and the folder of its data.

        Raises:
            RunError: if there is no run here, or its config is damaged.
        """
        return self.judge_config() if self.is_judge else self.config()

    @property
    def is_judge(self) -> bool:
        """Returns whether the run trains a judge. Raises RunError if there is no run here."""
        return _NETWORK in self._table()[0]

    def _table(self) -> tuple[dict[str, Any], Path]:
        if not self.exists:
            raise RunError(f"{self.path} holds no training run ({CONFIG} is missing).")
        try:
            table = tomllib.loads((self.path / CONFIG).read_text("utf-8", errors="surrogateescape"))
            data = Path(table.pop("prepared"))
            return {"name": table["name"], **table}, data
        except KeyError as error:
            raise RunError(f"{self.path / CONFIG} is damaged: {error} is missing.") from error
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{self.path / CONFIG} is damaged: {error}.") from error

    def log(self, scalars: dict[str, Any]) -> None:
        """Appends one line to ``metrics.jsonl``. Raises RunError if it cannot be written."""
        try:
            with (self.path / METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(scalars) + "\n")
        except OSError as error:
            raise RunError(f"{self.path / METRICS} could not be written: {error.strerror}.") from error

    def save(self, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        """Writes the checkpoint beside the old one and swaps them.

        Raises:
            RunError: if the new one cannot be written; then the old one is still there.
        """
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        try:
            with whole(self.path / CHECKPOINT) as part:
                save_file(kept, part, metadata)
        except (OSError, SafetensorError) as error:
            raise RunError(f"The checkpoint could not be written ({error}); the one before it is kept.") from error

    def load(self) -> tuple[dict[str, Tensor], dict[str, str]] | None:
        """Reads the checkpoint's tensors and metadata; returns None if none was saved yet."""
        path = self.path / CHECKPOINT
        return load_tensors(path) if path.is_file() else None


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads tensors and metadata of a safetensors file. Raises RunError if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise RunError(f"{path} is damaged: {error}.") from error
