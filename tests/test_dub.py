"""A film says something else: its frames, its sound, its marks, and what stays as filmed."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from helpers import tone
from stillspeak.animate import Animator
from stillspeak.cli import main
from stillspeak.dub import Dub
from stillspeak.errors import FaceError, MediaError, StillspeakError
from stillspeak.media.audio import Sound, read_audio
from stillspeak.media.film import open_film
from stillspeak.media.film_writer import FilmWriter
from stillspeak.media.inspection import inspect
from stillspeak.media.provenance import EDITED_SOURCE_TYPE
from stillspeak.runtime.cast import Cast, look_through

FPS = 25
Filmed = Callable[..., Path]


def moving(portrait: np.ndarray, frames: int, size: tuple[int, int] = (240, 200)) -> list[np.ndarray]:
    """A portrait that drifts slowly to the right over a grey wall."""
    wall = np.full((size[1], size[0], 3), 90, np.uint8)
    shown = []
    for number in range(frames):
        matrix = np.array([[0.4, 0, 10 + 0.5 * number], [0, 0.4, -2]])
        shown.append(cv2.warpAffine(portrait, matrix, size, wall.copy(), borderMode=cv2.BORDER_TRANSPARENT))
    return shown


def write_film(path: Path, frames: list[np.ndarray], times: list[float] | None = None, tags: int = 2) -> Path:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "8"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p" if video.width % 2 == 0 else "yuv444p"
        video.time_base = video.codec_context.time_base = Fraction(1, 90_000)
        video.codec_context.color_primaries = video.codec_context.color_trc = video.codec_context.colorspace = tags
        for number, frame in enumerate(frames):
            made = av.VideoFrame.from_ndarray(frame, "rgb24")
            made.pts, made.time_base = round((times[number] if times else number / FPS) * 90_000), Fraction(1, 90_000)
            container.mux(video.encode(made))
        container.mux(video.encode(None))
    return path


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A second of a face."""
    return write_film(tmp_path_factory.mktemp("film") / "face.mp4", moving(astronaut, 25))


@pytest.fixture(scope="session")
def stay(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A second of a face, a second of a wall, a second of the face again, with cuts."""
    face = moving(astronaut, 25)
    return write_film(tmp_path_factory.mktemp("film") / "stay.mp4", face + [np.full_like(face[0], 140)] * 25 + face)


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(frame.time or 0.0, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_only_the_lower_face_changes_and_every_frame_keeps_its_time(animator: Animator, film: Path):
    made = list(animator.dub(film, tone(1.0)).frames())
    filmed = decoded(film)
    assert [one.seconds for one in made] == pytest.approx([seconds for seconds, _ in filmed])
    for one, (_, picture) in zip(made, filmed, strict=True):
        (place,) = one.changed
        outside = np.ones(picture.shape[:2], bool)
        outside[place] = False
        assert (one.picture[outside] == picture[outside]).all()
        rows = np.nonzero((one.picture != picture).any(axis=(1, 2)))[0]
        assert rows.min() > place[0].start + 0.3 * (place[0].stop - place[0].start)  # eyes and brows stay
    assert any((one.picture != picture).any() for one, (_, picture) in zip(made, filmed, strict=True))


def test_where_there_is_no_face_frames_stay_as_filmed_to_the_bit_and_the_report_says_so(animator: Animator, stay: Path):
    dub = animator.dub(stay, tone(3.0))
    made, filmed = list(dub.frames()), decoded(stay)
    for one, (_, picture) in zip(made[25:50], filmed[25:50], strict=True):
        assert one.changed == []
        assert (one.picture == picture).all()
    stretches = dub.report.people[1]
    assert [(one.begin, one.end, bool(one.why)) for one in stretches] == [
        (pytest.approx(0.0), pytest.approx(1.0), False),
        (pytest.approx(1.0), pytest.approx(2.0), True),
        (pytest.approx(2.0), pytest.approx(3.0), False),
    ]
    assert "from 1.0 to 2.0 s" in " ".join(dub.report.sentences())
    json.dumps(dub.report.as_json())


def test_after_the_speech_the_filmed_mouth_returns_without_a_jump(animator: Animator, stay: Path):
    made, filmed = list(animator.dub(stay, tone(0.4)).frames()), decoded(stay)
    apart = [np.abs(one.picture.astype(int) - picture).mean() for one, (_, picture) in zip(made, filmed, strict=True)]
    assert apart[9] > 0
    assert apart[18:] == [0] * 57
    assert max(np.diff(apart[9:19])) < 0.5 * apart[9]  # it only fades


@pytest.mark.parametrize(("extend", "numbers"), [
    ("end", [*range(25)]),
    ("hold", [*range(25)] + [24] * 25),
    ("loop", [*range(25), *range(25)]),
    ("pingpong", [*range(25), *range(23, -1, -1), 1]),
])  # fmt: skip
def test_longer_speech_extends_the_film_as_asked(animator: Animator, film: Path, extend: str, numbers: list[int]):
    filmed = [picture for _, picture in decoded(film)]
    made = list(animator.dub(film, tone(2.0), extend=extend).frames())
    top = slice(0, 30)  # above the face
    assert [
        min(range(25), key=lambda n: np.abs(one.picture[top].astype(int) - filmed[n][top]).sum()) for one in made
    ] == (numbers)
    assert np.allclose(np.diff([one.seconds for one in made]), 0.04, atol=1e-3)


def test_a_dubbed_film_is_a_film_with_the_new_sound_that_says_it_was_edited(
    animator: Animator, film: Path, tmp_path: Path
):
    said = tone(1.0)
    animator.dub(film, said).save(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == FPS
        assert (container.streams.video[0].width, container.streams.video[0].height) == (240, 200)
    heard = read_audio(tmp_path / "out.mp4").at(16_000).samples
    assert np.corrcoef(heard[:15_000], said.samples[:15_000])[0, 1] > 0.9
    assert inspect(tmp_path / "out.mp4")["digitalSourceType"] == EDITED_SOURCE_TYPE
    assert inspect(tmp_path / "out.mp4")["synthetic"]


def test_the_filmed_sound_stays_under_the_speech_at_its_gain(animator: Animator, film: Path, tmp_path: Path):
    times = np.arange(48_000) / 48_000
    hum = Sound((0.4 * np.sin(2 * np.pi * 300 * times)).astype(np.float32), 48_000)
    animator.dub(film, hum).save(tmp_path / "hum.mp4")
    quiet = Sound(np.zeros(48_000, np.float32), 48_000)
    animator.dub(tmp_path / "hum.mp4", quiet).save(tmp_path / "out.mp4", keep_sound=0.5)
    heard = read_audio(tmp_path / "out.mp4").samples[4000:40_000]
    assert float(np.abs(heard).max()) == pytest.approx(0.2, abs=0.03)
    with pytest.raises(MediaError, match="gain"):
        animator.dub(film, quiet).save(tmp_path / "out.mp4", keep_sound=-1)


def test_a_film_whose_frames_come_at_varying_times_keeps_them(
    animator: Animator, astronaut: np.ndarray, tmp_path: Path
):
    times = [number / FPS + (0.013 if number % 3 == 1 else 0.0) + (0.4 if number > 12 else 0.0) for number in range(25)]
    path = write_film(tmp_path / "vary.mp4", moving(astronaut, 25), times)
    animator.dub(path, tone(1.4), extend="end").save(tmp_path / "out.mp4")
    assert [seconds for seconds, _ in decoded(tmp_path / "out.mp4")] == pytest.approx(times, abs=2e-3)


def test_odd_sides_and_tags_of_colours_survive(animator: Animator, astronaut: np.ndarray, tmp_path: Path):
    path = write_film(tmp_path / "odd.mp4", moving(astronaut, 12, (241, 199)))
    animator.dub(path, tone(0.4), extend="end").save(tmp_path / "odd_out.mp4")
    assert decoded(tmp_path / "odd_out.mp4")[0][1].shape == (200, 242, 3)
    path = write_film(tmp_path / "tags.mp4", moving(astronaut, 12), tags=6)
    animator.dub(path, tone(0.4), extend="end").save(tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (int(frame.color_primaries), int(frame.color_trc), int(frame.colorspace)) == (6, 6, 6)


def test_outside_the_face_the_encoder_gets_what_was_stored_to_the_bit(animator: Animator, film: Path, tmp_path: Path):
    def luma(path: Path) -> list[np.ndarray]:
        with av.open(str(path)) as container:
            return [np.asarray(frame.to_ndarray())[:200] for frame in container.decode(video=0)]

    opened = open_film(film)
    with FilmWriter(tmp_path / "out.mp4", opened, Fraction(FPS), None) as writer:
        writer.crf = 0  # lossless
        for one in opened.shown():
            changed = one.picture.copy()
            changed[51:90, 100:141] = 0
            writer.write_changed(changed, one.seconds, one.stored, [(slice(51, 90), slice(100, 141))])
    for made, filmed in zip(luma(tmp_path / "out.mp4"), luma(film), strict=True):
        assert (made[51:90, 100:141] == 16).all()
        assert np.abs(made[50:92, 100:142].astype(int) - filmed[50:92, 100:142]).max() > 50
        made[50:92, 100:142] = filmed[50:92, 100:142]
        assert (made == filmed).all()


def test_what_cannot_be_dubbed_is_said_in_a_sentence(
    animator: Animator, film: Path, tmp_path: Path, photo: Path, speech: Path
):
    wall = write_film(tmp_path / "wall.mp4", [np.full((48, 64, 3), 9 * number, np.uint8) for number in range(12)])
    with pytest.raises(FaceError, match="no face from the front"):
        animator.dub(wall, speech)
    with pytest.raises(MediaError, match=r"is a picture and not a film.*animate"):
        animator.dub(photo, speech)
    with pytest.raises(FaceError, match="there is no person 3"):
        animator.dub(film, speech, face=3)
    with pytest.raises(FaceError, match="largest or a number"):
        animator.dub(film, speech, face="left")
    with pytest.raises(MediaError, match="hold, loop, pingpong, end"):
        animator.dub(film, speech, extend="stretch")
    with pytest.raises(StillspeakError):
        animator.dub(film, speech, mouth=5)


def test_of_two_people_the_one_who_is_seen_most_speaks_and_a_note_says_so(
    animator: Animator, film: Path, speech: Path, tmp_path: Path, astronaut: np.ndarray
):
    face = moving(astronaut, 25)
    both = [np.hstack([one, one if number < 20 else np.full_like(one, 90)]) for number, one in enumerate(face)]
    two = write_film(tmp_path / "two.mp4", both)
    (note,) = animator.dub(two, speech).notes
    assert note == "2 people in the film; person 1, who is seen most, speaks (--face chooses another)."
    assert animator.dub(two, speech, face=2).notes == animator.dub(film, speech).notes == []


def test_silent_speech_is_warned_of(animator: Animator, film: Path):
    dub = animator.dub(film, Sound(np.zeros(16_000, np.float32), 16_000))
    list(dub.frames())
    assert any("silent" in note for note in dub.notes)


def test_the_command_dubs_and_prints_what_stayed_as_filmed(
    tiny_model: Path, stay: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    soundfile.write(tmp_path / "a.wav", tone(3.0).samples, 16_000)
    asked = ["dub", str(stay), str(tmp_path / "a.wav"), "-o", str(tmp_path / "o.mp4"), "--model", str(tiny_model)]
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert "Person 1: 2.0 of 3.0 seconds dubbed." in said
    assert "as filmed from 1.0 to 2.0 s" in said
    assert said.endswith("o.mp4\n")
    for wrong, sentence in (
        (["dub", str(stay), "-o", "o.mp4"], "takes FILM and SPEECH"),
        (["dub", str(stay), str(tmp_path / "a.wav"), "-o", str(tmp_path / "o.gif")], "must end in .mp4"),
        (["dub", str(tmp_path / "a.wav"), str(stay), "-o", str(tmp_path / "o.mp4")], "the film comes first"),
        (
            ["dub", str(tmp_path / "a.wav"), str(tmp_path / "a.wav"), "-o", str(tmp_path / "o.mp4")],
            "a sound and not a film",
        ),
        (["dub", str(stay), str(stay), "-o", str(tmp_path / "o.mp4")], "no sound"),
        (["dub", str(stay), str(tmp_path / "a.wav"), "-o", str(stay)], "one of the inputs"),
        (["animate", str(stay), str(tmp_path / "a.wav"), "-o", str(tmp_path / "o.mp4")], "stillspeak dub"),
    ):
        assert main(wrong) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.corpus
def test_an_unseen_speaker_follows_the_new_sentence_and_not_the_filmed_one(shipped: Animator, corpus: Path):
    from stillspeak.evaluation.mouth import match, opening
    from stillspeak.media.faces import align

    filmed = next((corpus / "grid" / "s23").glob("*.mpg"))
    wanted = sorted((corpus / "grid" / "s1").glob("*.mp4"))[3]

    def opened(cast: Cast, speech: Path | Sound | None) -> np.ndarray:
        pictures = (
            [made.picture for made in Dub(shipped.engine, cast, speech, extend="end").frames()] if speech else None
        )
        pictures = pictures or [one.picture for one in cast.film.shown()]
        to_crop = cast.people[0][0].to_crop
        return opening(np.stack([align(picture, to) for picture, to in zip(pictures, to_crop, strict=True)]))

    cast = look_through(open_film(filmed))
    made, real, before = opened(cast, wanted), opened(look_through(open_film(wanted)), None), opened(cast, None)
    assert match(made, real).correlation > 0.8
    assert match(made, before, 0).correlation < match(real, before, 0).correlation + 0.15
    shut = opened(cast, Sound(np.zeros(48_000, np.float32), 16_000))
    assert (shut > 2.0).mean() <= 0.02 < (before > 2.0).mean()


def test_people_of_a_film_are_numbered_and_a_frame_of_it_is_a_still(
    tiny_model: Path, stay: Path, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["faces", str(stay), "-o", str(tmp_path / "people.png")]) == 0
    assert "0.0-1.0 s, 2.0-3.0 s" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "people.png")) is not None
    asked = ["animate", str(stay), str(speech), "-o", str(tmp_path / "o.mp4"), "--model", str(tiny_model)]
    assert main([*asked, "--frame", "2.5"]) == 0
    assert np.abs(decoded(tmp_path / "o.mp4")[0][1].astype(int) - decoded(stay)[62][1]).mean() < 4
    capsys.readouterr()
    for seconds, said in (("1.5", "no face"), ("3.5", "shorter than 3.5 s"), ("-1", "from 0")):
        assert main([*asked, "--frame", seconds]) == 2
        assert said in capsys.readouterr().err
