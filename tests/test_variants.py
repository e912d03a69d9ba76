"""Variants of presets: each changes the factor that it names, whatever the base, and nothing else."""

from dataclasses import asdict, replace

import pytest

from stillspeak import variants
from stillspeak.config import AdversarialStage, Config
from stillspeak.presets import PRESETS, paper, paper_half
from stillspeak.training.runs import flat

BASES = ["paper", "paper_half", "default", "tiny"]


def changed(before: Config, after: Config) -> set[str]:
    """The names of all settings in which two configs differ; a discriminator that is dropped counts once."""
    old, new = flat(asdict(before)), flat(asdict(after))
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    dropped = {section for section in ("frame", "sequence", "sync") if getattr(after, section) is None}
    return {name.partition(".")[0] if name.partition(".")[0] in dropped else name for name in names} - {"name"}


@pytest.mark.parametrize("name", BASES)
def test_a_row_of_the_ablation_changes_its_factor_and_nothing_else(name: str):
    base = variants.open_to_adversaries(PRESETS[name]())
    assert changed(base, variants.l1(base)) == {"frame", "sequence", "loss.upper"}
    assert changed(base, variants.l1_frame(base)) == {"sequence"}
    assert changed(base, variants.static(base)) == {"sequence", "generator.recurrent"}


@pytest.mark.parametrize("name", BASES)
def test_an_open_base_lets_every_part_learn_from_whole_clips(name: str):
    base = variants.open_to_adversaries(PRESETS[name]())
    (stage,) = base.stages_of(AdversarialStage)
    assert (stage.learns, stage.frames, base.labels.expression) == ("all", 0, False)


def test_the_papers_preset_is_open_already():
    assert variants.open_to_adversaries(paper()) == paper()
    assert variants.open_to_adversaries(paper_half()) == paper_half()


def test_half_the_paper_is_the_paper_with_half_the_channels():
    whole, half = flat(asdict(paper())), flat(asdict(paper_half()))
    narrowed = {name for name in whole if whole[name] != half[name]} - {"name"}
    assert {name for name in narrowed if "channels" not in name} == {"generator.context.features"}
    back = variants.narrower(paper_half(), 1, "paper")
    assert back == replace(paper_half(), name="paper")
    assert half["generator.identity.channels"] == (32, 64, 128, 256, 512)
