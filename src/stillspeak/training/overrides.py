"""``--section.field value`` on the command line -> a changed preset. tyro does the reading."""

import contextlib
import io
from typing import TypeVar

import tyro

from stillspeak.config import Config, JudgeConfig
from stillspeak.errors import RunError
from stillspeak.presets import JUDGES, PRESETS
from stillspeak.training.run import checked, checked_judge


def overridden(preset: str, arguments: list[str]) -> Config | JudgeConfig:
    """A preset, of a generator or a judge, with fields changed.

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
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
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
        raise RunError(f"These settings are not known or not valid: {' '.join(arguments)}") from None
