"""Reads configs and options of older versions: shipped weights and older runs have such configs. Ours.

Once a preset was no list of stages, and some numbers were settings that are fixed now.
"""

from typing import Any

from stillspeak.config import ContextConfig, GeneratorConfig, SequenceDiscriminatorConfig
from stillspeak.errors import RunError

# Names of old, and new ones where they differ.
_LABELS = "code", "expression", "blinks_per_s"
_SOUND = {"sound_steps": "steps", "sound_clips": "clips", "sound_learning_rate": "learning_rate"}
_PICTURE = {
    "picture_steps": "steps", "picture_clips": "clips", "picture_frames": "frames", "picture_learning_rate": "learning_rate",
    "motion": "motion",
}  # fmt: skip
_ADVERSARIAL = (
    "steps", "clips", "frames", "learning_rate", "decay", "decay_after_epochs", "patience_epochs", "adversaries_from", "taught",
    "calibrate",
)  # fmt: skip
NAMES = {
    **{f"warm.{name}": f"labels.{name}" for name in _LABELS},
    **{f"warm.{old}": f"sound.{new}" for old, new in _SOUND.items()},
    **{f"warm.{old}": f"picture.{new}" for old, new in _PICTURE.items()},
    **{f"train.{name}": f"adversarial.{name}" for name in _ADVERSARIAL},
    "generator.context.recurrent": "generator.recurrent",
    "generator.decoder.kind": "generator.decoder",
}
MOUTHS = "mouth", "fine_mouth"  # sections of old that a picture stage has now
KEPT = {"train.keep_context": "picture", "train.keep_picture": "sound"}  # what learnt where one of these was True


# Numbers of networks that were settings. Weights that were made with others cannot be run any more.
_NETWORKS = {
    "generator.context.fps": ContextConfig.fps,
    "generator.context.window_seconds": ContextConfig.window_seconds,
    "generator.context.layers": ContextConfig.layers,
    "generator.noise.size": GeneratorConfig.noise_size,
    "generator.noise.variance": GeneratorConfig.noise_variance,
    "generator.decoder.furthest_px": 12.0,
    "sequence.layers": SequenceDiscriminatorConfig.layers,
}
# Numbers of trainings that were settings. A run that was started with others cannot be resumed; its weights can be used.
_TRAININGS = {
    "train.ema": 0.999,
    "picture.motion": 0.05,
    "adversarial.decay": 0.9,
    "adversarial.decay_after_epochs": 20,
}


def modernised(table: dict[str, Any]) -> dict[str, Any]:
    """Returns a config's table as it is written today; a table that is written so already is returned as it is.

    Raises:
        RunError: if a network has a number that is not the one that every network has today.
    """
    table = _in_stages(table) if "warm" in table else table
    generator = table.get("generator")
    if not isinstance(generator, dict):
        return table
    context, sequence = _section(generator, "context"), _section(table, "sequence")
    noise, decoder = _section(generator, "noise"), _section(generator, "decoder")
    usual = ContextConfig(bands=1 if context.get("bands") else 0)
    fixed = _NETWORKS | {
        "generator.context.kernel_seconds": usual.kernel_seconds,
        "generator.context.stride_seconds": usual.stride_seconds,
        "generator.noise.recurrent": context.get("recurrent"),
        "sequence.hidden": sequence.get("code"),
    }
    sections = {
        "generator.context": context,
        "generator.noise": noise,
        "generator.decoder": decoder,
        "sequence": sequence,
    }
    for name, value in fixed.items():
        section, _, field = name.rpartition(".")
        _require_fixed(name, sections[section].get(field, value), value)
    generator = {name: value for name, value in generator.items() if name != "noise"}
    generator |= {"recurrent": context["recurrent"]} if "recurrent" in context else {}
    generator |= {"decoder": decoder["kind"]} if "kind" in decoder else {}
    return table | {"generator": generator}


def require_resumable(table: dict[str, Any]) -> None:
    """Raises RunError if a run was started with a number of training that is not the one of every training today."""
    table = modernised(table)
    stages = [stage for stage in table.get("stages", []) if isinstance(stage, dict)]
    for name, value in _TRAININGS.items():
        section, _, field = name.rpartition(".")
        of_kind = [stage for stage in stages if stage.get("kind") == section]
        for holder in [_section(table, section), *of_kind]:
            _require_fixed(name, holder.get(field, value), value)


def _require_fixed(name: str, given: Any, value: Any) -> None:
    if given != value:
        raise RunError(f"{name} is {given} here; this version of stillspeak only knows {value}.")


def _section(table: dict[str, Any], name: str) -> dict[str, Any]:
    section = table.get(name)
    return section if isinstance(section, dict) else {}


def _in_stages(table: dict[str, Any]) -> dict[str, Any]:
    """Returns the table of a config that had a warm start and one adversarial stage, as a list of stages."""
    warm, train = table["warm"], dict(table["train"])
    adversarial = {name: train.pop(name) for name in _ADVERSARIAL if name in train}
    learnt = [learns for name, learns in KEPT.items() if train.pop(name.removeprefix("train."), False)]
    adversarial["learns"] = learnt[0] if learnt else "all"
    picture = {new: warm[old] for old, new in _PICTURE.items() if old in warm}
    picture |= {name: table[name] for name in MOUTHS if name in table}
    sound = {new: warm[old] for old, new in _SOUND.items() if old in warm}
    stages = [{"kind": "sound", **sound}, {"kind": "picture", **picture}, {"kind": "adversarial", **adversarial}]
    rest = {name: value for name, value in table.items() if name not in ("warm", *MOUTHS)}
    labels = {name: warm[name] for name in _LABELS if name in warm}
    return rest | {"labels": labels, "stages": [stage for stage in stages if stage.get("steps")], "train": train}
