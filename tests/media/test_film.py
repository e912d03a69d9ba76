"""A film is read at its own times, upright, from any frame on and backwards, and says what its colours mean."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import skimage.io

from stillspeak.errors import MediaError
from stillspeak.media.film import index_at, open_film, steady_rate


def written(
    path: Path,
    times: list[float],
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    tags: tuple[int, int, int] = (2, 2, 2),
    rotation: int = 0,
) -> Path:
    """A film whose frame n is as bright as 8 * n + 20; its left half is darker."""
    width, height = size
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options={"bf": "2", "g": "10"})
        video.bit_rate = 4_000_000
        video.width, video.height, video.pix_fmt = width, height, pixels
        if codec != "mpeg2video":  # which counts whole frames
            video.time_base = video.codec_context.time_base = Fraction(1, 90_000)
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        if rotation:
            video.set_display_rotation(rotation)
        for number, seconds in enumerate(times):
            shown = np.full((height, width, 3), 8 * number + 20, np.uint8)
            shown[:, : width // 2] //= 2
            frame = av.VideoFrame.from_ndarray(shown, "rgb24").reformat(format=pixels)
            base = video.codec_context.time_base or Fraction(1, 25)
            frame.pts, frame.time_base = round(seconds / base), base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def brightness(picture: np.ndarray) -> int:
    return round((float(picture[:, -8:].mean()) - 20) / 8)


@pytest.mark.parametrize(
    "rate", [Fraction(24), Fraction(25), Fraction(30_000, 1001), Fraction(30), Fraction(50), Fraction(60)]
)
def test_a_steady_film_keeps_its_rate_to_the_fraction(tmp_path: Path, rate: Fraction):
    film = open_film(written(tmp_path / "a.mp4", [number / float(rate) for number in range(24)]))
    times = [one.seconds for one in film.shown()]
    assert times == pytest.approx([number / float(rate) for number in range(24)], abs=1e-4)
    assert steady_rate(times, film.fps) == rate


def test_a_varying_film_has_no_one_rate_and_keeps_its_times(tmp_path: Path):
    meant = [0.0, 0.04, 0.1, 0.14, 0.5, 0.51, 0.6, 0.9]
    film = open_film(written(tmp_path / "a.mp4", meant))
    times = [one.seconds for one in film.shown()]
    assert times == pytest.approx(meant, abs=1e-3)
    assert steady_rate(times, film.fps) is None
    assert [index_at(times, seconds) for seconds in (-1, 0.0, 0.11, 0.49, 0.55, 9)] == [0, 0, 2, 3, 5, 7]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mpg", "a.webm"])
def test_a_film_is_read_from_any_frame_on_and_backwards(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    codec = {".mpg": "mpeg2video", ".webm": "libvpx-vp9"}.get(Path(name).suffix, "libx264")
    film = open_film(written(tmp_path / name, [number / 25 for number in range(25)], codec=codec))
    forwards = [(one.seconds, brightness(one.picture)) for one in film.shown()]
    assert [shown for _, shown in forwards] == list(range(25))
    times = [seconds for seconds, _ in forwards]
    for start in (1, 9, 10, 11, 24):
        assert [(one.seconds, brightness(one.picture)) for one in film.shown(times[start])] == forwards[start:]
    monkeypatch.setattr("stillspeak.media.film._BACKWARDS_BYTES", 64 * 48 * 3 * 7)
    assert [(one.seconds, brightness(one.picture)) for one in film.backwards(times)] == forwards[::-1]


def test_a_film_that_lies_on_its_side_is_shown_upright(tmp_path: Path):
    film = open_film(written(tmp_path / "a.mp4", [0.0, 0.04], rotation=90))
    picture = next(film.shown()).picture
    assert picture.shape == (64, 48, 3)
    assert abs(float(picture[:32].mean()) - float(picture[32:].mean())) > 8


@pytest.mark.parametrize(("pixels", "size"), [("yuv420p10le", (64, 48)), ("yuv444p", (63, 47)), ("yuvj420p", (64, 48))])
def test_ten_bits_odd_sides_and_the_full_range_can_be_read(tmp_path: Path, pixels: str, size: tuple[int, int]):
    film = open_film(written(tmp_path / "a.mkv", [number / 25 for number in range(5)], size, pixels=pixels))
    shown = [one.picture for one in film.shown()]
    assert shown[0].shape == (size[1], size[0], 3)
    assert [brightness(picture) for picture in shown] == list(range(5))
    assert film.colours.full_range == (pixels == "yuvj420p")


def test_a_film_says_what_its_colours_mean(tmp_path: Path):
    film = open_film(written(tmp_path / "a.mp4", [0.0, 0.04], tags=(5, 6, 6)))
    assert film.colours[:3] == (5, 6, 6)
    assert open_film(written(tmp_path / "b.mp4", [0.0, 0.04])).colours[:3] == (2, 2, 2)


@pytest.mark.parametrize("curve", [16, 18])
def test_a_film_in_hdr_is_refused_with_what_to_do(tmp_path: Path, curve: int):
    with pytest.raises(MediaError, match=r"HDR.*convert it to SDR"):
        open_film(written(tmp_path / "a.mkv", [0.0, 0.04], pixels="yuv420p10le", tags=(9, curve, 9)))


def test_what_is_no_film_is_called_what_it_is(tmp_path: Path):
    skimage.io.imsave(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint8), check_contrast=False)
    (tmp_path / "a.mp4").write_bytes(b"no film at all")
    for path, said in (
        (tmp_path / "a.png", "is a picture and not a film.*animate"),
        (written(tmp_path / "one.mp4", [0.0]), "single picture"),
        (tmp_path / "a.mp4", "cannot be read|that can be read"),
        (tmp_path / "none.mp4", "none.mp4"),
    ):
        with pytest.raises(MediaError, match=said):
            open_film(path)
