"""Opens sound and video files, and nothing that leads elsewhere. Ours.

FFmpeg knows formats that are lists of other files (playlists, concat scripts, patterns of pictures), formats that are devices,
and protocols that reach the network. A file from a stranger must decide nothing of that kind. So the formats that are opened
stand in a list, and the only protocol is a file of this machine. FFmpeg hands both limits on to whatever a format opens.
"""

from pathlib import Path

import av
import av.error

from stillspeak.errors import MediaError
from stillspeak.media.files import require_file

_SOUND = """aac ac3 ac4 act adx aea aiff alaw amr amrnb amrwb ape apc aptx aptx_hd asf asf_o au avr bonk caf codec2 codec2raw
    daud dfpwm dsf dss dts dtshd eac3 epaf f32be f32le f64be f64le flac g722 g723_1 g726 g726le g728 g729 gsm hca iamf iff ilbc
    ircam laf lc3 loas mlp mp3 mpc mpc8 mtaf mulaw nistsphere oga ogg oma osq paf pvf qcp qoa rka rso s16be s16le s24be s24le
    s32be s32le s8 sbc sds sdx shn siff sln smjpeg sol sox spdif svx tak truehd tta u16be u16le u24be u24le u32be u32le u8 voc
    vqf w64 wady wav wavarc wsaud wsd wv wve xa xwma"""
_FILMS = """3dostr av1 avi avs2 avs3 cavsvideo dhav dirac dnxhd dv evc flv gxf h261 h263 h264 hevc ivf ivr live_flv lvf lxf m4v
    matroska mgsts mjpeg mjpeg_2000 mov mpeg mpegts mpegvideo mtv mv mxf nsv nut nuv obu pva rm roq rpl swf ty vc1 vc1test vivo
    vvc wtv yuv4mpegpipe"""
_PICTURES = "gif apng bmp_pipe jpeg_pipe jpegls_pipe j2k_pipe pgm_pipe png_pipe ppm_pipe tiff_pipe webp_pipe"
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(f"{_SOUND} {_FILMS} {_PICTURES}".split()),
    "enable_drefs": "0",  # a mov may otherwise name tracks in other files
}


def open_media(path: str | Path) -> av.container.InputContainer:
    """Opens a sound or video file.

    Raises:
        MediaError: if it is missing, a folder or empty, or if its format is unknown or leads to other files.
    """
    path = Path(path)
    require_file(path)
    try:
        return av.open(str(path.absolute()), options=_OPTIONS)  # absolute: FFmpeg takes "a:" for a protocol
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise MediaError(f"{path} is not a sound or video file that can be read.") from error
