"""The command line: what works, and one sentence with exit code 2 for what cannot."""

import argparse
import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from helpers import tone, write_video
from stillspeak.cli import _parser, main
from stillspeak.errors import OutputError
from stillspeak.jobs import frame_rate
from stillspeak.media.video import read_video


@pytest.fixture
def inputs(tmp_path: Path, photo: Path, speech: Path) -> Path:
    """A folder of things that are no photo or no speech."""
    soundfile.write(tmp_path / "short.wav", tone(0.01).samples, 16_000)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    unscaled = np.concatenate([np.zeros(32_000), tone(1.0).samples * 2.0**31])
    soundfile.write(tmp_path / "unscaled.wav", unscaled, 16_000, subtype="FLOAT")
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("RGB", (300, 300), (90, 120, 60)).save(tmp_path / "meadow.png")
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").touch()
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:2000])
    write_video(tmp_path / "mute.mp4", np.zeros((5, 32, 32, 3)), None)
    return tmp_path


BAD = {
    "no such photo": ("gone.png", "speech.wav", "no file"),
    "no such speech": ("face.png", "gone.wav", "no file"),
    "photo is text": ("text.txt", "speech.wav", "not a picture"),
    "photo is sound": ("speech.wav", "speech.wav", "not a picture"),
    "photo is empty": ("empty", "speech.wav", "empty"),
    "photo is a folder": (".", "speech.wav", "folder"),
    "photo is cut off": ("cut.png", "speech.wav", "cut off"),
    "photo is one pixel": ("dot.png", "speech.wav", "no face"),
    "photo has no face": ("meadow.png", "speech.wav", "no face"),
    "speech is a picture": ("face.png", "face.png", "no sound"),
    "speech is a mute video": ("face.png", "mute.mp4", "no sound"),
    "speech is text": ("face.png", "text.txt", "not a sound"),
    "speech is empty": ("face.png", "empty", "empty"),
    "speech has no samples": ("face.png", "none.wav", "nothing in it|not a sound|no sound"),
    "speech is 10 ms": ("face.png", "short.wav", "10 ms"),
    "speech was never scaled": ("face.png", "unscaled.wav", "as loud as they should be"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_sentence_and_exit_code_2(
    case: str, inputs: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    photo, speech, reason = BAD[case]
    out = inputs / "out.mp4"
    out.write_text("what was there before")
    capfd.readouterr()
    code = main(["animate", str(inputs / photo), str(inputs / speech), "-o", str(out), "--model", str(tiny_model)])
    said = capfd.readouterr().err.strip()
    assert code == 2
    assert len(said.splitlines()) == 1, said
    assert any(part in said for part in reason.split("|")), said
    assert out.read_text() == "what was there before"
    assert not list(inputs.glob(".*part*"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["-o", "no/such/folder/out.mp4"], "no folder"),
        (["-o", "/proc/out.mp4"], "written"),
        (["-o", "out.avi"], ".mp4"),
        (["-o", "out.mp4", "--model", "nonsense"], "no model nonsense"),
        (["-o", "out.mp4", "--face", "7"], "no face 7"),
        (["-o", "out.mp4", "--fps", "0"], "frame rate"),
        (["-o", "out.mp4", "--fps", "fast"], "frame rate"),
        (["-o", "out.mp4", "--seed", "-1"], "--seed"),
        (["-o", "out.mp4", "--scale", "100"], "is the most"),
        (["-o", "out.mp4", "--mouth", "-0.1"], "from 0 to 2, not -0.1"),
        (["-o", "out.mp4", "--mouth", "2.5"], "from 0 to 2"),
        (["-o", "out.mp4", "--mouth", "nan"], "from 0 to 2"),
        (["-o", "out.mp4", "--teeth", "nothing.jpg"], "There is no file nothing.jpg"),
        (["-o", "out.mp4", "--teeth", "speech.wav"], "speech.wav is a sound and not a picture"),
        (["-o", "out.mp4", "--teeth", "meadow.png"], "The photo for the teeth shows no face"),
        (["-o", "face.png", "--teeth", "face.png"], "face.png is one of the inputs"),
        (["-o", "out.mp4", "--teeth", "face.png", "--crop"], "leave out the crop or the teeth"),
        (["-o", "out.png"], "need a number"),
        (["-o", "out.gif", "--fps", "60"], "at most 50"),
        (["-o", "out.mp4", "--speech", "1:speech.wav"], "PHOTO and SPEECH, or"),
        (["-o", "out.mp4", "--crop", "--face", "all"], "crop shows one face"),
        (["-o", "out.mp4", "--sign-key", "key.pem"], "belong together"),
        (["--batch", "jobs.csv"], "from its list"),
        (["-o", "out.mp4", "--teeth", "text.txt"], "text.txt is a text file and not a picture"),
        (["-o", "out.mp4", "--workers", "2"], "belong to --batch"),
        ([], "needs -o"),
    ],
)
def test_bad_arguments_get_one_sentence_too(
    arguments: list[str],
    reason: str,
    inputs: Path,
    tiny_model: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(inputs)
    model = [] if "--model" in arguments else ["--model", str(tiny_model)]
    assert main(["animate", "face.png", "speech.wav", *arguments, *model]) == 2
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert reason in said


def test_a_mouth_opens_as_far_as_it_is_told_where_the_model_can(
    inputs: Path, tiny_model: Path, unwarmed_model: Path, capfd: pytest.CaptureFixture[str]
):
    def animate(model: Path, *how: str) -> int:
        files = [str(inputs / name) for name in ("face.png", "speech.wav", "%d.png")]
        return main(["animate", *files[:2], "-o", files[2], "--crop", "--model", str(model), *how])

    drawn = []
    for how in ([], ["--mouth", "1"], ["--mouth", "1.7"]):
        assert animate(tiny_model, *how) == 0
        drawn.append((inputs / "9.png").read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]
    capfd.readouterr()
    assert animate(unwarmed_model, "--mouth", "1.2") == 2
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert "leave the mouth at 1" in said
    assert (inputs / "9.png").read_bytes() == drawn[2]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["evaluate", "default", "--video", "made.mp4", "real.mp4", "-o", "out"], "and not both"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], reason: str, capfd: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    said = capfd.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert reason in said


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "subtype"),
    [("a.wav", 8_000, 1, "PCM_U8"), ("b.wav", 96_000, 2, "PCM_24"), ("c.flac", 44_100, 2, "PCM_16")],
)
def test_any_sound_file_speaks(inputs: Path, tiny_model: Path, name: str, rate_hz: int, channels: int, subtype: str):
    samples = np.repeat(tone(1.0, rate_hz).samples[:, None], channels, axis=1).clip(-1, 1)
    soundfile.write(inputs / name, samples, rate_hz, subtype=subtype)
    out = inputs / "out.mp4"
    assert (
        main(["animate", str(inputs / "face.png"), str(inputs / name), "-o", str(out), "--model", str(tiny_model)]) == 0
    )
    assert read_video(out).shape == (25, 512, 512, 3)


def test_a_video_with_sound_is_speech_and_an_old_output_is_replaced(inputs: Path, tiny_model: Path):
    write_video(inputs / "talk.mp4", np.zeros((25, 32, 32, 3)), tone(1.0, 44_100))
    out = inputs / "out.mp4"
    out.write_text("old")
    assert (
        main(
            [
                "animate",
                str(inputs / "face.png"),
                str(inputs / "talk.mp4"),
                "-o",
                str(out),
                "--crop",
                "--model",
                str(tiny_model),
            ]
        )
        == 0
    )
    with av.open(str(out)) as container:
        assert {stream.codec_context.name for stream in container.streams} == {"h264", "aac"}


def test_the_video_can_have_another_frame_rate(inputs: Path, tiny_model: Path):
    out = inputs / "out.mp4"
    arguments = [
        "animate",
        str(inputs / "face.png"),
        str(inputs / "speech.wav"),
        "-o",
        str(out),
        "--model",
        str(tiny_model),
    ]
    assert main([*arguments, "--fps", "50"]) == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == 50
        assert sum(1 for _ in container.decode(video=0)) == 50


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_half_file(inputs: Path, tiny_model: Path, stop: signal.Signals):
    soundfile.write(inputs / "long.wav", tone(600.0).samples, 16_000)
    command = [
        sys.executable,
        "-m",
        "stillspeak.cli",
        "animate",
        "face.png",
        "long.wav",
        "-o",
        "out.mp4",
        "--model",
        str(tiny_model),
    ]

    def heard() -> None:  # a process started in the background would inherit that Ctrl-C is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(command, cwd=inputs, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    for _ in range(600):  # until it is writing
        if list(inputs.glob(".out.mp4*")):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not list(inputs.glob(".out.mp4*"))
    assert not (inputs / "out.mp4").exists()


def test_help_loads_nothing_heavy():
    code = "import sys; from stillspeak.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"torch", "onnxruntime", "cv2", "dlib", "av", "numpy", "pyarrow", "pydantic"}


def test_every_option_says_what_it_does_and_its_default():
    parsers = [_parser()]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += [*action.choices.values()]
                continue
            said, place = action.help or "", f"{parser.prog} {action.dest}"
            assert len(said.split()) > 2, place
            if action.option_strings and action.nargs != 0 and not action.required and action.dest != "output":
                assert re.search(r"\(default: [^)]+\)", said), place


@pytest.mark.parametrize("verb", ["animate", "prepare", "train", "resume", "export"])
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main([verb, "--help"])
    assert end.value.code == 0
    assert "Example: stillspeak" in capsys.readouterr().out


def test_animating_needs_no_pytorch(inputs: Path, tiny_model: Path):
    blocked = "import sys; sys.modules['torch'] = None\nfrom stillspeak.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["animate", "face.png", "speech.wav", "-o", "out.mp4", "--model", str(tiny_model)]
    result = subprocess.run([sys.executable, "-c", blocked, *arguments], cwd=inputs, env=os.environ, check=False)
    assert result.returncode == 0


def test_a_frame_rate_too_low_for_the_speech_keeps_the_old_file(
    inputs: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    out = inputs / "out.mp4"
    out.write_text("old")
    soundfile.write(inputs / "half.wav", tone(0.5).samples, 16_000)
    arguments = [
        "animate",
        str(inputs / "face.png"),
        str(inputs / "half.wav"),
        "-o",
        str(out),
        "--model",
        str(tiny_model),
    ]
    assert main([*arguments, "--fps", "1"]) == 2
    assert "500 ms" in capfd.readouterr().err
    assert out.read_text() == "old"


def test_training_without_its_extra_says_what_to_install(tmp_path: Path):
    blocked = "import sys; sys.modules['torch'] = None\nfrom stillspeak.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", blocked, "train", "tiny", "--data", str(tmp_path), "--run", str(tmp_path / "r")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert 'pip install -e ".[train]" in ' in result.stderr
    assert "Traceback" not in result.stderr


def test_two_people_say_two_things_and_the_longer_decides(inputs: Path, tiny_model: Path, astronaut: np.ndarray):
    Image.fromarray(np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)).save(
        inputs / "two.png"
    )
    soundfile.write(inputs / "longer.wav", tone(1.4).samples, 16_000)
    voices = ["--speech", f"2:{inputs / 'speech.wav'}", "--speech", f"1:{inputs / 'longer.wav'}"]
    out = inputs / "out.mp4"
    assert main(["animate", str(inputs / "two.png"), *voices, "-o", str(out), "--model", str(tiny_model)]) == 0
    assert len(read_video(out)) == 35
    for voice in ("speech.wav", "0:speech.wav", "1:", "x:speech.wav"):
        assert main(["animate", str(inputs / "two.png"), "--speech", voice, "-o", str(out)]) == 2


def test_pipes_go_in_and_out(inputs: Path, tiny_model: Path):
    command = [sys.executable, "-m", "stillspeak.cli", "animate", "-", str(inputs / "speech.wav"), "-o", "-", "--crop"]
    done = subprocess.run(
        [*command, "--model", str(tiny_model)],
        input=(inputs / "face.png").read_bytes(),
        capture_output=True,
        check=True,
    )
    assert len(done.stdout) == 25 * 128 * 96 * 3
    assert b'"width": 96' in done.stderr
    assert main(["animate", "-", "-", "-o", str(inputs / "out.mp4"), "--model", str(tiny_model)]) == 2


def test_a_pipe_by_its_name_is_read_like_stdin(inputs: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]):
    pipe, out = inputs / "pipe", inputs / "out.mp4"
    os.mkfifo(pipe)
    for sent, code in (((inputs / "speech.wav").read_bytes(), 0), (b"", 2)):
        writing = threading.Thread(target=pipe.write_bytes, args=(sent,))
        writing.start()
        said = main(["animate", str(inputs / "face.png"), str(pipe), "-o", str(out), "--model", str(tiny_model)])
        writing.join()
        assert said == code
    assert "Nothing came through" in capfd.readouterr().err
    assert main(["inspect", str(pipe)]) == 2
    assert "is a pipe" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["photo", "speech", "output", "pattern", "model", "faces"])
def test_a_name_that_no_file_can_have_is_said(
    place: str, inputs: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    long = "x" * 255
    given = {"photo": str(inputs / "face.png"), "speech": str(inputs / "speech.wav"), "model": str(tiny_model)}
    given |= {"output": str(inputs / "out.mp4")}
    given |= {"pattern": {"output": f"{long}%d.png"}, "output": {"output": f"{inputs / long}.mp4"}}.get(
        place, {place: str(inputs / long)}
    )
    arguments = ["animate", given["photo"], given["speech"], "-o", given["output"], "--model", given["model"]]
    if place == "faces":
        arguments = ["faces", given["photo"], "-o", f"{inputs / long}.png"]
    assert main(arguments) == 2
    assert len(capfd.readouterr().err.strip().splitlines()) == 1


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_faces_are_numbered(inputs: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["faces", str(inputs / "face.png"), "-o", str(inputs / "n.png")]) == 0
    assert capsys.readouterr().out.startswith("1: ")
    drawn = np.asarray(Image.open(inputs / "n.png"), int)
    assert (np.abs(drawn - np.asarray(Image.open(inputs / "face.png"), int)).max(axis=2) > 30).sum() > 200
    assert main(["faces", str(inputs / "meadow.png")]) == 2
    assert main(["faces", str(inputs / "face.png"), "-o", str(inputs / "n.nothing")]) == 2
    before = (inputs / "n.png").read_bytes()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "write_bytes", full_disk)
        assert main(["faces", str(inputs / "face.png"), "-o", str(inputs / "n.png")]) == 2
    assert (inputs / "n.png").read_bytes() == before
    assert not [*inputs.glob(".n.png*")]
    assert main(["faces", str(inputs / "face.png"), "-o", str(inputs / "face.png" / "n.png")]) == 2


def test_faces_of_a_photo_from_a_pipe_are_numbered(inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    for sent, code in ((b"", 2), ((inputs / "face.png").read_bytes(), 0)):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(sent)))
        assert main(["faces", "-", "-o", str(inputs / "n.png")]) == code
    said = capsys.readouterr()
    assert "Nothing came through stdin." in said.err
    assert said.out.startswith("1: ")


def test_a_label_is_seen_and_a_transparent_photo_stays_so(inputs: Path, tiny_model: Path, astronaut: np.ndarray):
    alpha = np.full(astronaut.shape[:2], 255, np.uint8)
    alpha[:, 450:] = 0
    Image.fromarray(np.dstack([astronaut, alpha])).save(inputs / "clear.png")
    out = str(inputs / "f_%02d.png")
    model = ["--model", str(tiny_model), "--label", "--scale", "0.5"]
    assert main(["animate", str(inputs / "clear.png"), str(inputs / "speech.wav"), "-o", out, *model]) == 0
    first = np.asarray(Image.open(inputs / "f_00.png"))
    assert first.shape == (256, 256, 4)
    assert first[:, 240:, 3].max() == 0
    assert first[:, :220, 3].min() == 255
    assert (first[-30:, :120, :3].min(axis=2) > 180).sum() > 20


def test_colours_that_a_transparent_photo_hides_stay_hidden(inputs: Path, tiny_model: Path, astronaut: np.ndarray):
    clear = np.dstack([astronaut, np.full(astronaut.shape[:2], 255, np.uint8)])
    clear[:, 450:] = 255, 0, 255, 0
    Image.fromarray(clear).save(inputs / "clear.png")
    out = str(inputs / "talk.mp4")
    assert (
        main(["animate", str(inputs / "clear.png"), str(inputs / "speech.wav"), "-o", out, "--model", str(tiny_model)])
        == 0
    )
    assert read_video(out)[0][:, 470:].min() > 245  # white


def test_a_label_stays_as_it_is_where_frames_are_shown_twice(inputs: Path, tiny_model: Path):
    photo, speech, out = str(inputs / "face.png"), str(inputs / "speech.wav"), str(inputs / "twice_%d.png")
    given = ["--model", str(tiny_model), "--label", "--fps", "50", "--crop"]
    assert main(["animate", photo, speech, "-o", out, *given]) == 0
    shown = [np.asarray(Image.open(inputs / f"twice_{k}.png")) for k in range(10)]
    for first, again in zip(shown[::2], shown[1::2], strict=True):
        assert np.array_equal(first, again)


@pytest.mark.parametrize("text", ["29.97", "30000/1001", "23.976", "59.94", "25"])
def test_television_rates_are_what_they_mean(text: str):
    exact = {"23.976": Fraction(24_000, 1001), "59.94": Fraction(60_000, 1001), "25": Fraction(25)}
    assert frame_rate(text) == exact.get(text, Fraction(30_000, 1001))


@pytest.mark.parametrize("text", ["", "nan", "1e999999999", "25/0", "0.5", "121", "-25", " 25", "9" * 5000])
def test_what_is_no_rate_is_said(text: str):
    with pytest.raises(OutputError, match="frame rate must lie between 1 and 120"):
        frame_rate(text)


def test_an_input_is_never_overwritten(inputs: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    photo, speech, model = str(inputs / "face.png"), str(inputs / "speech.wav"), ["--model", str(tiny_model)]
    write_video(inputs / "talk.mp4", np.zeros((25, 64, 64, 3)), tone(1.0))
    before = (inputs / "talk.mp4").read_bytes(), (inputs / "face.png").read_bytes()
    assert main(["animate", photo, str(inputs / "talk.mp4"), "-o", str(inputs / "." / "talk.mp4"), *model]) == 2
    assert "is one of the inputs" in capsys.readouterr().err
    assert main(["faces", photo, "-o", photo]) == 2
    (inputs / "talk_0003.png").write_bytes(before[1])
    for pattern in ("talk_%04d.png", "talk_000%d.png"):
        numbered = ["animate", str(inputs / "talk_0003.png"), speech, "-o", str(inputs / pattern), *model]
        capsys.readouterr()
        assert main(numbered) == 2
        assert "is one of the inputs" in capsys.readouterr().err
    assert (inputs / "talk_0003.png").read_bytes() == before[1]
    assert ((inputs / "talk.mp4").read_bytes(), (inputs / "face.png").read_bytes()) == before
    (inputs / "link.mp4").symlink_to(inputs / "elsewhere.mp4")
    assert main(["animate", photo, speech, "-o", str(inputs / "link.mp4"), *model]) == 0
    assert (inputs / "link.mp4").is_symlink()
    assert read_video(inputs / "elsewhere.mp4").shape[0] > 10
    os.mkfifo(inputs / "pipe.mp4")
    assert main(["animate", photo, speech, "-o", str(inputs / "pipe.mp4"), *model]) == 2
    assert "no plain file" in capsys.readouterr().err


def test_nothing_is_told_to_the_makers_of_the_runtime(tmp_path: Path, tiny_model: Path):
    code = f"import stillspeak; stillspeak.load({str(tiny_model)!r})"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env=environment | {"HOME": str(tmp_path)}, check=True)
    assert not [*tmp_path.rglob("*onnxruntime*")]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["sing"],
        ["prepare"],
        ["bench", "--seconds"],
        ["animate", "a", "b", "--mute"],
        ["animate", "a", "b", "--mouth", "wide"],
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith("stillspeak: ")
    assert said.count("\n") == 1
    assert "--help" in said


def test_photo_and_speech_the_wrong_way_round_are_said(inputs: Path, capfd: pytest.CaptureFixture[str]):
    assert main(["animate", str(inputs / "speech.wav"), str(inputs / "face.png"), "-o", str(inputs / "o.mp4")]) == 2
    said = capfd.readouterr().err
    assert "speech.wav is a sound" in said
    assert "the photo comes first" in said
    write_video(inputs / "talk.mp4", np.zeros((5, 32, 32, 3)), tone(0.2))
    assert main(["animate", str(inputs / "talk.mp4"), str(inputs / "speech.wav"), "-o", str(inputs / "o.mp4")]) == 2
    assert "talk.mp4 is a video and not a picture" in capfd.readouterr().err


def test_a_name_with_a_dash_in_front_works_behind_two_dashes_and_is_said_without(
    inputs: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """``-old.png`` must not be taken for ``-o ld.png`` either."""
    monkeypatch.chdir(inputs)
    for name in ("-face.png", "-old.png", "--new.png"):
        (inputs / name).write_bytes((inputs / "face.png").read_bytes())
        for verb in (["animate", name, "speech.wav", "-o", "out.mp4"], ["faces", name], ["inspect", name]):
            with pytest.raises(SystemExit) as ended:
                main(verb)
            assert ended.value.code == 2
            assert f"./{name}" in capfd.readouterr().err
        assert main(["faces", "-o", "numbered.png", "--", name]) == 0
        assert main(["animate", f"./{name}", "speech.wav", "-o", "out.mp4", "--model", str(tiny_model)]) == 0
    (inputs / "-speech.wav").write_bytes((inputs / "speech.wav").read_bytes())
    assert main(["animate", "-o", "out.mp4", "--model", str(tiny_model), "--", "-face.png", "-speech.wav"]) == 0


def test_the_film_is_named_at_the_end_and_a_pipe_is_kept_clean(
    inputs: Path, tiny_model: Path, capfdbinary: pytest.CaptureFixture[bytes]
):
    what = ["animate", str(inputs / "face.png"), str(inputs / "speech.wav"), "--model", str(tiny_model), "--crop"]
    for output in (inputs / "out.mp4", inputs / "out.gif", inputs / "frame_%05d.png"):
        assert main([*what, "-o", str(output)]) == 0
        assert capfdbinary.readouterr().out == f"{output}\n".encode()
    assert main([*what, "-o", "-"]) == 0
    assert len(capfdbinary.readouterr().out) == 25 * 96 * 128 * 3


def test_which_of_several_faces_speaks_is_said_once_and_not_where_one_was_asked_for(
    inputs: Path, tiny_model: Path, astronaut: np.ndarray, capfd: pytest.CaptureFixture[str]
):
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    Image.fromarray(two).save(inputs / "two.png")
    what = ["animate", str(inputs / "two.png"), str(inputs / "speech.wav"), "-o", str(inputs / "out.mp4")]
    for asked, times in (([], 1), (["--face", "1"], 0), (["--face", "all"], 0)):
        assert main([*what, "--model", str(tiny_model), *asked]) == 0
        assert capfd.readouterr().err.count("stillspeak: 2 faces; face 1 speaks (--face chooses another).\n") == times


def test_a_model_that_cannot_move_its_mouth_makes_its_film_and_says_so(
    inputs: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    what = ["animate", str(inputs / "face.png"), str(inputs / "speech.wav"), "-o", str(inputs / "out.mp4")]
    assert main([*what, "--model", str(tiny_model)]) == 0
    assert "hardly moves a mouth" in capfd.readouterr().err
    assert main(what) == 0
    assert capfd.readouterr().err == ""
