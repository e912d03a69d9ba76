"""Changes one thing of any preset: rows of the ablation (section 4.3), the static baseline (4.4), a narrower model."""

from dataclasses import replace
from typing import Any

from stillspeak.config import AdversarialStage, Config

_WHOLE_CLIPS = 0  # section 3.3: the Sequence Discriminator sees the entire sequence


def open_to_adversaries(config: Config) -> Config:
    """Returns the base that all rows of an ablation share: the adversaries can reach everything that the tables measure.

    In the adversarial stage every part of the generator learns, the Context Encoder and the Noise Generator included, and on
    whole clips. z_n is not taught blinks, so that an expression can come from the adversaries alone. A base such as ``paper``
    is so already and stays as it is.
    """
    return _without_taught_blinks(config.with_stages(AdversarialStage, learns="all", frames=_WHOLE_CLIPS))


def l1(config: Config) -> Config:
    """Returns the first row of Table 2: no adversary, and L1 on the whole face. Other weights of the loss stay."""
    return replace(_without_adversaries(config), name="l1", loss=replace(config.loss, upper=1.0))


def l1_frame(config: Config) -> Config:
    """Returns the second row of Table 2: the Frame Discriminator is the only adversary."""
    return replace(_without_adversaries(config), name="l1_frame", frame=config.frame)


def static(config: Config) -> Config:
    """Returns Table 3's baseline: each frame comes from its own window of sound alone, and no adversary judges sequences."""
    generator = replace(config.generator, recurrent=False)
    still = _without_taught_blinks(l1_frame(config))  # without memory no blink can end
    return replace(still, name="static", generator=generator)


def narrower(config: Config, divisor: int, name: str) -> Config:
    """Returns a preset whose every convolution has its channels divided by ``divisor``; z_c, z_n and z_id keep their sizes."""
    generator = config.generator
    context = replace(
        generator.context,
        channels=_divided(generator.context.channels, divisor),
        features=max(1, generator.context.features // divisor),
    )
    identity = replace(generator.identity, channels=_divided(generator.identity.channels, divisor))
    return replace(
        config,
        name=name,
        generator=replace(generator, context=context, identity=identity),
        frame=_narrower_section(config.frame, divisor),
        sequence=_narrower_section(config.sequence, divisor),
    )


def _narrower_section(section: Any, divisor: int) -> Any:
    return None if section is None else replace(section, channels=_divided(section.channels, divisor))


def _divided(channels: tuple[int, ...], divisor: int) -> tuple[int, ...]:
    return tuple(max(1, many // divisor) for many in channels)


def _without_adversaries(config: Config) -> Config:
    return replace(config, frame=None, sequence=None, sync=None)


def _without_taught_blinks(config: Config) -> Config:
    labels, data = replace(config.labels, expression=False), replace(config.data, blinks=0.0)
    return replace(config, labels=labels, data=data)
