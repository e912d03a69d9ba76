"""Pictures of every kind, the right face of several, and the geometry of alignment."""

import base64
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from stillspeak.errors import FaceError, MediaError
from stillspeak.media.faces import (
    CANONICAL,
    align,
    every_face,
    find_faces,
    read_alpha,
    read_image,
    similarity,
    smooth,
)
from stillspeak.media.portrait import require_faces


def test_the_astronauts_face_is_first_and_not_the_badge(astronaut: np.ndarray):
    left, top, right, bottom = require_faces(astronaut)[0].box
    assert 200 < (left + right) / 2 < 250
    assert 90 < (top + bottom) / 2 < 150


def test_the_aligned_face_has_its_points_at_the_canonical_places(astronaut: np.ndarray):
    face = require_faces(astronaut)[0]
    matrix = similarity(face.points)
    moved = face.points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(moved - CANONICAL).mean() < 2.0
    crop = align(astronaut, matrix)
    assert crop.shape == (128, 96, 3)
    assert crop.dtype == np.uint8


@pytest.mark.parametrize(
    ("angle", "scale", "shift"), [(0.0, 1.0, (0, 0)), (0.4, 2.5, (100, -30)), (-1.2, 0.3, (5, 700))]
)
def test_similarity_undoes_a_known_rotation_scale_and_shift(angle: float, scale: float, shift: tuple[int, int]):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (CANONICAL @ turn.T + shift).astype(np.float32)
    matrix = similarity(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], CANONICAL, atol=1e-3)


def test_align_shrinks_without_aliasing():
    checks = (np.indices((1280, 960)).sum(0) % 2 * 255).astype(np.uint8)
    fine = np.repeat(checks[:, :, None], 3, 2)
    crop = align(fine, np.array([[0.1, 0, 0], [0, 0.1, 0]]))
    assert crop.std() < 8  # a checkerboard of single pixels is an even grey from afar


def test_smoothing_keeps_a_still_face_still_and_steadies_a_shaking_one():
    still = np.repeat(CANONICAL[None], 20, 0)
    np.testing.assert_allclose(smooth(still), still, rtol=1e-6)
    shaking = still + np.random.default_rng(0).normal(0, 1, still.shape).astype(np.float32)
    assert (smooth(shaking) - still).std() < 0.5 * (shaking - still).std()


def test_smoothing_is_the_mean_of_seven_frames():
    points = np.random.default_rng(0).normal(size=(20, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(smooth(points)[10], points[7:14].mean(0), rtol=1e-5)


def picture(folder: Path, kind: str, pixels: np.ndarray) -> Path:
    path = folder / f"{kind}.png"
    image = Image.fromarray(pixels)
    match kind:
        case "grey":
            image.convert("L").save(path)
        case "rgba":
            image.convert("RGBA").save(path)
        case "palette":
            image.quantize(256).save(path)
        case "deep":
            cv2.imwrite(str(path), pixels[:, :, ::-1].astype(np.uint16) * 257)
        case "cmyk":
            path = path.with_suffix(".jpg")
            image.convert("CMYK").save(path, quality=95)
        case "rotated":
            path = path.with_suffix(".jpg")
            exif = Image.Exif()
            exif[0x0112] = 6  # turn by 90 degrees to show
            image.rotate(90, expand=True).save(path, exif=exif, quality=95)
        case "webp":
            path = path.with_suffix(".webp")
            image.save(path, quality=95)
    return path


@pytest.mark.parametrize("kind", ["grey", "rgba", "palette", "deep", "cmyk", "rotated", "webp"])
def test_every_kind_of_picture_is_read_upright_as_8_bit_rgb(tmp_path: Path, astronaut: np.ndarray, kind: str):
    read = read_image(picture(tmp_path, kind, astronaut))
    assert read.shape == astronaut.shape
    assert read.dtype == np.uint8
    expected = np.repeat(astronaut.mean(2, keepdims=True), 3, 2) if kind == "grey" else astronaut
    assert np.abs(read.astype(float) - expected).mean() < 12
    assert np.abs(np.array(require_faces(read)[0].box) - require_faces(astronaut)[0].box).max() < 12


def test_colours_are_those_that_the_profile_means(tmp_path: Path):
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    named = plain.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    swapped = named.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    for profile, shown in ((plain, (200, 60, 30)), (swapped, (60, 200, 30)), (b"no profile", (200, 60, 30))):
        Image.new("RGBA", (8, 8), (200, 60, 30, 255)).save(tmp_path / "a.png", icc_profile=profile)
        np.testing.assert_allclose(read_image(tmp_path / "a.png")[0, 0], shown, atol=1)


def test_a_picture_without_a_face_is_refused():
    for shape in ((1, 1, 3), (5, 400, 3), (300, 300, 3)):
        assert find_faces(np.full(shape, 120, np.uint8)) == []
    with pytest.raises(FaceError, match="no face"):
        require_faces(np.zeros((200, 200, 3), np.uint8))


def test_files_that_are_no_picture_are_refused(tmp_path: Path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    for name, reason in {"x.jpg": "not a picture", "gone.jpg": "no file", ".": "folder"}.items():
        with pytest.raises(MediaError, match=reason):
            read_image(tmp_path / name)


@pytest.mark.parametrize("side", [1000, 2400, 4000])
def test_a_small_face_in_a_large_photo_is_found(astronaut: np.ndarray, side: int):
    large = cv2.resize(astronaut, None, fx=2, fy=2)
    photo = np.full((side, side, 3), 90, np.uint8)
    photo[: min(side, 1024), : min(side, 1024)] = large[:side, :side]
    box = require_faces(photo)[0].box
    assert np.abs(np.array(box) / 2 - require_faces(astronaut)[0].box).max() < 12


def test_a_small_file_cannot_ask_for_all_memory(tmp_path: Path):
    """The first was found by fuzzing: 50 bytes made a decoder take 4 GB for a chunk that the file says it has."""
    lying = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAYAAQBzeo0L//8LtUlEQVR4ChoKAAAAo80=")
    head = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    bomb += struct.pack(">I", 1000) + b"IDAT" + bytes(1004)
    tracemalloc.start()
    for content, said in ((lying, "not a picture"), (bomb, "too many pixels")):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(MediaError, match=said):
            read_image(tmp_path / "a.png")
        with pytest.raises(MediaError, match=said):
            read_alpha(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


@pytest.mark.parametrize("kind", ["float", "float and a little more", "bytes in 32 bits", "32 bits", "16 bits"])
def test_grey_of_more_than_eight_bits_is_as_light_as_it_was(tmp_path: Path, kind: str):
    grey = np.tile(np.arange(0, 256, dtype=np.float64), (40, 1))
    wide = {
        "float": (grey / 255).astype(np.float32),
        "float and a little more": np.where(grey == 255, [[np.inf, 1.01] * 128], grey / 255).astype(np.float32),
        "bytes in 32 bits": grey.astype(np.int32),
        "32 bits": (grey * 257).astype(np.int32),
        "16 bits": (grey * 257).astype(np.uint16),
    }[kind]
    Image.fromarray(wide).save(tmp_path / "grey.tif")
    assert np.abs(read_image(tmp_path / "grey.tif")[..., 0] - grey)[:, :255].max() <= 1


def test_of_a_doubtful_face_the_clearest_look_is_kept(astronaut: np.ndarray):
    turned = cv2.warpAffine(astronaut, cv2.getRotationMatrix2D((225, 120), 12, 1.0), (512, 512))
    small = cv2.resize(turned, (200, 200), interpolation=cv2.INTER_AREA)
    assert every_face(small)[0].confidence >= find_faces(small)[0].confidence - 0.1
