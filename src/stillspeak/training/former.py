"""Reads configs and options from before a preset was a list of stages: shipped weights and older runs have such configs. Ours."""

from typing import Any

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
}
MOUTHS = "mouth", "fine_mouth"  # sections of old that a picture stage has now
KEPT = {"train.keep_context": "picture", "train.keep_picture": "sound"}  # what learnt where one of these was True


def modernised(table: dict[str, Any]) -> dict[str, Any]:
    """Returns a config's table as it is written today; a table that is written so already is returned as it is."""
    if "warm" not in table:
        return table
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
