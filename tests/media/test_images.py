"""Pictures of every kind are read as they are shown; files that are none are refused in a sentence."""

import base64
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from stillspeak.errors import MediaError
from stillspeak.media.images import read_alpha, read_image
from stillspeak.media.portrait import require_faces


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


def test_files_that_are_no_picture_are_refused(tmp_path: Path):
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    for name, reason in {"x.jpg": "not a picture", "gone.jpg": "no file", ".": "folder"}.items():
        with pytest.raises(MediaError, match=reason):
            read_image(tmp_path / name)


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
