"""Writes ``report.md`` of a prepared folder: hours per split beside the paper's Table 1, and the dropped clips."""

from collections import defaultdict
from collections.abc import Callable

from stillspeak.data.manifest import ClipRecord

REPORT = "report.md"
# Paper, Table 1; the hours are those after mirroring, as in the paper.
_TABLE_1 = {
    ("grid", "train"): (31639, 26.36), ("grid", "validation"): (6999, 5.83), ("grid", "test"): (9976, 8.31),
    ("tcd-timit", "train"): (8218, 9.13), ("tcd-timit", "validation"): (686, 0.76), ("tcd-timit", "test"): (977, 1.09),
}  # fmt: skip


def report(records: list[ClipRecord]) -> str:
    """Returns the report in Markdown: clips and hours per split beside Table 1, and per speaker, and drops by reason."""
    kept = [record for record in records if not record.dropped]
    lines = ["# Prepared clips", "", "| corpus | split | clips | hours | paper, Table 1 |", "|---|---|---|---|---|"]
    for (corpus, split), seconds in _seconds(kept, lambda record: (record.corpus, record.split)):
        theirs = "{} clips, {} h".format(*_TABLE_1[corpus, split]) if (corpus, split) in _TABLE_1 else ""
        lines.append(f"| {corpus} | {split} | {len(seconds)} | {sum(seconds) / 3600:.3f} | {theirs} |")
    lines += ["", "The paper counts every training clip twice: as it is and mirrored.", ""]
    lines += ["| split | speaker | clips | hours |", "|---|---|---|---|"]
    for (split, speaker), seconds in _seconds(kept, lambda record: (record.split, record.speaker)):
        lines.append(f"| {split} | {speaker} | {len(seconds)} | {sum(seconds) / 3600:.3f} |")
    lines += ["", f"Kept {len(kept)} of {len(records)}.", ""]
    dropped = sorted((r for r in records if r.dropped), key=lambda record: (record.speaker, record.clip))
    lines += [f"- dropped {record.speaker}/{record.clip}: {record.dropped}" for record in dropped]
    return "\n".join(lines) + "\n"


def _seconds(
    records: list[ClipRecord], key: Callable[[ClipRecord], tuple[str, str]]
) -> list[tuple[tuple[str, str], list[float]]]:
    """Returns the seconds of clips that share a key, sorted by it."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        groups[key(record)].append(record.seconds)
    return sorted(groups.items())
