"""Video is read as players show it: turned, mirrored, with square pixels, at one size."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stillspeak.media.shown import Screen, square_size, turned
from stillspeak.media.video import read_video


def corner(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture that no turn and no mirror leaves as it is: top left white, top right grey, the rest black."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 250
    picture[: height // 2, width // 2 :] = 120
    return picture


def stored(
    path: Path, picture: np.ndarray, codec: str = "libx264", pixel: Fraction | None = None, **turn: object
) -> Path:
    """Ten frames of a picture; what its stream says of turns and pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        if pixel:
            stream.sample_aspect_ratio = pixel
        if turn:
            stream.set_display_rotation(**turn)
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["v.mp4", "v.mov", "v.mkv"])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_and_mirrored_video_is_read_upright(tmp_path: Path, name: str, degrees: int, mirrored: bool):
    upright = corner()
    lying = np.rot90(upright[:, ::-1] if mirrored else upright, -degrees // 90)  # the players' turn undoes it
    path = stored(tmp_path / name, lying, degrees=degrees, hflip=mirrored)
    read = read_video(path)[5]
    assert read.shape == upright.shape
    assert np.abs(read.astype(int) - upright).mean() < 6


def test_a_matrix_turns_as_the_standard_says_and_one_of_nothing_turns_nothing():
    picture = corner()
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]], np.int32)  # x goes down, y goes to the left
    np.testing.assert_array_equal(turned(picture, quarter), np.rot90(picture, -1))
    np.testing.assert_array_equal(turned(picture, np.zeros((3, 3), np.int32)), picture)
    np.testing.assert_array_equal(turned(picture, np.diag([1, -1, 1]).astype(np.int32)), picture[::-1])


@pytest.mark.parametrize(
    ("stored_size", "pixel", "shown"),
    [
        ((720, 576), Fraction(64, 45), (1024, 576)),  # DVD, 16:9
        ((720, 480), Fraction(8, 9), (720, 540)),  # DVD, 4:3
        ((180, 288), Fraction(2), (360, 288)),
        ((35, 33), Fraction(4, 3), (47, 33)),
        ((64, 48), Fraction(1), (64, 48)),
        ((64, 48), None, (64, 48)),
        ((64, 48), Fraction(0), (64, 48)),
        ((64, 48), Fraction(1000), (64, 48)),  # nobody's pixels are
    ],
)
def test_one_side_grows_until_pixels_are_square(
    stored_size: tuple[int, int], pixel: Fraction | None, shown: tuple[int, int]
):
    assert square_size(*stored_size, pixel) == shown


@pytest.mark.parametrize(
    ("name", "codec"), [("v.mp4", "libx264"), ("v.mkv", "libx264"), ("v.mpg", "mpeg2video"), ("v.mov", "mpeg4")]
)
def test_pixels_that_are_not_square_are_made_so_before_the_picture_is_turned(tmp_path: Path, name: str, codec: str):
    turn = {} if name == "v.mpg" else {"degrees": 90}
    wide = corner(96, 128)
    narrow = np.rot90(wide, -1)[:, ::2] if turn else wide[:, ::2]
    pixel = (
        Fraction(16, 9) * Fraction(narrow.shape[0], narrow.shape[1]) if name == "v.mpg" else Fraction(2)
    )  # it has a few shapes
    read = read_video(stored(tmp_path / name, narrow, codec, pixel, **turn))[5]
    assert read.shape == ((96, round(96 * 16 / 9), 3) if name == "v.mpg" else wide.shape)
    height, width = read.shape[:2]
    parts = read[height // 8, width // 4], read[height // 8, 3 * width // 4], read[7 * height // 8, width // 4]
    np.testing.assert_allclose([part.mean() for part in parts], [250, 120, 0], atol=12)


def test_a_film_that_changes_its_shape_keeps_its_size_and_is_shown_whole(tmp_path: Path):
    square, wide = np.full((96, 96, 3), 200, np.uint8), np.full((48, 96, 3), 200, np.uint8)
    stored(tmp_path / "a.ts", square)
    stored(tmp_path / "b.ts", wide)
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    read = read_video(tmp_path / "c.ts")
    assert read.shape[1:] == (96, 96, 3)
    assert read[3].mean() > 190
    assert read[-1][40:56].mean() > 190
    assert read[-1][:20].max() < 20
    assert read[-1][-20:].max() < 20


def test_pixels_that_change_their_shape_on_the_way_are_followed(tmp_path: Path):
    narrow = corner(96, 64)
    stored(tmp_path / "a.ts", narrow, "mpeg2video", Fraction(2))
    stored(tmp_path / "b.ts", narrow, "mpeg2video", Fraction(1))
    (tmp_path / "c.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    read = read_video(tmp_path / "c.ts")
    first, last = read[3], read[-1]
    bars = (first.shape[1] - 64) // 2
    assert first[10, 2].min() > 200
    assert bars > 10
    assert last[10, : bars - 2].max() < 20
    assert last[10, bars + 4].min() > 200


def test_colours_by_a_rule_that_nobody_knows_are_shown_as_usual():
    """Found by fuzzing: such a frame ended the film with an error."""
    ramp = np.add.outer(np.arange(32), np.arange(32))[..., None] * np.array([3, 2, 1])
    usual, odd = (
        av.VideoFrame.from_ndarray(ramp.astype(np.uint8), "rgb24").reformat(format="yuv420p") for _ in range(2)
    )
    odd.colorspace = 193
    np.testing.assert_array_equal(Screen().show(odd, None), Screen().show(usual, None))
