"""``report.md`` of a prepared folder: hours per split beside the paper's Table 1, and what was dropped."""

from stillspeak.data.manifest import ClipRecord

# Paper, Table 1; hours after mirroring, as there.
_TABLE_1 = {
    ("grid", "train"): (31639, 26.36), ("grid", "validation"): (6999, 5.83), ("grid", "test"): (9976, 8.31),
    ("tcd-timit", "train"): (8218, 9.13), ("tcd-timit", "validation"): (686, 0.76), ("tcd-timit", "test"): (977, 1.09),
}  # fmt: skip


def report(records: list[ClipRecord]) -> str:
    """Markdown: clips and hours per corpus and split beside the paper's Table 1, per speaker, and drops by reason."""
    kept = [record for record in records if not record.dropped]
    lines = ["# Prepared clips", "", "| corpus | split | clips | hours | paper, Table 1 |", "|---|---|---|---|---|"]
    for corpus, split in sorted({(record.corpus, record.split) for record in kept}):
        seconds = [record.seconds for record in kept if (record.corpus, record.split) == (corpus, split)]
        theirs = "{} clips, {} h".format(*_TABLE_1[corpus, split]) if (corpus, split) in _TABLE_1 else ""
        lines.append(f"| {corpus} | {split} | {len(seconds)} | {sum(seconds) / 3600:.3f} | {theirs} |")
    lines += ["", "The paper counts every training clip twice: as it is and mirrored.", ""]
    lines += ["| split | speaker | clips | hours |", "|---|---|---|---|"]
    for split, speaker in sorted({(record.split, record.speaker) for record in kept}):
        seconds = [record.seconds for record in kept if (record.split, record.speaker) == (split, speaker)]
        lines.append(f"| {split} | {speaker} | {len(seconds)} | {sum(seconds) / 3600:.3f} |")
    lines += ["", f"Kept {len(kept)} of {len(records)}.", ""]
    lines += [f"- dropped {record.speaker}/{record.clip}: {record.dropped}" for record in records if record.dropped]
    return "\n".join(lines) + "\n"
