"""``--section.field value`` on the command line -> a changed preset. tyro does the reading."""

import contextlib
import io

import tyro

from stillspeak.config import Config
from stillspeak.errors import RunError
from stillspeak.presets import PRESETS
from stillspeak.training.run import checked


def overridden(preset: str, arguments: list[str]) -> Config:
    """A preset with fields changed.

    Raises:
        RunError: if there is no such preset or field, or a value is of the wrong type.
    """
    if preset not in PRESETS:
        raise RunError(f"There is no preset {preset}; there are: {', '.join(PRESETS)}.")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config = tyro.cli(
                Config,
                args=arguments,
                default=PRESETS[preset](),
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
                compact_help=True,
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise RunError(f"These settings are not known or not valid: {' '.join(arguments)}") from None
    return checked(config)
