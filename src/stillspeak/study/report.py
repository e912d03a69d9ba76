"""Reports the answers of a user study, as section 4.4, figure 9 and the last row of Table 3 do.

Visitors count who answered everything and passed the attention check. Shares of answers have exact binomial intervals and tests
(Clopper and Pearson 1934), which assume that answers are independent; the answers of one visitor are not. So the report also
computes one figure for each visitor, and gives its mean, a bootstrap interval and Wilcoxon's signed-rank test.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import binomtest, wilcoxon

from stillspeak.errors import OutputError
from stillspeak.media.provenance import software
from stillspeak.study.answers import Question, is_right, read_answers
from stillspeak.study.build import Study, read_study
from stillspeak.study.videos import REAL

_PAPER_ACCURACY, _PAPER_VISITORS = 0.63, 153  # section 4.4
_CHANCE = 0.5
_DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Share:
    """Holds a share of answers with its exact 95 % interval.

    Attributes:
        count: how many answers were of the kind that is counted.
        of: how many there were in all.
        share: ``count / of``.
        low, high: the ends of the interval.
        p: how likely chance alone puts the share at least so far from one half.
    """

    count: int
    of: int
    share: float
    low: float
    high: float
    p: float


def share(count: int, of: int) -> Share | None:
    """Computes a share, or None if there are no answers. Raises ValueError if ``count`` exceeds ``of``."""
    if not of:
        return None
    test = binomtest(count, of, _CHANCE)
    interval = test.proportion_ci(method="exact")
    return Share(count, of, count / of, float(interval.low), float(interval.high), float(test.pvalue))


def over_visitors(figures: Sequence[float]) -> dict[str, float] | None:
    """Summarises a figure of each visitor: its mean, a 95 % bootstrap interval, and p of Wilcoxon's test that it is 0."""
    if not figures:
        return None
    found = np.asarray(figures, float)
    drawn = np.random.default_rng(0).choice(found, (_DRAWS, len(found))).mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    ranked = found.round(9)  # thirds that differ in their last bit are a tie
    p = float(wilcoxon(ranked).pvalue) if np.any(ranked) else 1.0
    return {"visitors": len(found), "mean": float(found.mean()), "low": float(low), "high": float(high), "p": p}


def report(folder: Path, destination: Path) -> dict[str, Any]:
    """Writes ``report.json``, ``report.md``, ``answers.csv``, and ``figure9.png`` and ``.pdf``.

    Args:
        folder: the folder of a study that was served.
        destination: the folder to write, which is made if it does not exist.

    Returns:
        What ``report.json`` holds.

    Raises:
        DataError: if there is no study, or nobody saw it yet.
        OutputError: if the destination cannot be written.
    """
    study = read_study(folder)
    everyone = read_answers(folder, study)
    complete = [questions for questions in everyone if all(question.answer for question in questions)]
    counted = [questions for questions in complete if _passed(questions, study)]
    asked = [[q for q in questions if not study.film(q.left).check] for questions in counted]
    said: dict[str, Any] = {
        "kind": study.kind,
        "visitors": len(everyone),
        "complete": len(complete),
        "failed the attention check": len(complete) - len(counted),
        "counted": len(counted),
    }
    said |= _turing(asked, study) if study.kind == "turing" else _preference(asked, study)
    try:
        destination.mkdir(parents=True, exist_ok=True)
        (destination / "report.json").write_text(json.dumps(said, indent=2) + "\n", "utf-8")
        (destination / "report.md").write_text(_markdown(said), "utf-8", errors="surrogateescape")
        (destination / "answers.csv").write_text(_table(study, everyone), "utf-8", errors="surrogateescape")
        _figure_9(destination / "figure9", said)
    except OSError as error:
        raise OutputError(f"{destination} cannot be written: {error.strerror}.") from error
    return said


def _passed(questions: Iterable[Question], study: Study) -> bool:
    return all(is_right(question, study) for question in questions if study.film(question.left).check)


def _turing(asked: Sequence[Sequence[Question]], study: Study) -> dict[str, Any]:
    scores = [sum(is_right(question, study) for question in questions) for questions in asked]
    most = max(map(len, asked), default=0)
    answers = [question for questions in asked for question in questions]
    return {
        "accuracy": _as_dict(share(sum(scores), len(answers))),
        "told apart": over_visitors(
            [figure for questions in asked if (figure := _told_apart(questions, study)) is not None]
        ),
        "always generated": sum(study.film(q.left).method != REAL for q in answers) / len(answers) if answers else None,
        "histogram": [scores.count(right) for right in range(most + 1)],
        "taken for real": _by(answers, lambda q: study.film(q.left).method, lambda q: q.answer == "real"),
        "videos": _by(
            answers, lambda q: f"{study.film(q.left).clip} {study.film(q.left).method}", lambda q: q.answer == "real"
        ),
    }


def _told_apart(questions: Sequence[Question], study: Study) -> float | None:
    """Returns how much more often a visitor calls real videos real than generated ones: 0 is chance, 1 is perfect.

    A visitor who did not see both kinds has None.
    """
    said = {
        real: [q.answer == "real" for q in questions if (study.film(q.left).method == REAL) is real]
        for real in (True, False)
    }
    return float(np.mean(said[True]) - np.mean(said[False])) if all(said.values()) else None


def _preference(asked: Sequence[Sequence[Question]], study: Study) -> dict[str, Any]:
    answers = [question for questions in asked for question in questions]

    def first_wins(question: Question) -> bool:
        return study.film(question.left if question.answer == "left" else question.right).method == study.methods[0]

    wins = sum(map(first_wins, answers))
    return {
        "preferred": {
            method: _as_dict(share(count, len(answers)))
            for method, count in zip(study.methods, (wins, len(answers) - wins), strict=True)
        },
        "over visitors": over_visitors(
            [sum(map(first_wins, questions)) / len(questions) - _CHANCE for questions in asked if questions]
        ),
        "left side": _as_dict(share(sum(q.answer == "left" for q in answers), len(answers))),
        "histogram": [
            sum(sum(map(first_wins, questions)) == count for questions in asked)
            for count in range(max(map(len, asked), default=0) + 1)
        ],
        "videos": _by(answers, lambda q: study.film(q.left).clip, first_wins),
    }


def _by(
    answers: Iterable[Question], group: Callable[[Question], str], counts: Callable[[Question], bool]
) -> dict[str, Any]:
    """Computes the share of each group of answers."""
    groups: dict[str, list[bool]] = {}
    for question in answers:
        groups.setdefault(group(question), []).append(counts(question))
    return {name: _as_dict(share(sum(found), len(found))) for name, found in sorted(groups.items())}


def _as_dict(found: Share | None) -> dict[str, float] | None:
    return None if found is None else asdict(found)


def _table(study: Study, everyone: Sequence[Sequence[Question]]) -> str:
    """Formats all answers as CSV, including those that do not count."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["visitor", "question", "clip", "left", "right", "check", "answer", "right_answer", "seconds"])
    for visitor, questions in enumerate(everyone, 1):
        for q in questions:
            left, right = study.film(q.left), study.film(q.right) if q.right else None
            known = study.kind == "turing" or bool(left.check)
            right_answer = int(is_right(q, study)) if q.answer and known else ""
            methods = left.method, right.method if right else ""
            row = [visitor, q.number, left.clip, *methods, int(bool(left.check)), q.answer, right_answer]
            rows.writerow([*row, round(q.seconds, 1)])
    return text.getvalue()


def _markdown(said: dict[str, Any]) -> str:
    lines = [
        f"# User study: {'real or generated?' if said['kind'] == 'turing' else 'which is more natural?'}",
        "",
        f"{said['visitors']} visitors, {said['complete']} answered everything, {said['failed the attention check']} of them "
        f"failed the attention check; {said['counted']} count. Intervals of shares are 95 %, exact binomial.",
        "",
    ]
    if said["kind"] == "turing":
        if said["accuracy"]:
            always = f"Who always says generated is right in {said['always generated']:.0%}."
            paper = f"The paper: {_PAPER_ACCURACY:.0%} of {_PAPER_VISITORS} users' answers."
            lines += [f"**Right: {_cell(said['accuracy'], False)}**. {always} {paper}", ""]
        if said["told apart"]:
            apart = "Told apart (said real of real videos, less said real of generated ones; 0 is chance, 1 perfect)"
            lines += [f"{apart}: {_mean(said['told apart'])}.", ""]
        lines += _rows("taken for real", said["taken for real"]) + _rows(
            "taken for real, video by video", said["videos"]
        )
    else:
        first = next(iter(said["preferred"]))
        lines += _rows("preferred", said["preferred"], True)
        if said["left side"]:
            over = f"Share of {first} less one half, over visitors (the p above takes all answers as independent)"
            lines += [f"{over}: {_mean(said['over visitors'])}.", ""]
            lines += [f"The left side was chosen in {_cell(said['left side'], True)}: sides are random.", ""]
        lines += _rows(f"{first} preferred, clip by clip", said["videos"])
    return "\n".join(lines)


def _rows(title: str, shares: dict[str, dict[str, float] | None], tested: bool = False) -> list[str]:
    table = [f"| {name} | {_cell(found, tested)} |" for name, found in shares.items() if found]
    return [f"| | {title} |", "|---|---|", *table, ""]


def _cell(found: dict[str, float], tested: bool) -> str:
    p = f"; p = {found['p']:.2g}" if tested else ""
    return f"{found['share']:.1%} ({found['low']:.1%} to {found['high']:.1%}; {found['count']:.0f} of {found['of']:.0f}{p})"


def _mean(found: dict[str, float]) -> str:
    interval = f"{found['low']:+.3f} to {found['high']:+.3f}"
    return f"{found['mean']:+.3f} ({interval}, p = {found['p']:.2g}, {found['visitors']:.0f} visitors)"


def _figure_9(path: Path, said: dict[str, Any]) -> None:
    """Draws how many visitors had how many right; for a preference test, how many preferred the first model how often."""
    figure = Figure((4, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.bar(range(len(said["histogram"])), said["histogram"], width=0.9)
    turing = said["kind"] == "turing"
    axes.set_xlabel(
        "videos labelled right" if turing else f"pairs in which {next(iter(said['preferred']))} was preferred"
    )
    axes.set_ylabel("visitors")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    figure.savefig(path.with_suffix(".png"), dpi=150, metadata={"Software": software()})
    figure.savefig(path.with_suffix(".pdf"), metadata={"Creator": software(), "CreationDate": None})
