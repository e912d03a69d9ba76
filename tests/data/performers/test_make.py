"""The preparation of performers: one run over a few photos, read back as any prepared folder is."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from stillspeak.cli import main
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.files import large_path
from stillspeak.data.landmarks import mouth_opening
from stillspeak.data.manifest import ClipRecord, Word, read_manifest, write_manifest
from stillspeak.data.mouth_code import fit_mouth_code
from stillspeak.data.performers import make
from stillspeak.data.performers.make import prepare_performers, split_of
from stillspeak.data.performers.variety import MOODS
from stillspeak.data.prepare import aligned, write_clip
from stillspeak.errors import DataError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.images import write_image
from stillspeak.media.video import read_video
from stillspeak.presets import tiny

FRAMES = 24
SPOKEN = "lay white by s zero again"


@pytest.fixture(scope="module")
def acted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder of one training and one validation clip, a second long, with a revoiced copy of the sound."""
    folder = tmp_path_factory.mktemp("acted")
    records = []
    for speaker, split in (("s1", "train"), ("s23", "validation")):
        source = sorted((corpus / "grid" / speaker).iterdir())[0]
        frames, points = aligned(read_video(source)[20 : 20 + FRAMES])
        whole = read_audio(source)
        sound = Sound(whole.samples[: whole.rate_hz], whole.rate_hz)
        video = folder / "clips" / "grid" / speaker / "clip.mp4"
        video.parent.mkdir(parents=True)
        write_clip(video, frames, sound)
        shutil.copy(video.with_suffix(".flac"), video.with_name("clip.voice1.flac"))
        path, words = str(video.relative_to(folder)), [Word(0.0, 0.5, "lay")]
        flat = points.ravel().tolist()
        records.append(
            ClipRecord("clip", "grid", speaker, split, path, FRAMES, sound.seconds, words, SPOKEN, landmarks=flat)
        )
    write_manifest(folder, records)
    return folder


@pytest.fixture(scope="module")
def people(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo to train on, one to validate on, one with an open smile and one without a face."""
    folder = tmp_path_factory.mktemp("people")
    calm = [path for path in sorted((corpus / "people").iterdir()) if path.name in ("female_09.jpg", "male_36.jpg")]
    for number in range(99):
        names = f"a{number}.jpg", f"b{number}.jpg"
        if [split_of(name) for name in names] == ["train", "validation"]:
            for name, photo in zip(names, calm, strict=True):
                shutil.copy(photo, folder / name)
            break
    shutil.copy(corpus / "people" / "female_14.jpg", folder / "smile.jpg")
    write_image(folder / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    return folder


@pytest.fixture(scope="module")
def made(corpus: Path, acted: Path, people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    arguments = ["prepare", "performers", str(corpus / "heads" / "ict_facekit.npz"), str(people), str(folder)]
    assert main([*arguments, "--from", str(acted), "--clips", "1", "--workers", "1"]) == 0
    return folder


@pytest.mark.corpus
def test_bad_photos_are_named_with_a_reason_and_good_ones_make_clips(made: Path):
    records = {record.speaker: record for record in read_manifest(made, dropped=True)}
    assert len(records) == 4
    assert "open mouth" in records["smile"].dropped
    assert "no face" in records["wall"].dropped
    assert sum(not record.dropped for record in records.values()) == 2
    report = (made / "report.md").read_text()
    assert "smile/photo" in report
    assert "wall/photo" in report


@pytest.mark.corpus
def test_people_kept_for_validation_are_acted_by_speakers_never_trained_on(made: Path):
    for record in read_manifest(made):
        speaker = {"train": "s1", "validation": "s23"}[record.split]
        assert record.clip == f"{speaker}_clip"
        assert (record.spoken, record.words[0].word, record.frames) == (SPOKEN, "lay", FRAMES)


@pytest.mark.corpus
def test_the_training_reader_takes_performers_as_any_clip(made: Path):
    config = tiny()
    clips = Clips(made, "train", config.generator.context, fine=True)
    drawer = Drawer(clips, config.data, fit_mouth_code(clips.points, config.labels.code))
    batch = drawer.batch(2, 8, np.random.default_rng(0))
    assert batch.frames.shape == (16, 128, 96, 3)
    assert len(clips.sounds(0)) == 2  # the revoiced copy came along
    large = clips.large(0)
    assert large is not None
    small = np.stack([cv2.resize(frame, (96, 128), interpolation=cv2.INTER_AREA) for frame in large])
    assert np.abs(small.astype(int) - clips.frames(0)).mean() < 4


@pytest.mark.corpus
def test_labels_open_and_close_with_the_performance(made: Path, acted: Path):
    record, source = read_manifest(made, "train")[0], read_manifest(acted, "train")[0]
    own, performed = mouth_opening(record.points()), mouth_opening(source.points())
    assert np.corrcoef(own, performed)[0, 1] > 0.7
    assert own.min() < 1.0


@pytest.mark.corpus
def test_motion_says_what_each_frame_does(made: Path):
    record = read_manifest(made, "train")[0]
    table = pq.read_table((made / record.path).with_suffix(".motion.parquet"))
    assert table.num_rows == FRAMES
    assert {"jawOpen", "eyeBlink_L", "yaw_degrees", "shut", "landmarks", *MOODS} <= set(table.column_names)
    assert len(table.column("landmarks")[0]) == 136
    assert b"performer" in table.schema.metadata


@pytest.mark.corpus
def test_a_second_run_makes_nothing_anew_and_more_clips_begin_with_the_same(
    corpus: Path, made: Path, acted: Path, people: Path
):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.mp4")}
    prepare_performers(corpus / "heads" / "ict_facekit.npz", people, made, acted, clips=9, workers=1)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.mp4")} == before
    first = make._jobs(people, acted, 1)
    assert [job.clips[:1] for job in make._jobs(people, acted, 2)] == [job.clips for job in first]


@pytest.mark.corpus
def test_a_clip_that_was_lost_is_made_again_alike(corpus: Path, made: Path, acted: Path, people: Path):
    record = read_manifest(made, "validation")[0]
    video = made / record.path
    frames = read_video(large_path(video))
    for path in video.parent.iterdir():
        path.unlink()
    prepare_performers(corpus / "heads" / "ict_facekit.npz", people, made, acted, clips=1, workers=1)
    assert np.array_equal(read_video(large_path(video)), frames)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"people": "nowhere"}, "There is no folder"),
        ({"prepared": "nowhere"}, "holds no manifest"),
        ({"task": "nowhere.task"}, "There is no"),
        ({"head": "nowhere.npz"}, "There is no"),
        ({"head": "FaceXModel"}, "lacks the expression mouthPucker"),
        ({"clips": 0}, "--clips must be at least 1"),
        ({"workers": 0}, "--workers must be at least 1"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    corpus: Path, acted: Path, people: Path, tmp_path: Path, change: dict[str, object], why: str
):
    wanted = {"head": corpus / "heads" / "ict_facekit.npz", "people": people, "prepared": acted, **change}
    if change.get("head") == "FaceXModel":  # three files of it
        wanted |= {"head": corpus / "heads" / "FaceXModel", "task": corpus / "models" / "face_landmarker.task"}
    with pytest.raises(DataError, match=why):
        prepare_performers(destination=tmp_path / "made", **wanted)


@pytest.mark.parametrize(
    "arguments",
    [
        ["performers", "head.npz", "people"],
        ["performers", "head.npz", "people", "made"],
        ["performers", "head.npz", "people", "made", "--from", "prepared", "--voices", "2"],
        ["grid", "source", "more", "made"],
        ["grid", "source", "made", "--from", "prepared"],
    ],
)
def test_a_command_that_is_mistaken_is_told_so(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["prepare", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("stillspeak: ")
    assert said.count("\n") == 1


def test_about_one_person_in_six_is_for_validation():
    splits = [split_of(f"person_{number}.jpg") for number in range(600)]
    assert 70 < splits.count("validation") < 130
    assert set(splits) == {"train", "validation"}


@pytest.mark.corpus
def test_two_photos_of_one_name_are_told_apart(corpus: Path, acted: Path, people: Path, tmp_path: Path):
    for name in ("ann.jpg", "ann.png"):
        shutil.copy(people / "smile.jpg", tmp_path / name)
    with pytest.raises(DataError, match="two photos of the name ann"):
        prepare_performers(corpus / "heads" / "ict_facekit.npz", tmp_path, tmp_path / "made", acted)


@pytest.mark.corpus
def test_another_photo_by_the_name_of_one_that_was_refused_is_not_passed_over(
    corpus: Path, made: Path, acted: Path, people: Path, tmp_path: Path
):
    others = shutil.copytree(people, tmp_path / "others")
    shutil.copy(corpus / "people" / "female_09.jpg", others / "smile.jpg")
    with pytest.raises(DataError, match="made of a file other than"):
        prepare_performers(corpus / "heads" / "ict_facekit.npz", others, made, acted, clips=1)


@pytest.mark.corpus
def test_people_for_validation_wait_until_a_speaker_of_validation_is_prepared(
    corpus: Path, acted: Path, people: Path, tmp_path: Path
):
    head, task = corpus / "heads" / "ict_facekit.npz", corpus / "models" / "face_landmarker.task"
    alone = shutil.copytree(acted, tmp_path / "alone")
    write_manifest(alone, read_manifest(acted, "train"))
    for prepared, clips in ((alone, 0), (acted, 1)):
        job = next(job for job in make._jobs(people, prepared, 1) if job.photo.split == "validation")
        make.perform(job, head, task, prepared, tmp_path)
        assert len([*(tmp_path / "clips" / "performers").rglob("*.large.mp4")]) == clips
