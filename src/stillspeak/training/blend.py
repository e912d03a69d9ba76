"""Joins two trained generators of the same sizes: takes halves of each, or interpolates their weights. Ours.

Weights between a general model and one trained on from it are often better than both (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models"): here, on people neither has seen.
"""

from dataclasses import replace
from pathlib import Path

from stillspeak.errors import ModelError
from stillspeak.training.weights import CONTEXT, Trained, read_generator, remark

_WHOLE = "noise."
PARTS = {"all": ("",), "sound": (CONTEXT,), "picture": ("identity.", "decoder.", "last.", "mouth.", "noise.")}


def blend(first: Trained, second: Trained, share: float, part: str = "all") -> Trained:
    """Moves the weights of ``first`` towards those of ``second``.

    Args:
        first: the first generator; weights that are not in ``part`` stay as they are here.
        second: a generator that was trained on from ``first`` or beside it, so that both read the same mouth code. It may have
            another Context Encoder if all of the sound is taken. If ``first`` alone has a mouth decoder, that stays as it is.
        share: how far the weights move: 0 keeps ``first``, 1 takes ``second``. Any share above 0 takes the whole Noise Generator,
            because half of a blink is no blink.
        part: ``sound`` (the Context Encoder), ``picture`` (everything else), or ``all``.

    Raises:
        ModelError: if there is no such part or share, or the two are not of one kind.
    """
    if part not in PARTS or not 0 <= share <= 1:
        raise ModelError(
            f"A blend takes a share from 0 to 1 and a part of {', '.join(PARTS)}; not {share:g} of {part}."
        )
    config, contexts = first.config, (first.config.generator.context, second.config.generator.context)
    if (share, part) == (1, "sound") and contexts[0].size == contexts[1].size:
        config = replace(config, generator=replace(config.generator, context=contexts[1]))
    theirs = second.config.generator
    theirs = theirs if theirs.mouth else replace(theirs, mouth=config.generator.mouth)
    same = config.generator == theirs and first.code.basis.shape == second.code.basis.shape
    if not same or abs(first.code.basis - second.code.basis).max() > 1e-3:  # noqa: PLR2004 - stored in half precision
        raise ModelError("The two models are of other sizes, or do not read the same mouth code.")
    weights = dict(first.weights)
    if contexts[0] != contexts[1]:
        others = {name: value for name, value in weights.items() if not name.startswith(CONTEXT)}
        weights = others | {name: value for name, value in second.weights.items() if name.startswith(CONTEXT)}
    for name, value in weights.items():
        if not name.startswith(PARTS[part]) or name not in second.weights:
            continue
        other, between = second.weights[name], value.is_floating_point() and not name.startswith(_WHOLE)
        weights[name] = value.lerp(other, share) if between else (other if share else value)
    known = [{**stage, "run": ""} for stage in first.history]  # a stage that both have counts once
    history = [*first.history, *(stage for stage in second.history if {**stage, "run": ""} not in known)]
    if share and part != "sound":
        config = replace(config, labels=replace(config.labels, expression=second.config.labels.expression))
    return Trained(config, weights, first.code, [*history, remark(f"blend: {share:.0%} of {part}")])


def read_blend(first: Path, second: Path, share: float, part: str) -> Trained:
    """Reads two runs or models, and blends them with ``blend``. Raises ModelError as it and ``read_generator`` do."""
    return blend(read_generator(first), read_generator(second), share, part)
