"""Prepares performers: every photo of a folder acts some clips of other people. It goes on where it was stopped.

A performer's clip has two more files than any prepared clip. ``NAME.large.mp4`` holds the same frames at three times the crop's
size, and ``NAME.motion.parquet`` holds what head, lids and mood do in each frame, and the landmarks of the drawn head.
"""

import json
import shutil
import zlib
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stillspeak.data.corpora import SourceClip
from stillspeak.data.files import large_path
from stillspeak.data.manifest import ClipRecord, read_manifest, speaker_weights
from stillspeak.data.performers.drive import Performance, coefficients, watch
from stillspeak.data.performers.head import Head, read_head
from stillspeak.data.performers.lids import BLINKS
from stillspeak.data.performers.motion import write_motion
from stillspeak.data.performers.move import as_predicted, move
from stillspeak.data.performers.render import frame, stage_of
from stillspeak.data.performers.sitter import Sitter, sit
from stillspeak.data.performers.tracking import Tracker
from stillspeak.data.performers.variety import Variety, draw_variety, filmed, mood_coefficients, relit
from stillspeak.data.pools import require_counts, work_through
from stillspeak.data.portraits import find_photos
from stillspeak.data.prepare import FPS, sharpness, write_clip
from stillspeak.data.records import earlier_records, load_record, new_record, publish_records, record_path, require_same
from stillspeak.data.voices import with_copies
from stillspeak.errors import DataError, OutputError, StillspeakError
from stillspeak.media.audio import read_audio
from stillspeak.media.faces import HEIGHT_PX, WIDTH_PX
from stillspeak.media.images import read_image
from stillspeak.media.video import read_video
from stillspeak.media.writer import VideoWriter
from stillspeak.whole import whole

CORPUS = "performers"
TASK = "face_landmarker.task"
_VALIDATION_ONE_IN = 6  # one person in so many is for validation, by a checksum of the photo's name
_PERFORMED = {"train": ("train",), "validation": ("validation", "heldout")}
_EVENNESS = 0.5  # ours: a speaker with many clips performs more often, but not by as much
_LARGE_CRF = 12  # ours: the quality of the large video in H.264
_NO_SPEAKER = "of which no speaker is prepared."
_NOBODY = "photo"  # the name under which a photo that cannot be used is recorded


@dataclass(frozen=True)
class Job:
    """Describes one person and the clips that they act.

    Attributes:
        photo: the person's photo; a record under its name says why a photo cannot be used.
        clips: the clips to make.
        performed: the prepared clips that the person acts, one for each of ``clips``.
    """

    photo: SourceClip
    clips: tuple[SourceClip, ...]
    performed: tuple[ClipRecord, ...]


def prepare_performers(
    head: str | Path,
    people: str | Path,
    destination: str | Path,
    prepared: str | Path,
    task: str | Path | None = None,
    clips: int = 3,
    workers: int | None = None,
    cluster: str = "",
) -> list[ClipRecord]:
    """Makes clips of people who do not exist.

    Args:
        head: ``ict_facekit.npz``, or ICT-FaceKit's folder ``FaceXModel``.
        people: a folder of photos; each shows one person.
        destination: a prepared folder, which may be new, or ``prepared`` itself.
        prepared: the prepared folder whose clips the people act.
        task: MediaPipe's ``face_landmarker.task``; by default it is sought beside ``head``, and in ``models`` beside its folder.
        clips: how many clips each person acts.
        workers, cluster: the arguments of ``prepare``.

    Raises:
        DataError: if an input is missing or damaged, or holds nothing that can be used.
        OutputError: if the destination cannot be written.
    """
    require_counts(workers, 0, 0)
    head, people, destination, prepared = (Path(path).resolve() for path in (head, people, destination, prepared))
    task = _task(task, head)
    _require_expressions(read_head(head), head)
    jobs = _jobs(people, prepared, clips)
    before = earlier_records(destination)
    require_same([clip for job in jobs for clip in (job.photo, *job.clips)], before, destination)
    Tracker(task)  # LiteRT prints a greeting on stderr, so every other check comes before it
    work = partial(perform, head=head, task=task, prepared=prepared, destination=destination)
    work_through(work, jobs, "person", workers, cluster)
    records = [load_record(path) for job in jobs for path in _records_of(destination, job)]
    publish_records(destination, CORPUS, before, records)
    _require_used(records, f"None of the {len(jobs)} photos in {people} can be used; {destination}/report.md says why.")
    return records


def _require_used(records: list[ClipRecord], sentence: str) -> None:
    """Raises DataError with a sentence if all clips were dropped."""
    if all(record.dropped for record in records):
        raise DataError(sentence)


def _require_expressions(head: Head, path: Path) -> None:
    """Refuses a head that cannot speak or blink, such as a folder that was fetched in part."""
    missing = [name for name in ("jawOpen", "mouthPucker", *BLINKS) if name not in head.names]
    if missing:
        raise DataError(f"{path} lacks the expression {missing[0]}; a whole FaceXModel folder is needed.")


def _task(task: str | Path | None, head: Path) -> Path:
    """Returns the path of the landmark model's file."""
    places = [Path(task).resolve()] if task else [head.parent / TASK, head.parent.parent / "models" / TASK, head / TASK]
    for place in places:
        if place.is_file():
            return place
    raise DataError(f"There is no {places[0]}, MediaPipe's face landmarker; say where it is: --landmarker {TASK}")


def split_of(photo: str) -> str:
    """Returns the split of a person, train or validation, by a checksum of the photo's name."""
    return "validation" if zlib.crc32(photo.encode()) % _VALIDATION_ONE_IN == 0 else "train"


def _jobs(people: Path, prepared: Path, count: int) -> list[Job]:
    """Returns a job for every person; nobody acts a clip twice."""
    if count < 1:
        raise DataError(f"--clips must be at least 1, not {count}.")
    if not people.is_dir():
        raise DataError(f"There is no folder {people}.")
    photos = find_photos(people)
    if not photos:
        raise DataError(f"{people} holds no photos.")
    real = [record for record in read_manifest(prepared) if record.corpus != CORPUS]
    if not real:
        raise DataError(f"{prepared} holds no clips of real speakers to act.")
    jobs: list[Job] = []
    for photo in photos:
        split = split_of(photo.name)
        choice = [record for record in real if record.split in _PERFORMED[split]]
        random = np.random.default_rng(zlib.crc32(photo.name.encode()))
        lots = np.log(speaker_weights(choice, _EVENNESS)) + random.gumbel(size=len(choice)) if choice else np.zeros(0)
        performed = tuple(choice[k] for k in np.argsort(-lots)[:count].tolist())  # more clips begin with the same ones
        name = "_".join(photo.relative_to(people).with_suffix("").parts)
        person = SourceClip(_NOBODY, CORPUS, name, split, photo)
        jobs.append(Job(person, tuple(_made(person, one) for one in performed), performed))
    twice = [name for name, count in Counter(job.photo.speaker for job in jobs).items() if count > 1]
    if twice:
        raise DataError(f"{people} holds two photos of the name {twice[0]}; rename one of them.")
    return jobs


def _made(person: SourceClip, performed: ClipRecord) -> SourceClip:
    """Returns the clip in which a person acts a performance."""
    words, spoken = tuple(performed.words), performed.spoken
    return replace(
        person, clip=f"{performed.speaker}_{performed.clip}", words=words, spoken=spoken, emotion=performed.emotion,
        level=performed.level,
    )  # fmt: skip


def _records_of(destination: Path, job: Job) -> list[Path]:
    places = [record_path(destination, clip) for clip in (job.photo, *job.clips)]
    return [place for place in places if place.exists()]


def perform(job: Job, head: Path, task: Path, prepared: Path, destination: Path) -> None:
    """Makes those of a person's clips that do not exist yet; if the photo cannot be used, it records why.

    Raises:
        OutputError: if there is no room.
    """
    pairs = zip(job.clips, job.performed, strict=True)
    todo = [(clip, performed) for clip, performed in pairs if not record_path(destination, clip).exists()]
    refused = record_path(destination, job.photo)
    if refused.exists() and todo and load_record(refused).dropped.endswith(_NO_SPEAKER):
        refused.unlink()  # the photo was used after all
    if refused.exists() or (job.clips and not todo):
        return
    try:
        refused.parent.mkdir(parents=True, exist_ok=True)
        try:
            if not job.clips:
                raise DataError(f"{job.photo.path.name} is for {job.photo.split}, {_NO_SPEAKER}")
            sitter = sit(_head(head), read_image(job.photo.path), job.photo.path.name, _tracker(task))
        except StillspeakError as error:
            _write(destination, _record(job.photo, dropped=str(error)))
            return
        for clip, performed in todo:
            _perform(sitter, clip, prepared / performed.path, destination, _head(head), _tracker(task))
    except OSError as error:
        raise OutputError(f"{destination} could not be written: {error.strerror}.") from error


@cache
def _head(path: Path) -> Head:
    return read_head(path)


@cache
def _tracker(path: Path) -> Tracker:
    return Tracker(path)


def _record(clip: SourceClip, **known: object) -> ClipRecord:
    return replace(new_record(clip), **known)  # type: ignore[arg-type]


def _write(destination: Path, record: ClipRecord) -> None:
    clip = SourceClip(record.clip, record.corpus, record.speaker, record.split, Path())
    with whole(record_path(destination, clip)) as part:
        part.write_text(json.dumps(record.as_dict()), "utf-8")


def _perform(sitter: Sitter, clip: SourceClip, source: Path, destination: Path, head: Head, tracker: Tracker) -> None:
    """Makes one clip."""
    try:
        performance = watch(read_video(source), tracker)
        sound = read_audio(source.with_suffix(".flac"))
    except StillspeakError as error:
        _write(destination, _record(clip, dropped=f"{clip.clip}: {error}"))
        return
    variety = draw_variety(clip.speaker, clip.clip, len(performance.opening))
    large, landmarks, still, said = _draw(head, sitter, performance, variety)
    crops = np.stack([_small(picture) for picture in large])
    video = record_path(destination, clip).with_suffix(".mp4")
    shut = performance.shut.mean(axis=1)
    with VideoWriter(large_path(video), FPS, crf=_LARGE_CRF, pixel_format="yuv444p", synthetic=True) as writer:
        for picture in large:
            writer.write(picture)
    write_motion(video.with_suffix(".motion.parquet"), sitter, variety, said, shut, landmarks)
    write_clip(video, crops, sound, synthetic=True)
    for copy in with_copies(source.with_suffix(".flac"))[1:]:
        with whole(video.with_name(video.stem + copy.name.removeprefix(source.stem))) as part:
            shutil.copyfile(copy, part)
    seen = as_predicted(landmarks, still, shut)
    _write(
        destination,
        _record(
            clip,
            path=str(video.relative_to(destination)),
            frames=len(crops),
            seconds=sound.seconds,
            words=list(clip.words),
            sharpness=sharpness(crops),
            landmarks=[round(value, 2) for value in seen.ravel().tolist()],
        ),
    )


def _draw(
    head: Head, sitter: Sitter, performance: Performance, variety: Variety
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Returns large frames, their landmarks and the photo's in crop pixels, and the expressions of each frame."""
    stage = stage_of(head, relit(sitter, variety), variety.look)
    said = coefficients(stage.sitter, performance) + mood_coefficients(variety.moods, sitter.names)
    said[:, [sitter.names.index(name) for name in BLINKS]] = performance.shut[:, ::-1]
    random = np.random.default_rng(zlib.crc32(sitter.texture[::64, ::64].tobytes()))
    pictures, landmarks = [], []
    for moved in move(stage, said, performance.shut.mean(axis=1), variety.turns):
        picture = frame(stage, moved.points, moved.ground, moved.apart, moved.shut)
        pictures.append(filmed(picture, variety.camera, random))
        landmarks.append(moved.landmarks)
    still = move(stage, np.zeros_like(said[:1]), np.zeros(1, np.float32), np.zeros((1, 3), np.float32))[0].landmarks
    return np.stack(pictures), np.stack(landmarks), still, said


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA), np.uint8)
