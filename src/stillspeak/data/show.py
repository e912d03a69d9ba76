"""Shows a prepared folder at a glance: a table of its speakers, and a contact sheet with each one's mean aligned face."""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.manifest import ClipRecord, read_manifest
from stillspeak.media.faces import CANONICAL, HEIGHT_PX, WIDTH_PX
from stillspeak.media.images import write_image
from stillspeak.media.video import read_video

EYES_AND_NOSE = (45, 42, 36, 39, 33)  # among the 68 points, in the order of ``CANONICAL``
_MOMENTS = 7
_CLIPS_A_MEAN = 4
_MOST_SPEAKERS = 40


def by_speaker(folder: Path, split: str | None = None) -> dict[tuple[str, str, str], list[ClipRecord]]:
    """Returns the usable clips by corpus, split and speaker, sorted. Raises DataError if there are none."""
    clips: dict[tuple[str, str, str], list[ClipRecord]] = defaultdict(list)
    for record in read_manifest(folder, split):
        clips[record.corpus, record.split, record.speaker].append(record)
    return dict(sorted(clips.items()))


def speakers_table(folder: Path, split: str | None = None) -> str:
    """Returns a Markdown table with each speaker's clips, minutes, sharpness, and error of the alignment in pixels."""
    lines = ["| corpus | split | speaker | clips | minutes | sharpness | eyes and nose off, px |", "|---" * 7 + "|"]
    for (corpus, of, speaker), records in by_speaker(folder, split).items():
        minutes = sum(record.seconds for record in records) / 60
        sharpness = float(np.mean([record.sharpness for record in records]))
        off = f"{misplaced_px(records):.2f}"
        lines.append(f"| {corpus} | {of} | {speaker} | {len(records)} | {minutes:.1f} | {sharpness:.0f} | {off} |")
    return "\n".join(lines)


def misplaced_px(records: list[ClipRecord]) -> float:
    """Returns how far a speaker's mean eyes and nose are from the canonical points, as a mean over both coordinates."""
    means = [record.points()[:, EYES_AND_NOSE].mean(axis=0) for record in records]
    return float(np.abs(np.mean(means, axis=0) - CANONICAL).mean())


def contact_sheet(folder: Path, output: Path, split: str | None = None) -> str:
    """Draws a row for each speaker, with the mean face and then moments of a clip, and writes the picture; returns its path.

    Raises:
        DataError: if there are no clips.
        OutputError: if the file cannot be written, or is no .png or .jpg.
    """
    speakers = list(by_speaker(folder, split).items())
    rows = [_row(folder, records) for _, records in speakers[:_MOST_SPEAKERS]]
    write_image(output, np.vstack(rows))
    left_out = f"; {len(speakers) - len(rows)} speakers more" if len(speakers) > len(rows) else ""
    return f"{output}: {len(rows)} speakers, the mean face first, then one clip{left_out}"


def _row(folder: Path, records: list[ClipRecord]) -> NDArray[np.uint8]:
    videos = [read_video(folder / record.path) for record in records[:_CLIPS_A_MEAN]]
    mean = np.mean([video.mean(axis=0) for video in videos], axis=0).round().astype(np.uint8)
    for x, y in CANONICAL.round().astype(int):
        cv2.circle(mean, (int(x), int(y)), 1, (0, 255, 0), -1)
    chosen = np.linspace(0, len(videos[0]) - 1, _MOMENTS).round().astype(int)
    row = np.hstack([mean, *videos[0][chosen]])
    assert row.shape == (HEIGHT_PX, WIDTH_PX * (_MOMENTS + 1), 3)
    return row
