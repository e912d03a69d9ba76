"""Judges a model over the clips of a prepared folder, or any two videos. Paper, sections 4.2-4.3.

Rows: the real video, the model from the clip's first frame and sound, that frame repeated, the model with another clip's
sound, and with several seeds of noise the model without noise. Every row is heard with the clip's own sound.
"""

import contextlib
import copy
import hashlib
import signal
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av.error
import cv2
import numpy as np
from tqdm import tqdm

from stillspeak.animate import Animator, load
from stillspeak.cores import granted_cores
from stillspeak.data.manifest import ClipRecord, choose_split, read_manifest
from stillspeak.data.prepare import aligned
from stillspeak.errors import DataError, MediaError, OutputError, StillspeakError
from stillspeak.evaluation import report
from stillspeak.evaluation.identity import Embeddings, embeddings
from stillspeak.evaluation.kept import Done, Job, list_jobs
from stillspeak.evaluation.measure import Frames, Judges, measure, reference
from stillspeak.media.audio import Sound, read_audio, require_speech
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.provenance import package_version
from stillspeak.media.video import read_video
from stillspeak.runtime.engine import find_model, model_digest
from stillspeak.whole import make_folder

FPS = 25
_LEAST_FRAMES = 10  # ours: a shorter video cannot be judged
_STRANGERS_AT_MOST = 30


def evaluate(
    model: str | Path,
    data: Path,
    destination: Path,
    *,
    split: str | None = None,
    speakers: list[str] | None = None,
    clips: int | None = None,
    workers: int | None = None,
    seed: int = 0,
    noise_seeds: int = 1,
) -> dict[str, Any]:
    """Judges a model, or goes on judging it; writes ``results.json``, ``.md`` and ``.parquet``; returns what the first holds.

    Args:
        model: a shipped model's name or an exported folder.
        data: a prepared folder.
        destination: the folder for the results; finished clips are kept under ``clips/`` and not judged again.
        split: train, heldout, validation or test; by default ``choose_split`` chooses.
        speakers: the speakers whose clips are judged; None for all.
        clips: the most clips to judge, spread evenly over the list; None for all.
        workers: how many processes judge; by default one for each core.
        seed: the first seed of the model's noise.
        noise_seeds: how many seeds there are; the model's figures are means over them.

    Raises:
        DataError, ModelError, OutputError: if the clips, the model or the destination cannot be used.
    """
    folder, split = find_model(model), choose_split(data, split, speakers)
    load(folder, threads=1)  # a damaged model is named before any clip is judged
    records = judgeable(data, split, speakers, clips, workers, seed, noise_seeds)
    jobs = list_jobs(records, clips, seed, noise_seeds)
    everyone = read_manifest(data)
    done = Done(destination, _fingerprint(folder, everyone), data)
    left = [job for job in jobs if done.figures(job) is None]
    skipped = _judge(left, data, folder, _strangers(data, everyone), done, workers) if left else {}
    about = {"model": str(model), "split": split, **({"noise_seeds": noise_seeds} if noise_seeds > 1 else {})}
    return _reported(jobs, done, destination, about, skipped)


def _reported(
    jobs: list[Job], done: Done, destination: Path, about: dict[str, Any], skipped: dict[str, str]
) -> dict[str, Any]:
    """Writes the results of all clips that were judged. Raises DataError if there are none."""
    figures = {job.name: kept for job in jobs if (kept := done.figures(job)) is not None}
    if not figures:
        raise DataError(f"No clip could be judged: {next(iter(skipped.values()))}")
    speakers = sorted({job.record.speaker for job in jobs if job.name in figures})
    about |= {"clips": len(figures), "speakers": speakers, "judges": _accuracies()}
    return report.write(destination, figures, about | ({"skipped": skipped} if skipped else {}))


def judgeable(
    data: Path,
    split: str,
    speakers: list[str] | None,
    clips: int | None,
    workers: int | None,
    seed: int = 0,
    noise_seeds: int = 1,
) -> list[ClipRecord]:
    """Returns the clips that ``evaluate`` would choose from. Raises DataError if it would refuse."""
    numbers = ("--workers", workers, 1), ("--clips", clips, 1), ("--seed", seed, 0), ("--noise-seeds", noise_seeds, 1)
    for name, count, least in numbers:
        if count is not None and count < least:
            raise DataError(f"{name} must be at least {least}, not {count}.")
    records = read_manifest(data, split, speakers)
    unknown = set(speakers or ()) - {record.speaker for record in records}
    if unknown:
        raise DataError(f"{data} holds no clips of split {split}, speaker {', '.join(sorted(unknown))}.")
    return records


def _judge(
    jobs: list[Job],
    data: Path,
    model: Path,
    strangers: dict[str, Embeddings],
    done: Done,
    workers: int | None,
) -> dict[str, str]:
    """Judges clips in parallel, and keeps each as it is done; returns the clips that could not be judged, with the reasons."""
    skipped: dict[str, str] = {}

    def keep(job: Job, future: "Future[report.Figures]") -> None:
        try:
            done.keep(job, future.result())
        except (BrokenProcessPool, OutputError):
            raise
        except (StillspeakError, ValueError, av.error.FFmpegError, cv2.error) as error:
            skipped[job.name] = str(error)

    with ProcessPoolExecutor(workers or granted_cores(), get_context("spawn"), initializer=_begin_worker) as pool:
        running = {pool.submit(judge_clip, job, data, model, strangers): job for job in jobs}
        try:
            for future in tqdm(as_completed(running), total=len(jobs), unit="clip", disable=None, delay=2):
                keep(running.pop(future), future)
        except BrokenProcessPool as error:
            said = "A process was ended from outside, perhaps for want of memory; what was judged is kept: run it again"
            raise DataError(f"{said}, with fewer --workers.") from error
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the clips in hand are finished, and kept as well
            for future, job in running.items():
                if future.done() and not future.cancelled():
                    keep(job, future)
            raise
    return skipped


def judge_clip(job: Job, data: Path, model: Path, strangers: dict[str, Embeddings]) -> report.Figures:
    """Computes all rows of one clip."""
    real = read_video(data / job.record.path)
    sound, animator = clip_sound(data, job.record), _animator(model)
    if len(real) < _LEAST_FRAMES:
        raise DataError(f"{job.name} has {len(real)} frames; at least {_LEAST_FRAMES} are needed to judge it.")
    require_speech(sound.seconds, 1 / FPS)
    others = [found for speaker, found in strangers.items() if speaker != job.record.speaker]
    held = reference(real, sound, FPS, job.record.text, np.stack(others) if others else np.zeros((0, 128)))
    seeds = range(job.seed, job.seed + job.noise_seeds)
    videos = {"ground_truth": real, "still": real[:1]}
    videos |= {report.seed_row(seed): animator.animate_aligned(real[0], sound, seed=seed) for seed in seeds}
    if job.noise_seeds > 1:
        videos["no_noise"] = _without_noise(model).animate_aligned(real[0], sound)
    if job.other is not None:
        with contextlib.suppress(StillspeakError):  # the other clip is to blame, and its own row says so
            videos["shuffled_audio"] = animator.animate_aligned(real[0], clip_sound(data, job.other), seed=job.seed)
    return report.over_seeds({row: measure(video, held, _judges()) for row, video in videos.items()})


def evaluate_videos(made: Path, real: Path, destination: Path, text: str = "") -> dict[str, Any]:
    """Judges any video, made by any system, against the real one; both are aligned first unless they are crops already.

    Args:
        made: a video of one speaking face.
        real: the real video, with the sound.
        destination: the folder for the results.
        text: the GRID sentence that is spoken, for the word error rate; empty for no word error rate.

    Raises:
        MediaError, FaceError, DataError, OutputError: if a video cannot be used.
    """
    make_folder(destination)
    sound = read_audio(real)
    crops = {path: _crops(path) for path in (made, real)}
    held = reference(crops[real], sound, FPS, text.lower(), np.zeros((0, 128)))
    rows = {"ground_truth": measure(crops[real], held, _judges()), "video": measure(crops[made], held, _judges())}
    about = {"video": str(made), "real": str(real), "judges": _accuracies()}
    return report.write(destination, {made.name: rows}, about)


def _strangers(data: Path, everyone: list[ClipRecord]) -> dict[str, Embeddings]:
    """Returns a descriptor of every speaker of the prepared folder, from the first frame of a clip that can be read."""
    found: dict[str, Embeddings] = {}
    for record in everyone:
        if record.speaker in found or len(found) == _STRANGERS_AT_MOST:
            continue
        with contextlib.suppress(MediaError):
            found[record.speaker] = embeddings(read_video(data / record.path)[:1])[0]
    return found


def _fingerprint(model: Path, everyone: list[ClipRecord]) -> str:
    """Returns a digest of all that figures depend on beside the clip: the model, the judges, the program, the other people."""
    digest = hashlib.sha256(package_version().encode())
    digest.update(" ".join(sorted({record.speaker for record in everyone})).encode())
    digest.update(model_digest(model).encode())
    judges = [path for name in ("lipreader", "sync") for path in sorted(find_model(name).glob("*.onnx"))]
    for path in [*judges, *sorted(Path(__file__).parent.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def clip_sound(data: Path, record: ClipRecord) -> Sound:
    """Reads the sound of a prepared clip."""
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


@cache
def _animator(model: Path) -> Animator:
    return load(model, threads=1)


@cache
def _without_noise(model: Path) -> Animator:
    """Returns the model whose noise is zero: its eyes neither blink nor drift."""
    engine = copy.copy(_animator(model).engine)
    engine.description = replace(engine.description, noise_variance=0.0)
    return Animator(engine)


@cache
def _judges() -> Judges:
    return Judges()


def _begin_worker() -> None:
    """Gives a worker one thread, and lets it ignore Ctrl-C, which the parent handles, so that clips in hand are finished."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
