"""The kinds of picture that are read and those that are not; what is forgiven; how much memory a picture may take."""

import io
import json
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps

from helpers import png_bomb, png_chunk
from seeds import PICTURES, REFUSED_PICTURES
from stillspeak.errors import MediaError
from stillspeak.media.images import decode_image, read_image


@pytest.fixture(scope="module")
def small(astronaut: np.ndarray) -> Image.Image:
    return Image.fromarray(astronaut).resize((160, 120))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def behind_header(png: bytes, extra: bytes) -> bytes:
    return png[:33] + extra + png[33:]


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def difference(read: np.ndarray, image: Image.Image) -> float:
    assert read.shape == (image.height, image.width, 3)
    return float(np.abs(read.astype(float) - np.asarray(image.convert("RGB"))).mean())


@pytest.mark.parametrize("kind", PICTURES)
def test_kinds_in_which_people_have_photos_are_read(small: Image.Image, kind: str):
    more = {"save_all": True, "append_images": [small]} if kind == "MPO" else {}
    assert difference(decode_image(saved(small, kind, **more), "it")[0], small) < 8


@pytest.mark.parametrize("orientation", [1, 6])
def test_the_photos_of_iphones_are_read_upright(small: Image.Image, orientation: int):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    pillow_heif.from_pillow(small).save(file, quality=90, exif=exif.tobytes())
    assert file.getvalue()[4:12] == b"ftypheic"
    upright = small if orientation == 1 else small.transpose(Image.Transpose.ROTATE_270)
    assert difference(decode_image(file.getvalue(), "it")[0], upright) < 8


@pytest.mark.parametrize("kind", REFUSED_PICTURES)
def test_what_runs_programs_or_names_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str):
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **_: started.append(arguments))
    for name in ("a.eps", "a.jpg"):
        (tmp_path / name).write_bytes(REFUSED_PICTURES[kind])
        with pytest.raises(MediaError, match="not a picture that can be read: JPEG, PNG"):
            read_image(tmp_path / name)
    assert not started


def packed(name: bytes, begin: bytes, content: bytes) -> bytes:
    return png_chunk(name, begin + zlib.compress(content))


def odd_pngs(small: Image.Image) -> dict[str, bytes]:
    """PNG files that viewers show, with metadata that are too long, damaged or not what they say."""
    png, xmp = saved(small, "PNG"), b"XML:com.adobe.xmp\0\1\0\0\0"
    extras = {
        "XMP of 2 MB": packed(b"iTXt", xmp, b"<x/>" * 500_000),
        "XMP of 30 MB": packed(b"iTXt", xmp, b"<x/>" * 7_500_000),
        "many texts": b"".join(packed(b"zTXt", b"a%d\0\0" % n, bytes(1_000_000)) for n in range(70)),
        "a profile of 2 MB of nothing": packed(b"iCCP", b"ICC\0\0", bytes(2_000_000)),
        "a profile packed in a way that nobody knows": png_chunk(b"iCCP", b"ICC\0\7" + b"\xff" * 20),
        "a damaged Exif": png_chunk(b"eXIf", b"\0\x08\0\x02\x01\x12\0\x03"),
        "a wrong checksum": png_chunk(b"tIME", bytes(7))[:-1] + b"?",
        "short metadata": png_chunk(b"pHYs", b"\0") + png_chunk(b"cHRM", b"\0") + png_chunk(b"gAMA", b""),
    }
    odd = {f"{name} in a PNG": behind_header(png, extra) for name, extra in extras.items()}
    return odd | {"no end in a PNG": png[:-12], "rubbish behind a PNG": png + b"rubbish" * 100}


def odd_jpegs(small: Image.Image) -> dict[str, bytes]:
    """The same as JPEG files."""
    jpeg, rubbish = saved(small, "JPEG", quality=95), b"\xff" * 20
    extras = {
        "a long comment": segment(0xFE, bytes(60_000)),
        "a damaged Exif": segment(0xE1, b"Exif\0\0MM\0*" + rubbish),
        "a part of a profile": segment(0xE2, b"ICC_PROFILE\0"),
        "a profile of nothing": segment(0xE2, b"ICC_PROFILE\0\1\1" + rubbish),
        "a damaged list of pictures": segment(0xE2, b"MPF\0MM\0*" + rubbish),
        "a wrong length": b"\xff\xed\0\x08" + bytes(400),
    }
    odd = {f"{name} in a JPEG": jpeg[:2] + extra + jpeg[2:] for name, extra in extras.items()}
    return odd | {
        "no end in a JPEG": jpeg[:-2],
        "a JPEG that lacks 300 bytes": jpeg[:-300],
        "a progressive JPEG without its end": saved(small, "JPEG", quality=95, progressive=True)[:-2],
    }


def odd_others(small: Image.Image) -> dict[str, bytes]:
    """The same as files of other kinds."""
    rubbish, exif, heic = b"\xff" * 20, Image.Exif(), io.BytesIO()
    exif[0x010F] = "maker"
    pillow_heif.from_pillow(small).save(heic, quality=95, exif=exif.tobytes())
    avif = saved(small, "AVIF", quality=95, exif=exif.tobytes())
    return {
        "a damaged Exif in a WebP": saved(small, "WEBP", quality=95, exif=b"Exif\0\0" + rubbish),
        "a damaged Exif in an AVIF": avif.replace(b"MM\0*", b"MM??").replace(b"II*\0", b"II??"),
        "a damaged Exif in a HEIC": heic.getvalue().replace(b"MM\0*", b"MM??").replace(b"II*\0", b"II??"),
        "a profile of nothing in an AVIF": saved(small, "AVIF", quality=95, icc_profile=rubbish),
        "rubbish behind an AVIF": avif + bytes(100),
        "an Exif that is not there in a TIFF": saved(small, "TIFF", tiffinfo={34665: 2**31}),
        "a profile of nothing in a TIFF": saved(small, "TIFF", icc_profile=rubbish),
    }


def test_photos_with_odd_metadata_are_read_as_viewers_show_them(small: Image.Image):
    bad = {}
    for name, photo in (odd_pngs(small) | odd_jpegs(small) | odd_others(small)).items():
        try:
            seen = difference(decode_image(photo, "it")[0], small)
            if seen > 8:
                bad[name] = seen
        except MediaError as error:
            bad[name] = error
    assert not bad


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (3, b"\0\0\0\0"),
        (3, b"\0\x09\0\0"),
        (2, b"6\0\0\0"),
        (5, b"\0\0\0\x1a"),
        (7, b"\x06\0\0\0"),
        (99, b"\0\x06\0\0"),
    ],
)
def test_an_orientation_that_makes_no_sense_turns_nothing(small: Image.Image, kind: int, value: bytes):
    exif = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHI", 0x0112, kind, 1) + value + bytes(4) + b"\0\0\0\x06\0\0\0\1"
    photo = behind_header(saved(small, "PNG"), png_chunk(b"eXIf", exif))
    assert difference(decode_image(photo, "it")[0], small) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_shown_upright(small: Image.Image, orientation: int):
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = saved(small, "PNG", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(photo))))
    np.testing.assert_array_equal(decode_image(photo, "it")[0], upright)


def test_a_profile_of_more_than_one_megabyte_still_says_what_colours_mean(small: Image.Image):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    named = profile.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    swapped = named.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ") + bytes(2_000_000)
    swapped = struct.pack(">I", len(swapped)) + swapped[4:]
    photo = behind_header(
        saved(Image.new("RGB", (8, 8), (200, 60, 30)), "PNG"), png_chunk(b"iCCP", b"a\0\0" + zlib.compress(swapped))
    )
    np.testing.assert_allclose(decode_image(photo, "it")[0][0, 0], (60, 200, 30), atol=1)


def test_a_photo_of_which_most_is_missing_is_said_to_be_cut_off(astronaut: np.ndarray):
    for kind in ("JPEG", "PNG"):
        whole = saved(Image.fromarray(astronaut), kind)
        with pytest.raises(MediaError, match="cut off"):
            decode_image(whole[: len(whole) // 4], "it")
        upper = decode_image(whole[: len(whole) * 4 // 5], "it")[0]
        assert np.abs(upper[:200].astype(float) - astronaut[:200]).mean() < 8


def test_pictures_that_take_too_much_memory_are_refused_by_their_header(small: Image.Image):
    large = small.resize((1000, 800))
    photos = [png_bomb(1000, 800, 6, 4), saved(large, "AVIF")]
    photos += [saved(large, "WEBP", **how) for how in ({}, {"lossless": True}, {"exif": b"Exif"})]
    for photo in photos:
        tracemalloc.start()
        with pytest.raises(
            MediaError, match=r"1000 x 800 pixels and takes \d+ MB of memory to read; 2 MB are the most"
        ):
            decode_image(photo, "it", most_bytes=2_000_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="reads its peak of memory under /proc")
def test_a_phones_photo_of_200_million_pixels_is_read_smaller(tmp_path: Path):
    grey = Image.new("L", (16_320, 12_240), 90)
    grey.paste(200, (0, 0, 8000, 6000))
    grey.save(tmp_path / "large.jpg", quality=50)
    program = """if True:
        import json, sys
        from stillspeak.media.images import decode_image
        pixels, smaller = decode_image(open(sys.argv[1], "rb").read(), "it", most_px=3840)
        peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
        print(json.dumps([pixels.shape, smaller, pixels[0, 0].tolist(), pixels[-1, -1].tolist(), peak // 1024]))
    """
    asked = [sys.executable, "-c", program, str(tmp_path / "large.jpg")]
    shape, smaller, first, last, peak_mb = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)
    assert (shape, smaller, first, last) == ([2880, 3840, 3], 4.25, [200] * 3, [90] * 3)
    assert peak_mb < 300
