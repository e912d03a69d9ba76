"""Preparing: aligned clips, drop reasons, resuming."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.io
import soundfile

from helpers import killed_preparing, tone, write_video
from stillspeak.cli import main
from stillspeak.config import ContextConfig
from stillspeak.data import prepare as prepare_module
from stillspeak.data.clips import Clips
from stillspeak.data.manifest import read_manifest
from stillspeak.data.prepare import aligned, prepare, require_frontal, require_moving
from stillspeak.data.show import EYES_AND_NOSE, by_speaker, misplaced_px
from stillspeak.errors import DataError, FaceError
from stillspeak.evaluation.evaluate import _crops
from stillspeak.media.audio import Sound
from stillspeak.media.faces import CANONICAL
from stillspeak.media.inspection import inspect
from stillspeak.media.video import read_video


def test_good_clips_are_kept_and_bad_ones_dropped_with_a_reason(prepared: Path):
    kept = read_manifest(prepared)
    assert {record.speaker for record in kept} == {"s1", "s3", "s20", "s2", "sU1"}
    reasons = {record.clip: record.dropped for record in read_manifest(prepared, dropped=True) if record.dropped}
    assert set(reasons) == {"noface", "cut", "blank"}
    assert "no face" in reasons["noface"]
    assert "blank" in reasons["blank"]
    assert "dropped s1/noface" in (prepared / "report.md").read_text()


def test_a_recording_does_not_say_that_it_is_synthetic(prepared: Path):
    assert inspect(prepared / read_manifest(prepared)[0].path)["synthetic"] is None


def test_eyes_and_nose_land_on_the_canonical_points(prepared: Path):
    assert misplaced_px(read_manifest(prepared, speakers=["s1"])) < 1.5


def test_a_prepared_clip_looks_like_what_was_aligned(prepared: Path, raw_grid: Path):
    made = read_video(prepared / "clips" / "grid" / "s1" / "clip0.mp4")
    frames, _ = aligned(read_video(raw_grid / "s1" / "clip0.mp4"))
    error = np.mean((made.astype(float) - frames) ** 2)
    assert 10 * np.log10(255**2 / error) > 38


def test_preparing_again_keeps_what_is_done_and_redoes_what_is_missing(prepared: Path, raw_grid: Path, tmp_path: Path):
    again = tmp_path / "again"
    shutil.copytree(prepared, again)
    (again / "clips" / "grid" / "s1" / "clip1.json").unlink()
    stamp = (again / "clips" / "grid" / "s1" / "clip0.mp4").stat().st_mtime_ns
    prepare("grid", raw_grid, again, workers=1)
    assert (again / "clips" / "grid" / "s1" / "clip0.mp4").stat().st_mtime_ns == stamp
    assert (again / "manifest.parquet").read_bytes() == (prepared / "manifest.parquet").read_bytes()


def test_revoiced_copies_are_made_for_training_clips_alone(prepared: Path):
    assert (prepared / "clips" / "grid" / "s1" / "clip0.voice1.flac").is_file()
    assert not (prepared / "clips" / "grid" / "s20" / "clip0.voice1.flac").exists()
    clips = Clips(prepared, "train", ContextConfig(rate_hz=8000))
    sounds = [clips.sounds(index) for index in range(len(clips))]
    assert [len(copies) for copies in sounds] == [2] * 4
    assert len({len(sound) for copies in sounds for sound in copies}) == 1


def test_what_cannot_be_prepared_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no corpus"):
        prepare("nonsense", tmp_path, tmp_path)
    with pytest.raises(DataError, match="no folder"):
        prepare("grid", tmp_path / "gone", tmp_path)


@pytest.mark.corpus
def test_the_first_clip_of_each_real_speaker_is_aligned_within_a_pixel_and_a_half(corpus: Path):
    for speaker in ("s1", "s10", "s20", "s22", "s26", "sU2"):
        _, points = aligned(read_video(sorted((corpus / "grid" / speaker).iterdir())[0]))
        assert np.abs(points[:, EYES_AND_NOSE].mean(0) - CANONICAL).mean() < 1.5, speaker


@pytest.fixture(scope="module")
def face(astronaut: np.ndarray) -> np.ndarray:
    return astronaut[:320, 60:380]


def drifting(face: np.ndarray, frames: int) -> np.ndarray:
    return np.stack([np.roll(face, (t // 4, t // 3), (0, 1)) for t in range(frames)])


def test_a_picture_that_stands_still_is_dropped(face: np.ndarray):
    with pytest.raises(DataError, match="stands still for"):
        require_moving(np.concatenate([drifting(face, 12), np.repeat(face[None], 40, 0)]))


def test_a_clip_of_a_few_frames_is_dropped(face: np.ndarray):
    with pytest.raises(DataError, match="3 frames are too few"):
        require_moving(drifting(face, 3))


def test_a_face_that_goes_away_is_lost(face: np.ndarray):
    noise = np.random.default_rng(0).integers(0, 255, (320, 320, 3)).astype(np.uint8)
    wall = drifting(cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 15), None, 0, 255, cv2.NORM_MINMAX), 80)
    here = drifting(face, 50)
    share = np.linspace(1, 0, 20)[:, None, None, None]
    leaving = (here[30:] * share + wall[:20] * (1 - share)).astype(np.uint8)
    with pytest.raises(FaceError, match="the face is lost"):
        aligned(np.concatenate([here[:30], leaving, wall[20:]]))


def test_of_two_faces_the_larger_is_followed(face: np.ndarray):
    small = np.asarray(face[::2, ::2])
    frames = drifting(np.pad(face, ((0, 0), (0, 200), (0, 0))), 12)
    frames[:, 20:180, 340:500] = small
    alone, _ = aligned(drifting(np.pad(face, ((0, 0), (0, 200), (0, 0))), 12))
    both, _ = aligned(frames)
    assert np.abs(alone.astype(float) - both).mean() < 3


def test_a_face_turned_to_a_side_is_dropped():
    points = np.zeros((5, 68, 2), np.float32)
    points[:, 36, 0], points[:, 45, 0], points[:, 30, 0] = 30, 60, 33
    with pytest.raises(FaceError, match="turned"):
        require_frontal(points)
    points[:, 30, 0] = 44
    require_frontal(points)


def test_another_corpus_in_the_same_folder_leaves_the_first_there(prepared: Path, raw_grid: Path, tmp_path: Path):
    both = tmp_path / "both"
    shutil.copytree(prepared, both)
    (tmp_path / "mine" / "ann").mkdir(parents=True)
    shutil.copy(raw_grid / "s3" / "clip0.mp4", tmp_path / "mine" / "ann" / "clip0.mp4")
    (tmp_path / "mine" / "ann" / "clip0.txt").write_text("good morning")
    prepare("folder", tmp_path / "mine", both, workers=1)
    assert {record.corpus for record in read_manifest(both)} == {"grid", "folder"}
    (mine,) = read_manifest(both, speakers=["ann"])
    assert (mine.text, mine.split) == ("good morning", "train")
    assert mine.sharpness > 0
    assert len(read_manifest(both)) == len(read_manifest(prepared)) + 1


def test_a_corpus_may_come_piece_by_piece_and_no_clip_takes_the_place_of_another(raw_grid: Path, tmp_path: Path):
    pieces = {}
    for name, speaker, clip in (("a", "ann", "s1/clip0"), ("b", "bob", "s1/clip1"), ("c", "ann", "s1/clip2")):
        pieces[name] = tmp_path / name / speaker
        pieces[name].mkdir(parents=True)
        shutil.copy(raw_grid / f"{clip}.mp4", pieces[name] / "hello.mp4")
        (pieces[name] / "hello.txt").write_text(name)
    with (pieces["c"] / "hello.mp4").open("ab") as file:
        file.write(b"0" * 8)  # another file, by its size
    there = tmp_path / "p"
    for name in ("a", "b"):
        prepare("folder", tmp_path / name, there, workers=1)
    assert [record.text for record in read_manifest(there)] == ["a", "b"]
    with pytest.raises(DataError, match=r"clip hello of ann, made of a file other than .*ann/hello.json away"):
        prepare("folder", tmp_path / "c", there, workers=1)
    assert [record.text for record in read_manifest(there)] == ["a", "b"]
    (there / "clips" / "folder" / "ann" / "hello.json").unlink()
    prepare("folder", tmp_path / "c", there, workers=1)
    assert [record.text for record in read_manifest(there)] == ["c", "b"]


def test_a_damaged_list_is_made_again_of_what_lies_beside_the_clips(prepared: Path, raw_grid: Path, tmp_path: Path):
    shutil.copytree(prepared, tmp_path / "p")
    (tmp_path / "p" / "manifest.parquet").write_bytes(b"PAR1 and no more")
    prepare("grid", raw_grid, tmp_path / "p", workers=1)
    assert read_manifest(tmp_path / "p", dropped=True) == read_manifest(prepared, dropped=True)


def test_what_was_made_inside_the_source_is_no_part_of_it(raw_grid: Path, tmp_path: Path):
    (tmp_path / "mine" / "ann").mkdir(parents=True)
    shutil.copy(raw_grid / "s3" / "clip0.mp4", tmp_path / "mine" / "ann" / "clip0.mp4")
    for _ in range(2):
        records = prepare("folder", tmp_path / "mine", tmp_path / "mine" / "made", workers=1)
        assert [(record.speaker, record.dropped) for record in records] == [("ann", "")]


def test_a_prepared_folder_can_be_looked_at(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", str(prepared), "-o", str(sheet)]) == 0
    assert "| grid | validation | s20 | 1 |" in capsys.readouterr().out
    rows = len(by_speaker(prepared))
    assert skimage.io.imread(sheet).shape == (128 * rows, 96 * 8, 3)
    assert main(["data", "show", str(tmp_path)]) == 2
    assert main(["data", "show", str(prepared), "-o", str(tmp_path / "no" / "sheet.png")]) == 2


def test_killed_again_and_again_it_ends_with_the_same_clips(prepared: Path, raw_grid: Path, tmp_path: Path):
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "stillspeak.cli", "prepare", "grid", str(raw_grid), str(out), "--workers", "1"]
    random = np.random.default_rng(0)
    for _ in range(4):
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            job.wait(random.uniform(1.5, 5))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    prepare("grid", raw_grid, out, workers=1)
    assert (out / "manifest.parquet").read_bytes() == (prepared / "manifest.parquet").read_bytes()
    for record in read_manifest(prepared):
        assert len(read_video(out / record.path)) == record.frames
    assert not list(out.rglob("*.part*"))


@pytest.mark.parametrize("most_kib", [10, 60])
def test_a_full_disk_ends_it_and_no_clip_is_dropped_for_that(raw_grid: Path, tmp_path: Path, most_kib: int):
    """Files may not grow over a size: first the sound has no room, then the picture."""
    shutil.copytree(raw_grid / "s3", tmp_path / "raw" / "s3")
    command = [sys.executable, "-m", "stillspeak.cli", "prepare", "grid", str(tmp_path / "raw"), str(tmp_path / "made")]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * most_kib, 1024 * most_kib))  # noqa: E731
    ended = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "could not be written" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert not any(record.dropped for record in prepare("grid", tmp_path / "raw", tmp_path / "made"))


def test_a_process_that_is_ended_from_outside_is_said(raw_grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prepare_module, "prepare_clip", killed_preparing)
    with pytest.raises(DataError, match="run it again, with fewer --workers"):
        prepare("grid", raw_grid, tmp_path / "made")


def test_a_ray_cluster_of_two_workers_prepares_the_same_clips(prepared: Path, raw_grid: Path, tmp_path: Path):
    out = tmp_path / "ray"
    prepare("grid", raw_grid, out, workers=2, cluster="local")
    assert (out / "manifest.parquet").read_bytes() == (prepared / "manifest.parquet").read_bytes()
    for record in read_manifest(prepared):
        for path in (out / record.path, (out / record.path).with_suffix(".flac")):
            assert path.read_bytes() == (prepared / path.relative_to(out)).read_bytes()


def test_a_cluster_that_is_not_there_is_said(raw_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["prepare", "grid", str(raw_grid), str(tmp_path / "out"), "--cluster", "127.0.0.1:1"]
    assert main(words) == 2
    assert "cannot be reached" in capsys.readouterr().err


def joined(picture: bytes, sound: bytes, folder: Path) -> bytes:
    """A file with the picture of one video and the sound of another."""
    (folder / "picture.mp4").write_bytes(picture)
    (folder / "sound.mp4").write_bytes(sound)
    with (
        av.open(str(folder / "picture.mp4")) as seen,
        av.open(str(folder / "sound.mp4")) as heard,
        av.open(str(folder / "joined.mp4"), "w") as out,
    ):
        streams = [seen.streams.video[0], heard.streams.audio[0]]
        for stream, to in [(stream, out.add_stream_from_template(stream)) for stream in streams]:
            for packet in stream.container.demux(stream):
                if packet.dts is not None:
                    packet.stream = to
                    out.mux(packet)
    return (folder / "joined.mp4").read_bytes()


def test_thirty_broken_files_among_good_ones_are_each_named_with_a_reason(
    raw_grid: Path, face: np.ndarray, tmp_path: Path
):
    good, folder = raw_grid / "s3" / "clip0.mp4", tmp_path / "raw" / "ann"
    folder.mkdir(parents=True)
    moving, sound = drifting(face, 30), tone(1.2, 48_000)
    grey = np.random.default_rng(0).integers(100, 156, (1, 320, 320, 3))
    flash = np.concatenate([moving[:15], 255 - moving[15:]])

    def video(frames: np.ndarray, heard: Sound | None = sound) -> bytes:
        write_video(tmp_path / "one.mp4", frames, heard)
        return (tmp_path / "one.mp4").read_bytes()

    whole = good.read_bytes()
    soundfile.write(tmp_path / "only.wav", sound.samples, sound.rate_hz)
    broken = {
        "empty": (b"", ""),
        "text": (b"this is no video" * 50, ""),
        "cut": (whole[: len(whole) // 3], ""),
        "torn": (video(flash), "torn"),
        "mute": (video(moving, None), "sound"),
        "soundonly": ((tmp_path / "only.wav").read_bytes(), "picture"),
        "still": (video(np.repeat(moving[:1], 60, 0), tone(2.4, 48_000)), "stands still"),
        "nobody": (video(np.stack([np.roll(grey[0], t, 0) for t in range(30)])), "no face"),
        "short": (video(moving[:4], tone(0.16, 48_000)), "too few"),
        "long": (joined(video(moving), video(drifting(face, 100), tone(4.0, 48_000)), tmp_path), "of sound and"),
    }
    for name, (data, _) in broken.items():
        for copy in range(3):
            (folder / f"{name}{copy}.mp4").write_bytes(data)
    for copy in range(3):
        shutil.copy(good, folder / f"good{copy}.mp4")
    records = {record.clip: record for record in prepare("folder", tmp_path / "raw", tmp_path / "out", workers=2)}
    assert {name for name, record in records.items() if not record.dropped} == {"good0", "good1", "good2"}
    listed = (tmp_path / "out" / "report.md").read_text()
    for name, (_, reason) in broken.items():
        for copy in range(3):
            assert reason in records[f"{name}{copy}"].dropped, (name, records[f"{name}{copy}"].dropped)
            assert f"- dropped ann/{name}{copy}: " in listed


def filmed(path: Path, frames: np.ndarray, pixel: Fraction | None, degrees: int, mirrored: bool) -> None:
    """A video with sound as a phone or a DVD stores it: lying on its side, mirrored, or of pixels that are not square."""
    write_video(path.with_suffix(".sound.mp4"), frames, tone(len(frames) / 25, 48_000))
    stored = np.rot90(frames[:, :, ::-1] if mirrored else frames, -degrees // 90, axes=(1, 2))
    with av.open(str(path.with_suffix(".sound.mp4"))) as heard, av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "8"})
        video.set_display_rotation(degrees, hflip=mirrored)
        if pixel is not None:
            video.sample_aspect_ratio = pixel
            size = round(stored.shape[2] / pixel), stored.shape[1]
            stored = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in stored])
        video.height, video.width, video.pix_fmt = *stored.shape[1:3], "yuv444p"
        audio = out.add_stream_from_template(heard.streams.audio[0])
        for frame in stored:
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")))
        out.mux(video.encode(None))
        for packet in heard.demux(audio=0):
            if packet.size:
                packet.stream = audio
                out.mux(packet)
    path.with_suffix(".sound.mp4").unlink()


def test_videos_are_prepared_and_judged_as_players_show_them(face: np.ndarray, tmp_path: Path):
    folder = tmp_path / "raw" / "ann"
    folder.mkdir(parents=True)
    frames = drifting(face, 20)
    kinds = {
        "plain": (None, 0, False),
        "turned": (None, 90, False),
        "over": (None, 180, False),
        "mirrored": (None, 270, True),
        "wide": (Fraction(2), 0, False),
        "turned_wide": (Fraction(4, 3), 90, False),
    }
    for name, kind in kinds.items():
        filmed(folder / f"{name}.mp4", frames, *kind)
    records = {record.clip: record for record in prepare("folder", tmp_path / "raw", tmp_path / "out", workers=2)}
    assert [record.dropped for record in records.values()] == [""] * len(kinds)
    plain = read_video(tmp_path / "out" / records["plain"].path).astype(float)
    for name in kinds:
        crops = read_video(tmp_path / "out" / records[name].path)
        assert np.abs(crops - plain).mean() < 6, name
        np.testing.assert_array_equal(_crops(folder / f"{name}.mp4").shape, crops.shape)
        assert np.abs(_crops(folder / f"{name}.mp4") - plain).mean() < 6, name
