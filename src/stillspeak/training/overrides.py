"""Changes a preset by options ``--section.field value``, which tyro reads from the command line."""

import contextlib
import io
import re
from dataclasses import replace
from itertools import chain
from typing import TypeVar

import tyro

from stillspeak.config import DISCRIMINATORS, AdversarialStage, Config, PictureStage, SoundStage
from stillspeak.errors import RunError
from stillspeak.judge_config import JudgeConfig
from stillspeak.presets import JUDGES, PRESETS
from stillspeak.training.checks import checked, checked_judge
from stillspeak.training.former import KEPT, MOUTHS, NAMES
from stillspeak.training.runs import numbered

_KINDS = tuple(stage.kind for stage in (SoundStage, PictureStage, AdversarialStage))


def overridden(preset: str, arguments: list[str]) -> Config | JudgeConfig:
    """Returns a preset of a generator or a judge with fields changed.

    Raises:
        RunError: if there is no such preset or field, or a value is of the wrong type.
    """
    if preset in JUDGES:
        return checked_judge(_read(JudgeConfig, JUDGES[preset](), arguments))
    if preset not in PRESETS:
        raise RunError(f"There is no preset {preset}; there are: {', '.join([*PRESETS, *JUDGES])}.")
    return changed(PRESETS[preset](), arguments)


def changed(config: Config, arguments: list[str]) -> Config:
    """Returns a generator's config with fields changed.

    ``--frame None``, ``--sequence None`` and ``--sync None`` leave a discriminator out.

    Raises:
        RunError: if there is no such field, or a value is of the wrong type.
    """
    kept: list[str] = []
    for setting in _settings(arguments):
        option, _, value = " ".join(setting).replace("=", " ", 1).partition(" ")
        if option.removeprefix("--") in DISCRIMINATORS and value == "None":
            config = replace(config, **{option.removeprefix("--"): None})
        else:
            kept += setting
    return checked(_read(Config, config, kept))


Read = TypeVar("Read", Config, JudgeConfig)


def _read(kind: type[Read], default: Read, arguments: list[str]) -> Read:
    settings = _settings(arguments)
    translated = [_translated(setting, default) for setting in settings]
    read = _tried(kind, default, [*chain(*translated)])
    if read is None:
        pairs = zip(settings, translated, strict=True)
        wrong = (setting for setting, options in pairs if _tried(kind, default, options) is None)
        raise RunError(f"This is not a setting, or not a value of it: {' '.join(next(wrong, arguments))}")
    return read


def _translated(setting: list[str], default: Config | JudgeConfig) -> list[str]:
    """Returns an option as tyro names it, which knows a stage by its place: ``--sound.steps`` is ``--stages.0.steps``.

    Names of old, such as ``--train.steps`` for ``--adversarial.steps``, go on working (``former.py``).
    """
    if not isinstance(default, Config) or not setting[0].startswith("--"):
        return setting
    option, equals, value = setting[0].partition("=")
    name = option[2:].replace("-", "_")
    if name in KEPT and (answer := value if equals else setting[-1]) in ("True", "False"):
        return _translated(["--adversarial.learns", KEPT[name]], default) if answer == "True" else []
    section, _, field = NAMES.get(name, name).partition(".")
    section, field = ("picture", f"{section}.{field}") if section in MOUTHS else (section, field)
    names = numbered([stage.kind for stage in default.stages])
    if section.rstrip("0123456789") in _KINDS and section not in names:
        raise RunError(f"The preset {default.name} has no {section} stage, so that {option} sets nothing.")
    place = f"stages.{names.index(section)}" if section in names else section
    return [f"--{place}.{field}".replace("_", "-").rstrip(".") + equals + value, *setting[1:]]


def _tried(kind: type[Read], default: Read, arguments: list[str]) -> Read | None:
    shown = io.StringIO()
    try:
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(shown):
            return tyro.cli(
                kind,
                args=arguments,
                default=default,
                config=(tyro.conf.AvoidSubcommands, tyro.conf.FlagConversionOff),
                compact_help=True,
            )
    except SystemExit as end:
        if not end.code:
            print(_renamed(shown.getvalue(), default), end="")
            raise
        return None


def _renamed(help_text: str, default: Config | JudgeConfig) -> str:
    """Returns tyro's help with the names of stages in place of their numbers, without kinds and the name: no settings."""
    help_text = re.sub(r"(?m)^ *--(\S+\.kind|name) .*\n", "", help_text)
    if not isinstance(default, Config):
        return help_text
    names = numbered([stage.kind for stage in default.stages])
    return re.sub(r"stages\.(\d+)", lambda found: names[int(found[1])], help_text)


def _settings(arguments: list[str]) -> list[list[str]]:
    """Groups each option with its values; values before the first option make a group of their own."""
    settings: list[list[str]] = []
    for argument in arguments:
        if argument.startswith("--") or not settings:
            settings.append([])
        settings[-1].append(argument)
    return settings
