"""Sentences read aloud: which phoneme is said when, and a teacher who knows from phonemes what a mouth does."""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stillspeak.cli import main
from stillspeak.config import ContextConfig, DataConfig
from stillspeak.data.clips import Clips
from stillspeak.data.drawer import Drawer
from stillspeak.data.manifest import read_manifest
from stillspeak.data.mouth_code import MouthCode, fit_mouth_code
from stillspeak.data.phonemes import PHONEMES, NothingToSayError, occupancy, phonemes_along, read_sentence
from stillspeak.data.sentences import Sentences, phonemes_path, read_lines, read_phonemes, write_sentences
from stillspeak.errors import DataError
from stillspeak.judge_config import TeacherConfig
from stillspeak.training.teacher import Lesson, fit, tell

RATE_HZ = 16_000
# A speech engine that knows three phonemes: of every letter a vowel, of every space a hiss.
FLITE = f"""#!{sys.executable}
import sys
import numpy as np, soundfile
asked = dict(zip(sys.argv, sys.argv[1:]))
pace, text = float(asked["--setf"].split("=")[1]), open(asked["-f"]).read().strip()
random, said, pieces, end, zero = np.random.default_rng(0), [], [np.zeros(160)], 0.0, 0.0
for letter in text if text.isascii() else "":
    if letter == ".":  # another sentence begins, and its clock
        print(*said)
        zero, said = end, []
    phoneme = "s" if letter == " " else "aa" if letter in "aeo" else "iy"
    size = int(16000 * pace * (0.1 if phoneme == "s" else 0.2))
    wave = np.zeros(size)
    wave[:: 80 if asked["-voice"] == "slt" else 130] = 1
    if phoneme == "s":
        wave = random.normal(0, 1, size)
    spectrum, hertz = np.fft.rfft(wave), np.fft.rfftfreq(size, 1 / 16000)
    places = dict(s=[5000], aa=[750, 1200], iy=[300, 2300])[phoneme]
    wave = np.fft.irfft(spectrum * sum(np.exp(-(((hertz - place) / 150) ** 2)) for place in places), size)
    end += size / 16000
    pieces.append(0.3 * wave / np.abs(wave).max())
    said.append(f"{{phoneme}}:{{end - zero:.3f}}")
soundfile.write(asked["-o"], np.concatenate(pieces), 16000)
print(*(said or ["pau:0.010"]))
"""


@pytest.fixture
def flite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "flite"
    program.parent.mkdir()
    program.write_text(FLITE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def shares(phonemes: np.ndarray) -> dict[str, int]:
    return {PHONEMES[number]: int((phonemes == number).sum()) for number in np.unique(phonemes)}


@pytest.mark.usefixtures("flite")
def test_a_reading_says_which_phoneme_is_said_at_each_10_ms():
    spoken = read_sentence("ab e", "slt")
    assert len(spoken.samples) == 160 * len(spoken.phonemes)
    assert len(spoken.phonemes) >= 340
    assert shares(spoken.phonemes) == {"pau": len(spoken.phonemes) - 70, "aa": 40, "iy": 20, "s": 10}
    loud = np.abs(spoken.samples).reshape(-1, 160).max(axis=1) > 0.01
    assert (loud == (spoken.phonemes != 0)).mean() > 0.95
    slow = read_sentence("ab e", "slt", 2.0)
    assert shares(slow.phonemes)["aa"] == 80
    two = read_sentence("ab. e", "slt")  # the engine's clock begins anew with each sentence
    assert shares(two.phonemes) == {"pau": len(two.phonemes) - 90, "aa": 40, "iy": 40, "s": 10}
    with pytest.raises(NothingToSayError, match="привет"):
        read_sentence("привет", "slt")


@pytest.mark.usefixtures("flite")
def test_phonemes_are_laid_along_a_recording_of_another_voice_and_pace():
    recorded = read_sentence("ab ea", "awb", 1.7)
    along = phonemes_along(recorded.samples, "ab ea")
    size = min(along.shape[1], len(recorded.phonemes))
    for reading in along:
        assert (reading[:size] == recorded.phonemes[:size]).mean() > 0.9


def test_shares_of_phonemes_in_a_frame_add_up_and_end_in_a_pause():
    said = np.zeros((2, 10), np.uint8)
    said[:, 2:] = 3
    said[1, :4] = 5
    got = occupancy(said, 4)
    assert got.shape == (4, len(PHONEMES))
    np.testing.assert_allclose(got.sum(axis=1), 1)
    np.testing.assert_allclose(got[0, [0, 3, 5]], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(got[3, 0], 1)


def test_a_teacher_learns_which_phoneme_opens_the_mouth():
    random, lessons = np.random.default_rng(0), []
    basis = np.eye(2, 58, dtype=np.float32)
    basis[0] = MouthCode(np.eye(58, dtype=np.float32), 1.0).opening
    code = MouthCode(basis / np.linalg.norm(basis, axis=1, keepdims=True), 1.0)
    for _ in range(12):
        said = np.repeat(random.integers(0, 3, 10), 4)
        shares_ = np.eye(len(PHONEMES), dtype=np.float32)[said]
        lessons.append(Lesson(shares_, np.stack([2.0 * (said == 1), 0.0 * said], axis=1).astype(np.float32)))
    config = replace(TeacherConfig(), hidden=16, inputs=16, steps=120, clips=6, code=2)
    taught = fit(lessons[:10], np.full(10, 0.1), code, config)
    for lesson in lessons[10:]:
        assert np.corrcoef(tell(taught, lesson.said)[:, 0], lesson.codes[:, 0])[0, 1] > 0.9
    again = fit(lessons[:10], np.full(10, 0.1), code, config)
    np.testing.assert_array_equal(tell(again, lessons[0].said), tell(taught, lessons[0].said))


@pytest.mark.usefixtures("flite")
def test_sentences_are_read_taught_and_drawn(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("stillspeak.training.teacher.TeacherConfig", lambda: replace(TeacherConfig(), steps=2, clips=1))
    folder, text = tmp_path / "prepared", tmp_path / "text.txt"
    shutil.copytree(prepared, folder)
    text.write_text("a bee sees an ape\n\nno more\nno more\n")
    command = ["prepare", "sentences", str(text), str(folder), "--workers", "1", "--voices", "1"]
    assert main(command) == 0
    assert "9 sentences" in capsys.readouterr().out  # four voices, two lines; and the corpus's own
    files = sorted(folder.glob("sentences/*.flac"))
    assert len(files) == 2 * 9
    stamps = [path.stat().st_mtime_ns for path in files]
    assert main(command) == 0
    assert [path.stat().st_mtime_ns for path in files] == stamps
    record = read_manifest(folder)[0]
    noted = phonemes_path(folder, record)
    before, recorded = read_phonemes(noted), (folder / record.path).with_suffix(".flac")
    noted.write_text(json.dumps({"text": record.spoken, "phonemes": [[1]]}))
    os.utime(recorded, (noted.stat().st_mtime + 5,) * 2)  # a clip that was made again
    assert main(command) == 0
    np.testing.assert_array_equal(read_phonemes(noted), before)
    noted.write_text("")
    with pytest.raises(DataError, match="is damaged"):
        read_phonemes(noted)
    context = ContextConfig(rate_hz=8000)
    clips = Clips(folder, "train", context)
    code = fit_mouth_code(clips.points, 4)
    drawer = Drawer(clips, DataConfig(voice_jitter=1.0, sentences=1.0), code)
    assert [len(sound) for sound in drawer.sentences.sounds(0)] == [len(drawer.sentences.sounds(0)[0])] * 2
    windows, codes = drawer.sounds(3, 20, np.random.default_rng(0))
    assert windows.shape == (3, 20, context.window)
    assert codes.shape == (3, 20, 4)
    again = drawer.sounds(3, 20, np.random.default_rng(0))
    np.testing.assert_array_equal(windows, again[0])


def test_what_a_teacher_said_is_read_as_it_was_written(tmp_path: Path):
    offsets = [np.full((size, 58), size, np.float32) for size in (3, 5)]
    write_sentences(tmp_path, ["a", "b"], offsets)
    sentences = Sentences(tmp_path, RATE_HZ)
    assert [path.name for path in sentences.paths] == ["a.flac", "b.flac"]
    for got, expected in zip(sentences.offsets, offsets, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_codes_and_offsets_are_each_others_inverse():
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(58, 4)))[0].T.astype(np.float32)
    code, codes = MouthCode(basis, 3.0), np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(code.of_offsets(code.to_offsets(codes)), codes, atol=1e-5)


# ---------------------------------------------------------------- bad input


def test_texts_that_cannot_be_read_are_refused_in_a_sentence(tmp_path: Path):
    text = tmp_path / "text.txt"
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(text)
    text.write_text("\n 1 2 3 \n")
    with pytest.raises(DataError, match="no sentences"):
        read_lines(text)
    text.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_lines(text)
    text.write_text("short\n" + "long " * 100)
    with pytest.raises(DataError, match=r"Line 2 .* 300"):
        read_lines(text)


def test_without_flite_sentences_are_refused_in_a_sentence(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    text = tmp_path / "text.txt"
    text.write_text("a bee\n")
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert main(["prepare", "sentences", str(text), str(prepared)]) == 2
    assert "apt install flite" in capsys.readouterr().err


def test_a_folder_without_sentences_or_with_damaged_ones_is_refused(prepared: Path, tmp_path: Path):
    with pytest.raises(DataError, match="stillspeak prepare sentences"):
        Sentences(prepared, RATE_HZ)
    (tmp_path / "sentences.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="damaged"):
        Sentences(tmp_path, RATE_HZ)


@pytest.mark.usefixtures("flite")
def test_a_corpus_without_words_teaches_no_phonemes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = tmp_path / "text.txt"
    text.write_text("a bee\n")
    assert main(["prepare", "sentences", str(text), str(tmp_path / "none")]) == 2
    assert "prepare grid" in capsys.readouterr().err
    assert main(["prepare", "sentences", str(text), str(tmp_path / "none"), "--workers", "0"]) == 2
    assert "--workers" in capsys.readouterr().err


def test_throats_that_nobody_has_are_refused(prepared: Path):
    clips = Clips(prepared, "train", ContextConfig(rate_hz=8000))
    for spread in (-0.1, 20.0):
        with pytest.raises(DataError, match=r"data.throats is from 0"):
            Drawer(clips, DataConfig(throats=spread), fit_mouth_code(clips.points, 4))


def test_shares_beyond_one_are_refused(prepared: Path):
    clips = Clips(prepared, "train", ContextConfig(rate_hz=8000))
    with pytest.raises(DataError, match=r"data.sentences is a share"):
        Drawer(clips, DataConfig(sentences=1.5), fit_mouth_code(clips.points, 4))
