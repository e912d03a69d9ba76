"""Raw corpus -> aligned clips + manifest.parquet + report.md. Paper, section 4.1.

One pure function per clip, run in a process pool. A clip is done when its record lies beside it, so a run that was stopped
goes on where it was. What cannot be used is dropped with a reason, never with a crash.
"""

import json
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path

import av.error
import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray
from tqdm import tqdm

from stillspeak.data.corpora import SourceClip, grid
from stillspeak.data.landmarks import points68
from stillspeak.data.manifest import ClipRecord, Word, write_manifest
from stillspeak.data.readings import READERS, installed, make_readings
from stillspeak.data.voices import make_voices
from stillspeak.errors import DataError, FaceError, StillspeakError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.faces import align, face_points, find_faces, similarity, smooth
from stillspeak.media.video import VideoWriter, read_video

CORPORA = {"grid": grid}
FPS = 25  # paper, section 4
_DETECT_EVERY = 25  # ours: the head moves slowly; between detections the box is interpolated
_CRF = 8  # ours: 4:4:4 at this quality is over 45 dB from the pixels it was given
_ENLARGED = 2  # ours: dlib gives landmarks in whole pixels; this halves the step
_BLANK_SPREAD = 4.0  # ours, of 255
_TORN_CHANGE = 20.0  # ours, of 255: speech moves a GRID frame by 1 to 5
_LENGTH_TOLERANCE_SECONDS = 0.5


def prepare(
    corpus: str,
    source: str | Path,
    destination: str | Path,
    workers: int | None = None,
    voices: int = 0,
    readings: int = 0,
) -> list[ClipRecord]:
    """Prepares a corpus.

    Args:
        corpus: ``grid``.
        source: the folder as published.
        destination: where clips, ``manifest.parquet`` and ``report.md`` go.
        workers: processes; the number of cores by default.
        voices: revoiced copies of each training clip's sound (``voices.py``).
        readings: readings of each training clip's words by synthetic voices (``readings.py``).

    Raises:
        DataError: if the source is missing or holds no clips, the corpus is unknown, or readings are asked for where no
            speech engine is installed.
    """
    source, destination = Path(source), Path(destination)
    if corpus not in CORPORA:
        raise DataError(f"{corpus} is no corpus known here; known: {', '.join(CORPORA)}.")
    if not source.is_dir():
        raise DataError(f"There is no folder {source}.")
    if workers is not None and workers < 1:
        raise DataError(f"--workers must be at least 1, not {workers}.")
    if voices < 0 or readings < 0:
        raise DataError(f"--voices and --readings must be at least 0, not {voices} and {readings}.")
    if readings:
        installed(READERS)
    clips = list(CORPORA[corpus](source))
    try:
        destination.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{destination} cannot be made: {error.strerror}.") from error
    with ProcessPoolExecutor(workers or os.cpu_count(), get_context("spawn"), initializer=_one_thread) as pool:
        jobs = [pool.submit(prepare_clip, clip, destination, voices, readings) for clip in clips]
        try:
            for job in tqdm(as_completed(jobs), total=len(clips), unit="clip"):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)  # an interrupt ends with the clips in hand
            raise
    records = [_load_record(_record_path(destination, clip)) for clip in clips]
    write_manifest(destination, records)
    (destination / "report.md").write_text(report(records))
    return records


def prepare_clip(clip: SourceClip, destination: Path, voices: int = 0, readings: int = 0) -> None:
    """Aligns one clip and writes its video, sound and record under ``destination``; drops it with a reason if it must."""
    record = _record_path(destination, clip)
    if not record.exists():
        _prepare_clip(clip, destination, record)
    flac = record.with_suffix(".flac")
    if clip.split == "train" and flac.exists():
        make_voices(flac, voices)
        make_readings(flac, clip.spoken, readings)


def _prepare_clip(clip: SourceClip, destination: Path, record: Path) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    done = ClipRecord(clip.clip, clip.corpus, clip.speaker, clip.split)
    try:
        frames, landmarks = aligned(read_video(clip.path, FPS))
        sound = read_audio(clip.path)
        if abs(sound.seconds - len(frames) / FPS) > _LENGTH_TOLERANCE_SECONDS:
            raise DataError(f"{sound.seconds:.2f} s of sound and {len(frames) / FPS:.2f} s of picture.")
        video = record.with_suffix(".mp4")
        _write_clip(video, frames, sound)
        done = replace(
            done,
            path=str(video.relative_to(destination)),
            frames=len(frames),
            seconds=sound.seconds,
            words=list(clip.words),
            landmarks=[round(value, 2) for value in landmarks.ravel().tolist()],
        )
    except StillspeakError as error:
        done = replace(done, dropped=str(error))
    except (av.error.FFmpegError, cv2.error, ValueError) as error:  # whatever else a broken file can make a library say
        done = replace(done, dropped=f"unreadable: {error}")
    part = record.with_suffix(".part")
    part.write_text(json.dumps(asdict(done)))
    part.replace(record)


def aligned(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Aligned crops ``(time, 128, 96, 3)`` and their landmarks ``(time, 68, 2)`` in crop pixels.

    Raises:
        FaceError: if no face is found in any of the frames looked at.
        DataError: if frames are blank or torn, as where a damaged file lost its first key frame.
    """
    _require_whole(frames)
    fives, points = [], []
    for frame, box in zip(frames, _boxes(frames), strict=True):
        large = np.asarray(cv2.resize(frame, None, fx=_ENLARGED, fy=_ENLARGED), np.uint8)
        edges = _whole(box * _ENLARGED)
        fives.append(face_points(large, edges) / _ENLARGED)
        points.append(points68(large, edges) / _ENLARGED)
    matrices = [similarity(five) for five in smooth(np.stack(fives))]
    crops = np.stack([align(frame, matrix) for frame, matrix in zip(frames, matrices, strict=True)])
    moved = [p @ m[:, :2].T + m[:, 2] for p, m in zip(points, matrices, strict=True)]
    return crops, np.stack(moved).astype(np.float32)


def _require_whole(frames: NDArray[np.uint8]) -> None:
    """Refuses a video in which the picture is blank, or changes as a whole from one frame to the next."""
    thumbs = frames[:, ::8, ::8].reshape(len(frames), -1).astype(np.float32)
    blank = np.flatnonzero(thumbs.std(axis=1) < _BLANK_SPREAD)
    if len(blank):
        raise DataError(f"{len(blank)} blank frames, the first is frame {blank[0]}.")
    jumps = np.abs(np.diff(thumbs, axis=0)).mean(axis=1)
    if len(jumps) and jumps.max() > _TORN_CHANGE:
        raise DataError(f"the picture is torn at frame {int(jumps.argmax()) + 1}.")


def report(records: list[ClipRecord]) -> str:
    """Markdown: clips kept and hours per split and speaker, and what was dropped for which reason."""
    kept = [record for record in records if not record.dropped]
    lines = ["# Prepared clips", "", "| split | speaker | clips | hours |", "|---|---|---|---|"]
    counts = Counter((record.split, record.speaker) for record in kept)
    for split, speaker in sorted(counts):
        seconds = sum(record.seconds for record in kept if (record.split, record.speaker) == (split, speaker))
        lines.append(f"| {split} | {speaker} | {counts[split, speaker]} | {seconds / 3600:.3f} |")
    lines += ["", f"Kept {len(kept)} of {len(records)}.", ""]
    lines += [f"- dropped {record.speaker}/{record.clip}: {record.dropped}" for record in records if record.dropped]
    return "\n".join(lines) + "\n"


def _boxes(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The detector's box in every frame, ``(time, 4)``: looked for every second, interpolated between."""
    at, found = [], []
    for t in sorted({*range(0, len(frames), _DETECT_EVERY), len(frames) - 1}):
        faces = find_faces(frames[t])
        if faces:
            at.append(t)
            found.append(faces[0].box)
    if not found:
        raise FaceError("no face found.")
    edges = np.array(found, float)
    return np.stack([np.interp(np.arange(len(frames)), at, edges[:, i]) for i in range(4)], axis=1)


def _whole(box: NDArray[np.float64]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    return left, top, right, bottom


def _write_clip(video: Path, frames: NDArray[np.uint8], sound: Sound) -> None:
    flac = video.with_suffix(".flac")
    part = flac.with_suffix(".part.flac")
    soundfile.write(part, np.clip(sound.samples, -1, 1), sound.rate_hz, subtype="PCM_16")
    part.replace(flac)
    with VideoWriter(video, FPS, crf=_CRF, pixel_format="yuv444p") as writer:
        for frame in frames:
            writer.write(frame)


def _record_path(destination: Path, clip: SourceClip) -> Path:
    return destination / "clips" / clip.speaker / f"{clip.clip}.json"


def _load_record(path: Path) -> ClipRecord:
    fields = json.loads(path.read_text())
    return ClipRecord(**{**fields, "words": [Word(**word) for word in fields["words"]]})


def _one_thread() -> None:
    cv2.setNumThreads(1)
