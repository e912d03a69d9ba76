"""Changes a preset by options ``--section.field value``, which tyro reads from the command line."""

import contextlib
import io
from typing import TypeVar

import tyro

from stillspeak.config import Config, JudgeConfig
from stillspeak.errors import RunError
from stillspeak.presets import JUDGES, PRESETS
from stillspeak.training.checks import checked, checked_judge


def overridden(preset: str, arguments: list[str]) -> Config | JudgeConfig:
    """Returns a preset of a generator or a judge with fields changed.

    Raises:
        RunError: if there is no such preset or field, or a value is of the wrong type.
    """
    if preset in JUDGES:
        return checked_judge(_read(JudgeConfig, JUDGES[preset](), arguments))
    if preset not in PRESETS:
        raise RunError(f"There is no preset {preset}; there are: {', '.join([*PRESETS, *JUDGES])}.")
    return checked(_read(Config, PRESETS[preset](), arguments))


Read = TypeVar("Read", Config, JudgeConfig)


def _read(kind: type[Read], default: Read, arguments: list[str]) -> Read:
    read = _tried(kind, default, arguments)
    if read is None:
        wrong = (setting for setting in _settings(arguments) if _tried(kind, default, setting) is None)
        raise RunError(f"This is not a setting, or not a value of it: {' '.join(next(wrong, arguments))}")
    return read


def _tried(kind: type[Read], default: Read, arguments: list[str]) -> Read | None:
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return tyro.cli(
                kind,
                args=arguments,
                default=default,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
                compact_help=True,
            )
    except SystemExit as end:
        if not end.code:
            raise
        return None


def _settings(arguments: list[str]) -> list[list[str]]:
    """Groups each option with its values; values before the first option make a group of their own."""
    settings: list[list[str]] = []
    for argument in arguments:
        if argument.startswith("--") or not settings:
            settings.append([])
        settings[-1].append(argument)
    return settings
