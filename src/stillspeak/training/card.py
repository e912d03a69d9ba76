"""CARD.md: what a model is, what it was trained on, and what it must not be used for."""

import json
from pathlib import Path

from stillspeak.config import Config
from stillspeak.training.run import METRICS

_USE = """\
## What it must not be used for

Making a real person appear to say what they did not say without their consent; deceiving anyone about a video's origin;
getting past identity checks. Every video it makes carries machine-readable marks that it is synthetic: leave them in.
"""


def model_card(config: Config, run: Path, worst: int) -> str:
    """The card of an export, in Markdown. ``worst``: largest difference from PyTorch, of 255."""
    lines = [f"# {config.name}", "", f"A talking-face generator of stillspeak, preset `{config.name}`.", ""]
    lines += ["## Training", ""]
    last = _last_figures(run)
    if last:
        lines += ["| phase | steps | frames seen | hours |", "|---|---|---|---|"]
        lines += [f"| {row['phase']} | {row['step']} | {row['frames']} | {row['seconds'] / 3600:.2f} |" for row in last]
        lines += [""]
    lines += [f"Exported graphs differ from PyTorch by at most {worst} of 255.", "", _USE]
    return "\n".join(lines)


def _last_figures(run: Path) -> list[dict[str, float]]:
    """The last timed line of each phase of a run's metrics."""
    path = run / METRICS
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return list({row["phase"]: row for row in rows if "seconds" in row}.values())
