"""What fuzzing begins with: small files of every kind that is read, and of kinds that must be refused."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pillow_heif

from stillspeak.media.provenance import container_metadata, marked_gif, marked_jpeg, marked_png

PICTURES = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "JPEG2000", "PPM")
SOUNDS = {"wav": "pcm_s16le", "aiff": "pcm_s16be", "flac": "flac", "ogg": "libopus", "mp3": "libmp3lame", "adts": "aac"}
FILMS = {"mp4": "aac", "matroska": "libopus", "avi": "pcm_s16le", "mpegts": "mp2", "flv": "libmp3lame"}
REFUSED_PICTURES = {
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{ } loop\nshowpage\n%%EOF\n",
    "eps_with_preview": b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 30, 9, 0, 0, 0, 0, 0) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n",
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(300),
    "wmf": b"\xd7\xcd\xc6\x9a" + bytes(100),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "script": b"push graphic-context\nviewbox 0 0 640 480\nimage over 0,0 0,0 '/etc/passwd'\n",
    "film": struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 512, b"mp42") + bytes(100),
}
REFUSED_SOUNDS = {
    "concat": "ffconcat version 1.0\nfile private.ts\n",
    "concat_bare": "file private.ts\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:1.0,\nprivate.ts\n#EXT-X-ENDLIST\n",
    "hls_key": '#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXT-X-KEY:METHOD=AES-128,URI="private.ts"\n#EXTINF:1.0,\n'
    "private.ts\n#EXT-X-ENDLIST\n",
    "hls_network": "#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:1.0,\nhttp://127.0.0.1:PORT/a.ts\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    '<Representation id="0" mimeType="audio/mp2t"><BaseURL>private.ts</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio PORT RTP/AVP 0\n",
    "pls": "[playlist]\nFile1=private.ts\nNumberOfEntries=1\nVersion=2\n",
    "asx": '<asx version="3.0"><entry><ref href="private.ts"/></entry></asx>',
    "ram": "file:private.ts\nhttp://127.0.0.1:PORT/a.rm\n",
    "smil": '<smil><body><audio src="private.ts"/></body></smil>',
    "edl": "# mpv EDL v0\nprivate.ts,0,1\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><audio href="private.ts"/></svg>',
    "vobsub": "# VobSub index file, v7\nsize: 720x576\n",
}


def pictures() -> dict[str, bytes]:
    """Small pictures that are read, by the name of their kind."""
    ramp = np.add.outer(np.arange(24), np.arange(32))[..., None] * np.array([3, 2, 1])
    image, exif, made = PIL.Image.fromarray(ramp.astype(np.uint8)), PIL.Image.Exif(), {}
    exif[0x0112] = 6
    for kind in PICTURES:
        file = io.BytesIO()
        more = {} if kind in ("GIF", "BMP", "PPM", "JPEG2000") else {"exif": exif}
        image.save(file, kind, **more)
        made[kind] = file.getvalue()
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=50, exif=exif.tobytes())
    return made | {"HEIC": file.getvalue()}


def marked() -> dict[str, bytes]:
    """Pictures that say that they are synthetic."""
    plain = pictures()
    png, jpeg = marked_png(plain["PNG"]), marked_jpeg(plain["JPEG"])
    return {"marked_png": png, "marked_jpeg": jpeg, "marked_gif": plain["GIF"][:-1] + marked_gif(plain["GIF"][-1:])}


def sound(kind: str, codec: str, film: bool = False) -> bytes:
    """A quarter of a second of sound in a container, with a picture beside it in a film."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        container.metadata.update(container_metadata())
        stream = container.add_stream(codec, rate=48_000, layout="mono")
        pictures = container.add_stream("mpeg4" if kind != "flv" else "flv", rate=25) if film else None
        if isinstance(pictures, av.VideoStream):
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            for number in range(5):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 40 * number, np.uint8), "rgb24")
                picture.pts = number
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        samples = (8000 * np.sin(np.arange(12_000) / 9)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None], "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def seeds(opener: str) -> dict[str, bytes]:
    """Files for an opener of ``fuzz.py`` to begin with; none for those that read no media."""
    playlists = {name: text.encode() for name, text in REFUSED_SOUNDS.items()}
    sounds = {kind: sound(kind, codec) for kind, codec in SOUNDS.items()}
    films = {kind: sound(kind, codec, film=True) for kind, codec in FILMS.items()}
    return {
        "image": pictures() | REFUSED_PICTURES,
        "sound": sounds | films | playlists,
        "video": films | playlists,
        "inspect": marked() | pictures() | sounds | films | playlists,
    }.get(opener, {})


def write_seeds(opener: str, folder: Path) -> None:
    """Writes the files that an opener begins with into a folder."""
    for name, content in seeds(opener).items():
        (folder / f"seed_{name}").write_bytes(content)
