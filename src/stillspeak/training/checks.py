"""Says what a configuration must be to be trained with: bounds of its numbers, and what must fit together. Ours."""

import math
from dataclasses import asdict

from stillspeak.config import AdversarialStage, Config, PictureStage
from stillspeak.data.drawer import MOST_THROATS
from stillspeak.data.mouth_code import LIPS_AND_CHIN
from stillspeak.errors import RunError
from stillspeak.judge_config import JudgeConfig
from stillspeak.training.runs import flat, numbered

_MOST_LAYERS = 4  # of a judge; each halves the mouth's 48 pixels
_HALVINGS = 5  # of a crop's sides, down to 4 x 3
_ANY = math.inf


def _each(least: float, most: float, names: str) -> dict[str, tuple[float, float]]:
    return dict.fromkeys(names.split(), (least, most))


# Least and most of every number that has any. A name without a section is that of every section.
_BOUNDS = {
    **_each(0, _ANY, "learning_rate weight_decay reconstruction upper eyes interior r1"),
    **_each(0, _ANY, "weight matching loss.code loss.mouth steps hours sample_every back_off"),
    **_each(0, _ANY, "patience_epochs adversaries_from adversarial.frames"),
    **_each(1, _ANY, "features size layers hidden sound_channels frames snippets furthest clips accumulate log_every"),
    **_each(1, _ANY, "check_every labels.code sequence.code"),
    **_each(0, 1, "keep taught as_recorded sentences blinks openings open_stills recombined"),
    **_each(0, MOST_THROATS, "throats"),
    **_each(0, 2, "evenness"),
    **_each(0, 3, "face_jitter voice_jitter"),
    **_each(0, 5, "blinks_per_s"),
    **_each(0, 512, "bands"),
    **_each(0, 1024, "threads"),
    **_each(0, 2**63 - 1, "seed"),
    **_each(1000, 192_000, "rate_hz"),
    **_each(0, 0.99, "dropout"),
    **_each(1e-3, _ANY, "temperature"),
}


def checked(config: Config) -> Config:
    """Returns the config as it is when it can be trained with.

    Raises:
        RunError: if the sound rate is no whole number of kilohertz: figure 10's strides are milliseconds; or if a number is
            out of bounds.
    """
    _require_numbers(config)
    if config.generator.context.rate_hz % 1000:
        raise RunError(f"generator.context.rate-hz must be a multiple of 1000, not {config.generator.context.rate_hz}.")
    _require_purpose(config)
    most = min(config.generator.context.size, 2 * len(LIPS_AND_CHIN))
    if config.labels.code > most:
        raise RunError(f"labels.code must be at most {most}, not {config.labels.code}.")
    for name, channels, layers in (
        ("generator.identity.channels", config.generator.identity.channels, _HALVINGS),
        ("generator.context.channels", config.generator.context.channels, 0),
        ("frame.channels", config.frame and config.frame.channels, _HALVINGS),
        ("sequence.channels", config.sequence and config.sequence.channels, _HALVINGS),
        ("sync.channels", config.sync and config.sync.channels, 0),
        *((f"{name}.mouth.channels", stage.mouth and stage.mouth.channels, 0) for name, stage in _pictures(config)),
        *(
            (f"{name}.fine-mouth.channels", stage.fine_mouth and stage.fine_mouth.channels, 0)
            for name, stage in _pictures(config)
        ),
        ("sync.sound-channels", config.sync and config.sync.sound_channels, 0),
    ):
        if channels is not None and (min(channels, default=0) < 1 or len(channels) != (layers or len(channels))):
            many = f"{layers} numbers of" if layers else "numbers of"
            raise RunError(f"{name} must be {many} at least 1, not {' '.join(map(str, channels)) or 'none'}.")
    return config


def _require_purpose(config: Config) -> None:
    """Raises RunError if nothing is to be learnt, or a part has nobody to teach or to judge it."""
    if config.generator.mouth and config.generator.decoder != "warping":
        raise RunError("generator.mouth needs a decoder that warps.")
    for name, stage in _pictures(config):
        if stage.fine_mouth and not config.generator.mouth:
            raise RunError(f"{name}.fine-mouth needs generator.mouth, whose windows it judges.")
        if stage.learns == "mouth" and not config.generator.mouth:
            raise RunError(f"{name}.learns mouth leaves nothing to learn without generator.mouth.")
    if config.generator.mouth and any(stage.learns != "sound" for stage in config.stages_of(AdversarialStage)):
        raise RunError(
            "The mouth decoder learns in a picture stage: set adversarial.learns sound or adversarial.steps 0."
        )


def _pictures(config: Config) -> list[tuple[str, PictureStage]]:
    """Returns the picture stages of a config, with their names."""
    names = numbered([stage.kind for stage in config.stages])
    pairs = zip(names, config.stages, strict=True)
    return [(name, stage) for name, stage in pairs if isinstance(stage, PictureStage)]


def checked_judge(config: JudgeConfig) -> JudgeConfig:
    """Returns the config. Raises RunError if its numbers cannot be trained with."""
    _require_numbers(config)
    layers = config.network.channels
    if min(layers, default=0) < 1 or len(layers) > _MOST_LAYERS:
        raise RunError(
            f"network.channels must be 1 to {_MOST_LAYERS} numbers of at least 1, not {' '.join(map(str, layers))}."
        )
    return config


def _require_numbers(config: Config | JudgeConfig) -> None:
    """Raises RunError if a setting is not finite or out of its bounds, or a learning rate below 0."""
    for name, value in flat(asdict(config)).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise RunError(f"{_said(name)} must be a number, not {value}.")
        section, _, last = name.rpartition(".")
        own = (
            f"{section.rstrip('0123456789')}.{last}"  # of the second stage of a kind, picture2, the bounds of the first
        )
        least, most = (
            (0, _ANY) if last.endswith("learning_rate") else _BOUNDS.get(own) or _BOUNDS.get(last, (-_ANY, _ANY))
        )
        if value < least:
            raise RunError(f"{_said(name)} must be at least {least:g}, not {value}.")
        if value > most:
            raise RunError(f"{_said(name)} must be at most {most}, not {value}.")


def _said(name: str) -> str:
    """Returns a setting's name as it is written on the command line."""
    return name.replace("_", "-")
