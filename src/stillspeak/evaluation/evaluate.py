"""Judges a model over the clips of a prepared folder, or any two videos. Parallel, resumable. Paper, sections 4.2-4.3.

Rows: the real video, the model from the clip's first frame and sound, that frame repeated, the model with another clip's
sound. Every row is heard with the clip's own sound.
"""

import hashlib
import json
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from stillspeak.animate import Animator, load
from stillspeak.data.manifest import ClipRecord, read_manifest
from stillspeak.data.prepare import aligned
from stillspeak.errors import DataError, MediaError, OutputError
from stillspeak.evaluation import report
from stillspeak.evaluation.identity import Embeddings, embeddings
from stillspeak.evaluation.measure import Frames, Judges, measure, reference
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.provenance import package_version
from stillspeak.media.video import read_video
from stillspeak.runtime.engine import STEP, find_model

FPS = 25
_LEAST_FRAMES = 10  # ours: less than this is no video to judge
_STRANGERS_AT_MOST = 30


@dataclass(frozen=True)
class Job:
    """One clip to judge, with the clip whose sound is the wrong one (none if it is alone)."""

    record: ClipRecord
    other: ClipRecord | None
    seed: int

    @property
    def name(self) -> str:
        return f"{self.record.speaker}/{self.record.clip}"


def evaluate(
    model: str | Path,
    data: Path,
    destination: Path,
    *,
    split: str = "test",
    speakers: list[str] | None = None,
    clips: int | None = None,
    workers: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Judges a model; writes ``results.json``, ``results.md`` and ``results.parquet``, and goes on where it was stopped.

    Args:
        model: a shipped model's name or an exported folder.
        data: a prepared folder.
        destination: made if it is not there; finished clips are kept under ``clips/`` and not judged again.
        split: train, heldout, validation or test.
        speakers: only these, if given.
        clips: at most so many, evenly from the whole list.
        workers: processes; one a core by default.
        seed: of the model's noise.

    Returns:
        What ``results.json`` holds.

    Raises:
        DataError, ModelError, OutputError: if it cannot be done.
    """
    if (workers is not None and workers < 1) or (clips is not None and clips < 1):
        raise DataError(f"--workers and --clips must be at least 1, not {workers} and {clips}.")
    folder = find_model(model)
    load(folder, threads=1)  # a damaged model is named before any clip is judged
    jobs = _jobs(read_manifest(data, split, speakers), clips, seed)
    key = _fingerprint(folder)
    done = _Done(destination, key)
    left = [job for job in jobs if done.figures(job) is None]
    if left:
        strangers = _strangers(data)
        with ProcessPoolExecutor(workers or os.cpu_count(), get_context("spawn"), initializer=_one_thread) as pool:
            running = {pool.submit(judge_clip, job, data, folder, strangers): job for job in left}
            try:
                for future in tqdm(as_completed(running), total=len(left), unit="clip", disable=None, delay=2):
                    done.keep(running[future], future.result())
            except BaseException:
                pool.shutdown(cancel_futures=True)  # an interrupt ends with the clips in hand
                raise
    figures = {job.name: done.figures(job) or {} for job in jobs}
    about = {
        "model": str(model),
        "split": split,
        "clips": len(jobs),
        "speakers": sorted({job.record.speaker for job in jobs}),
        "judges": _accuracies(),
    }
    return report.write(destination, figures, about)


def judge_clip(job: Job, data: Path, model: Path, strangers: dict[str, Embeddings]) -> report.Figures:
    """All rows of one clip."""
    real = read_video(data / job.record.path)
    sound = _sound(data, job.record)
    others = [found for speaker, found in strangers.items() if speaker != job.record.speaker]
    held = reference(real, sound, FPS, job.record.text, np.stack(others) if others else np.zeros((0, 128)))
    videos = {"ground_truth": real, "model": _animated(model, real[0], sound, job.seed), "still": real[:1]}
    if job.other is not None:
        videos["shuffled_audio"] = _animated(model, real[0], _sound(data, job.other), job.seed)
    return {row: measure(video, held, _judges()) for row, video in videos.items()}


def evaluate_videos(made: Path, real: Path, destination: Path, text: str = "") -> dict[str, Any]:
    """Judges any video against the real one, from whatever system; both are aligned first unless they are crops already.

    Args:
        made: a video of one speaking face.
        real: what it should have been, with the sound.
        destination: as in ``evaluate``.
        text: what is said, for the word error rate; GRID's sentences only.

    Raises:
        MediaError, FaceError, DataError, OutputError: if a video cannot be used.
    """
    sound = read_audio(real)
    crops = {path: _crops(path) for path in (made, real)}
    held = reference(crops[real], sound, FPS, text.lower(), np.zeros((0, 128)))
    rows = {"ground_truth": measure(crops[real], held, _judges()), "video": measure(crops[made], held, _judges())}
    _make(destination)
    about = {"video": str(made), "real": str(real), "judges": _accuracies()}
    return report.write(destination, {made.name: rows}, about)


class _Done:
    """The clips judged so far: ``clips/SPEAKER/CLIP.json``, each with what it was judged with."""

    def __init__(self, destination: Path, key: str) -> None:
        self.folder, self.key = destination / "clips", key
        _make(self.folder)

    def figures(self, job: Job) -> report.Figures | None:
        try:
            kept = json.loads(self._path(job).read_text())
        except (OSError, json.JSONDecodeError):
            return None
        return kept["figures"] if kept["key"] == self._key(job) else None

    def keep(self, job: Job, figures: report.Figures) -> None:
        path = self._path(job)
        _make(path.parent)
        part = path.with_suffix(".part")
        try:
            part.write_text(json.dumps({"key": self._key(job), "figures": figures}))
            part.replace(path)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.") from error

    def _path(self, job: Job) -> Path:
        return self.folder / job.record.speaker / f"{job.record.clip}.json"

    def _key(self, job: Job) -> str:
        return f"{self.key} {job.seed} {job.other.path if job.other else ''}"


def _jobs(records: list[ClipRecord], clips: int | None, seed: int) -> list[Job]:
    """Each clip, with the next one in the list that says something else."""
    if clips is not None and clips < len(records):
        records = [records[i] for i in np.linspace(0, len(records) - 1, clips).round().astype(int)]
    jobs = []
    for index, record in enumerate(records):
        following = [*records[index + 1 :], *records[:index]]
        other = next((other for other in following if not record.text or other.text != record.text), None)
        jobs.append(Job(record, other, seed))
    return jobs


def _strangers(data: Path) -> dict[str, Embeddings]:
    """A descriptor of every speaker of the prepared folder, from the first frame of one clip."""
    firsts: dict[str, ClipRecord] = {}
    for record in read_manifest(data):
        firsts.setdefault(record.speaker, record)
    chosen = dict(list(firsts.items())[:_STRANGERS_AT_MOST])
    return {speaker: embeddings(read_video(data / record.path)[:1])[0] for speaker, record in chosen.items()}


def _fingerprint(model: Path) -> str:
    """What a figure depends on: the model, the judges, the program."""
    digest = hashlib.sha256(package_version().encode())
    graphs = [
        model / STEP,
        *(path for name in ("lipreader", "sync") for path in sorted(find_model(name).glob("*.onnx"))),
    ]
    for path in graphs:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _animated(model: Path, still: Frames, sound: Sound, seed: int) -> Frames:
    animator = _animator(model)
    talk = animator.begin_aligned(still, seed=seed)
    talk, first = animator.push(talk, sound.at(animator.rate_hz).samples)
    return np.concatenate([first, animator.finish(talk)[1]])


def _sound(data: Path, record: ClipRecord) -> Sound:
    return read_audio((data / record.path).with_suffix(".flac"))


def _crops(path: Path) -> Frames:
    frames = read_video(path, FPS)
    if len(frames) < _LEAST_FRAMES:
        raise MediaError(f"{path} has {len(frames)} frames; at least {_LEAST_FRAMES} are needed to judge it.")
    return frames if frames.shape[1:3] == (HEIGHT_PX, WIDTH_PX) else aligned(frames)[0]


def _accuracies() -> dict[str, Any]:
    judges = _judges()
    return {
        "lip reader on real clips": judges.reader.model.accuracy,
        "sync scorer on real clips": judges.scorer.model.accuracy,
    }


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made: {error.strerror}.") from error


@cache
def _animator(model: Path) -> Animator:
    return load(model, threads=1)


@cache
def _judges() -> Judges:
    return Judges()


def _one_thread() -> None:
    cv2.setNumThreads(1)
