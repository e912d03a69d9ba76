"""Writes CARD.md, which says what a model is, what it was trained on, and what it must not be used for."""

from collections.abc import Iterable

from stillspeak.config import Config
from stillspeak.training.weights import Stage

_CORPORA = {
    "grid": "the GRID audio-visual sentence corpus (M. Cooke, J. Barker, S. Cunningham, X. Shao, 2006), licence CC BY 4.0. "
    "Changes: faces aligned and cropped, sound revoiced and varied",
    "performers": "portraits of people who do not exist, which a 3D head with drawn teeth (ICT-FaceKit, MIT licence, Copyright "
    "(c) 2020 USC Institute for Creative Technologies) moves as real speakers move; see the portraits' own terms",
    "portraits": "aligned photos, moved by the mouths of clips, see their own terms",
    "sentences": "a text that synthetic voices read aloud; what mouths do in it was learnt from the clips above",
}
_USE = """\
## What it must not be used for

Making a real person appear to say what they did not say without their consent; deceiving anyone about a video's origin;
getting past identity checks. Every video it makes carries machine-readable marks that it is synthetic: leave them in.
"""


def model_card(config: Config, history: list[Stage], worst: int) -> str:
    """Returns the card of an export in Markdown. ``worst`` is the largest difference from PyTorch, of 255."""
    lines = [
        f"# {config.name}",
        "",
        f"A talking-face generator of stillspeak, preset `{config.name}`.",
        "",
        "## Data",
        "",
    ]
    corpora = sorted({corpus for stage in history for corpus in stage["corpora"]})
    lines += listed_corpora(corpora)
    lines += ["", "Speakers and clips trained on: " + listed_speakers(_speakers(history)) + ".", "", "## Training", ""]
    lines += ["| phase | steps | frames seen | hours | hardware |", "|---|---|---|---|---|"]
    lines += [f"| {s['phase']} | {s['steps']} | {s['frames']} | {s['hours']:.2f} | {s['hardware']} |" for s in history]
    lines += ["", f"Exported graphs differ from PyTorch by at most {worst} of 255.", "", _USE]
    return "\n".join(lines)


def listed_corpora(corpora: Iterable[str]) -> list[str]:
    """Returns a line for each corpus, with its licence if it is known."""
    return [f"- `{corpus}`: {_CORPORA.get(corpus, 'see its own terms')}." for corpus in corpora]


def _speakers(history: list[Stage]) -> dict[str, int]:
    """Returns every speaker of any stage with the number of clips."""
    clips: dict[str, int] = {}
    for stage in history:
        for speaker, count in stage["speakers"].items():
            clips[speaker] = max(count, clips.get(speaker, 0))
    return clips


def listed_speakers(speakers: dict[str, int]) -> str:
    """Speakers with the number of their clips, in one line; those with numbers for names stand in that order."""
    ordered = sorted(speakers.items(), key=lambda item: (len(item[0]), item[0]))
    return ", ".join(f"{speaker} ({count})" for speaker, count in ordered)
