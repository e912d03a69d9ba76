"""Turns a raw corpus into aligned clips, ``manifest.parquet`` and ``report.md``. Paper, section 4.1.

One pure function prepares a clip; a pool of processes or a Ray cluster runs it. A clip is done when its record lies beside it,
so a run that was stopped goes on where it was. A clip that cannot be used is dropped with a reason, and never ends the run.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import av.error
import cv2
import numpy as np
import soundfile
from numpy.typing import NDArray

from stillspeak.data.corpora import SourceClip, source_clips
from stillspeak.data.landmarks import points68
from stillspeak.data.manifest import ClipRecord
from stillspeak.data.pools import require_counts, work_through
from stillspeak.data.readings import READERS, installed, make_readings
from stillspeak.data.records import (
    earlier_records,
    load_record,
    new_record,
    publish_records,
    record_path,
    require_same,
)
from stillspeak.data.voices import flac, make_voices
from stillspeak.errors import DataError, FaceError, OutputError, StillspeakError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.faces import align, face_points, find_faces, similarity, smooth
from stillspeak.media.spans import spans
from stillspeak.media.video import read_video
from stillspeak.media.writer import VideoWriter
from stillspeak.whole import make_folder, whole

FPS = 25  # paper, section 4
_DETECT_EVERY = 25  # ours: the head moves slowly; between detections the box is interpolated
_CRF = 8  # ours: in 4:4:4 this quality keeps over 45 dB
_ENLARGED = 2  # ours: dlib gives landmarks in whole pixels; this halves the step
_BLANK_SPREAD = 4.0  # ours, of 255: a blank picture varies by less
_TORN_CHANGE = 20.0  # ours, of 255: speech moves a GRID frame by 1 to 5
_LENGTH_TOLERANCE_SECONDS = 0.5
_FEWEST_FRAMES = 8  # ours: the shortest LRW clip has 29
_FROZEN_CHANGE, _FROZEN_SECONDS = 0.05, 1.0  # ours, of 255: a camera's noise alone changes more
_LOST_SECONDS = 2.0  # ours: without a face for longer than this, nobody knows where it was
_TURNED = 0.22  # ours: in a profile the nose is so near to one eye's outer corner, as a share of their distance


def prepare(
    corpus: str,
    source: str | Path,
    destination: str | Path,
    workers: int | None = None,
    voices: int = 0,
    readings: int = 0,
    cluster: str = "",
) -> list[ClipRecord]:
    """Prepares a corpus.

    Args:
        corpus: ``grid``, ``tcd-timit``, ``crema-d``, ``lrw`` or ``folder``.
        source: the folder as published.
        destination: where clips, ``manifest.parquet`` and ``report.md`` go; several corpora may share it.
        workers: how many processes work; by default one for each core.
        voices: how many revoiced copies each training clip's sound gets (``voices.py``).
        readings: how many synthetic voices read each training clip's words (``readings.py``).
        cluster: the address of a Ray cluster; ``local`` starts one here; an empty one uses a pool of processes.

    Raises:
        DataError: if the source is missing or holds no clips, the corpus is unknown, the cluster cannot be reached, no speech
            engine is installed for readings, or a worker was ended from outside.
        OutputError: if the destination cannot be written.
    """
    source, destination = Path(source).resolve(), Path(destination)
    require_counts(workers, voices, readings)
    if readings:
        installed(READERS)
    clips = source_clips(corpus, source, destination.resolve() / "clips")
    before = earlier_records(destination)
    require_same(clips, before, destination)
    make_folder(destination, DataError)
    work = partial(prepare_clip, destination=destination.resolve(), voices=voices, readings=readings)
    work_through(work, clips, "clip", workers, cluster)
    records = [load_record(record_path(destination, clip)) for clip in clips]
    publish_records(destination, corpus, before, records)
    return records


def prepare_clip(clip: SourceClip, destination: Path, voices: int = 0, readings: int = 0) -> None:
    """Aligns one clip and writes its video, sound and record under ``destination``; drops it with a reason if it is unusable.

    Raises:
        OutputError: if there is no room; the clip is not to blame, and the next run tries it again.
    """
    record = record_path(destination, clip)
    flac = record.with_suffix(".flac")
    try:
        if not record.exists():
            _prepare_clip(clip, destination, record)
        if clip.split == "train" and flac.exists():
            make_voices(flac, voices)
            make_readings(flac, clip.spoken, readings)
    except (OSError, soundfile.LibsndfileError) as error:
        why = error.strerror if isinstance(error, OSError) else error.error_string
        raise OutputError(f"{flac.with_suffix('')} could not be written: {why}.") from error


def _prepare_clip(clip: SourceClip, destination: Path, record: Path) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    done = new_record(clip)
    try:
        raw = read_video(clip.path, FPS)
        require_moving(raw)
        frames, landmarks = aligned(raw)
        require_frontal(landmarks)
        sound = read_audio(clip.path)
        if abs(sound.seconds - len(frames) / FPS) > _LENGTH_TOLERANCE_SECONDS:
            raise DataError(f"{sound.seconds:.2f} s of sound and {len(frames) / FPS:.2f} s of picture.")
        video = record.with_suffix(".mp4")
        write_clip(video, frames, sound)
        done = replace(
            done,
            path=str(video.relative_to(destination)),
            frames=len(frames),
            seconds=sound.seconds,
            words=list(clip.words),
            sharpness=sharpness(frames),
            landmarks=[round(value, 2) for value in landmarks.ravel().tolist()],
        )
    except OutputError:
        raise
    except StillspeakError as error:
        done = replace(done, dropped=str(error))
    except (av.error.FFmpegError, cv2.error, ValueError) as error:  # libraries raise these over broken files
        done = replace(done, dropped=f"unreadable: {error}")
    with whole(record) as part:
        part.write_text(json.dumps(done.as_dict()), "utf-8")


def aligned(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Cuts aligned crops ``(time, 128, 96, 3)`` out of frames; returns them with landmarks ``(time, 68, 2)`` in crop pixels.

    Raises:
        FaceError: if no face is found, or it is lost for long.
        DataError: if frames are blank or torn, for instance because a damaged file lost its first key frame.
    """
    _require_whole(frames)
    fives, points = [], []
    for frame, box in zip(frames, _boxes(frames), strict=True):
        corner, around = _surroundings(frame, box)
        large = np.asarray(cv2.resize(around, None, fx=_ENLARGED, fy=_ENLARGED), np.uint8)
        edges = _whole((box - np.tile(corner, 2)) * _ENLARGED)
        fives.append(face_points(large, edges) / _ENLARGED + corner)
        points.append(points68(large, edges) / _ENLARGED + corner)
    matrices = [similarity(five) for five in smooth(np.stack(fives))]
    crops = np.stack([align(frame, matrix) for frame, matrix in zip(frames, matrices, strict=True)])
    moved = [p @ m[:, :2].T + m[:, 2] for p, m in zip(points, matrices, strict=True)]
    return crops, np.stack(moved).astype(np.float32)


def _surroundings(frame: NDArray[np.uint8], box: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Cuts out a face with half its size around it, for the landmark predictors; returns its corner (x, y) and the picture."""
    left, top, right, bottom = _whole(box)
    margin = (right - left) // 2
    left, top = max(0, left - margin), max(0, top - margin)
    return np.array([left, top], np.float32), frame[top : bottom + margin, left : right + margin]


def sharpness(frames: NDArray[np.uint8]) -> float:
    """Returns the variance of the Laplacian, mean over frames ``(time, 128, 96, 3)``: some hundreds, below 50 if blurred."""
    greys = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    return round(float(np.mean([cv2.Laplacian(grey, cv2.CV_32F).var() for grey in greys])), 1)


def _require_whole(frames: NDArray[np.uint8]) -> None:
    """Refuses a video in which the picture is blank, or changes as a whole from one frame to the next."""
    thumbs = _thumbs(frames)
    blank = np.flatnonzero(thumbs.std(axis=1) < _BLANK_SPREAD)
    if len(blank):
        raise DataError(f"{len(blank)} blank frames, the first is frame {blank[0]}.")
    jumps = _changes(thumbs)
    if len(jumps) and jumps.max() > _TORN_CHANGE:
        raise DataError(f"the picture is torn at frame {int(jumps.argmax()) + 1}.")


def require_moving(frames: NDArray[np.uint8]) -> None:
    """Refuses a clip of a handful of frames, or whose picture stands still, because no model learns to speak from it.

    Raises:
        DataError: if the clip is such a one.
    """
    if len(frames) < _FEWEST_FRAMES:
        raise DataError(f"{len(frames)} frames are too few; {_FEWEST_FRAMES} are needed.")
    standing = _longest_run(_changes(_thumbs(frames)) < _FROZEN_CHANGE)
    if standing > FPS * _FROZEN_SECONDS:
        raise DataError(f"the picture stands still for {standing / FPS:.1f} s.")


def _thumbs(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns every eighth pixel of a video, ``(time, values)``."""
    return frames[:, ::8, ::8].reshape(len(frames), -1).astype(np.float32)


def _changes(thumbs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the mean change of the picture from each frame to the next, of 255."""
    return np.abs(np.diff(thumbs, axis=0)).mean(axis=1)


def _longest_run(values: NDArray[np.bool_]) -> int:
    """Returns the most values that are true in a row."""
    return max((end - begin for begin, end in spans(values)), default=0)


def require_frontal(points: NDArray[np.float32]) -> None:
    """Refuses a face that looks past the camera for most of the time, by its landmarks ``(time, 68, 2)``.

    Raises:
        FaceError: if it looks past the camera.
    """
    left, right, nose = points[:, 36, 0], points[:, 45, 0], points[:, 30, 0]
    place = float(np.median((nose - left) / np.maximum(right - left, 1.0)))
    if not _TURNED < place < 1 - _TURNED:
        raise FaceError("the face is turned too far to a side.")


def _boxes(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Finds the box of one face in every frame, ``(time, 4)``: it looks once a second, and interpolates between.

    If there are several faces, it takes the largest in the first frame that shows any, and then the one nearest to it.
    """
    at: list[int] = []
    found: list[NDArray[np.float64]] = []
    for t in sorted({*range(0, len(frames), _DETECT_EVERY), len(frames) - 1}):
        boxes = [np.array(face.box, float) for face in find_faces(frames[t])]
        if found:
            reach = 0.5 * (found[-1][2] - found[-1][0])
            boxes = [box for box in boxes if np.abs(box - found[-1]).max() < reach]
            boxes.sort(key=lambda box: float(np.abs(box - found[-1]).max()))
        else:
            boxes.sort(key=lambda box: float(box[0] - box[2]))
        if boxes:
            at.append(t)
            found.append(boxes[0])
    if not found:
        raise FaceError("no face found.")
    gaps = np.diff([0, *at, len(frames) - 1])
    if gaps.max() > FPS * _LOST_SECONDS:
        raise FaceError(f"the face is lost for {gaps.max() / FPS:.1f} s.")
    edges = np.stack(found)
    return np.stack([np.interp(np.arange(len(frames)), at, edges[:, i]) for i in range(4)], axis=1)


def _whole(box: NDArray[np.float64]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(float(edge)) for edge in box)
    return left, top, right, bottom


def write_clip(video: Path, frames: NDArray[np.uint8], sound: Sound, synthetic: bool = False) -> None:
    """Writes a prepared clip: H.264 in 4:4:4 without visible loss, and lossless sound beside it."""
    with whole(video.with_suffix(".flac")) as part:
        part.write_bytes(flac(sound.samples, sound.rate_hz))
    with VideoWriter(video, FPS, crf=_CRF, pixel_format="yuv444p", synthetic=synthetic) as writer:
        for frame in frames:
            writer.write(frame)
