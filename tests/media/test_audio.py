"""Sound in: every container and sample format that the issue names, and errors that are sentences."""

import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from helpers import tone, write_video
from stillspeak.errors import MediaError, SpeechError
from stillspeak.media.audio import Sound, open_sound, read_audio, require_speech


def encode(path: Path, codec: str, rate_hz: int, layout: str = "mono") -> None:
    samples = tone(1.0, rate_hz).samples
    planes = np.stack([samples] * (2 if layout == "stereo" else 1))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout)
        for start in range(0, len(samples), 1152):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes[:, start : start + 1152]), "fltp", layout)
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels", "subtype"),
    [
        ("mono16.wav", 16_000, 1, "PCM_16"),
        ("stereo24.wav", 44_100, 2, "PCM_24"),
        ("phone.wav", 8_000, 1, "PCM_U8"),
        ("studio.flac", 96_000, 2, "PCM_24"),
        ("float.wav", 48_000, 6, "FLOAT"),
    ],
)
def test_sample_formats_give_the_samples_that_were_written(
    tmp_path: Path, name: str, rate_hz: int, channels: int, subtype: str
):
    sound = tone(0.5, rate_hz)
    planes = np.zeros((len(sound.samples), channels))
    planes[:, :2] = sound.samples[:, None].clip(-1, 1)  # the front, of more than two
    soundfile.write(tmp_path / name, planes, rate_hz, subtype=subtype)
    read = read_audio(tmp_path / name)
    assert read.rate_hz == rate_hz
    assert read.samples.dtype == np.float32
    np.testing.assert_allclose(read.samples, sound.samples.clip(-1, 1), atol=0.01)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "mp3"), ("a.m4a", "aac"), ("a.ogg", "libopus"), ("a.webm", "libopus")]
)
def test_compressed_formats_keep_length_and_content(tmp_path: Path, name: str, codec: str):
    encode(tmp_path / name, codec, 48_000, "stereo")
    read = read_audio(tmp_path / name)
    assert read.seconds == pytest.approx(1.0, abs=0.06)
    loudness = np.sqrt(np.mean(read.samples**2))
    assert loudness == pytest.approx(np.sqrt(np.mean(tone(1.0, 48_000).samples ** 2)), rel=0.2)


def test_the_sound_of_a_video_is_read(tmp_path: Path):
    write_video(tmp_path / "v.mp4", np.zeros((25, 32, 32, 3)), tone(1.0, 48_000))
    assert read_audio(tmp_path / "v.mp4").seconds == pytest.approx(1.0, abs=0.05)


def test_resampling_keeps_a_sine_a_sine():
    t = np.arange(48_000) / 48_000
    sound = Sound(np.sin(2 * np.pi * 440 * t).astype(np.float32), 48_000).at(16_000)
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(sound.samples[200:-200], expected[200:-200], atol=1e-3)


def test_not_a_number_samples_become_silence(tmp_path: Path):
    samples = tone(0.2).samples.copy()
    samples[100:200] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    assert np.isfinite(read_audio(tmp_path / "nan.wav").samples).all()


def test_more_than_two_channels_are_mixed_as_players_do(tmp_path: Path):
    samples = tone(0.5, 48_000).samples
    planes = np.zeros((len(samples), 6))
    planes[:, 2] = samples  # the centre, where films have their speech
    soundfile.write(tmp_path / "film.wav", planes, 48_000, subtype="FLOAT")
    stream = open_sound(tmp_path / "film.wav")
    heard = np.concatenate([*stream.blocks], axis=1)
    np.testing.assert_allclose(heard, [samples / np.sqrt(2)] * 2, atol=1e-4)


def test_files_that_are_no_sound_are_refused_with_their_name(tmp_path: Path):
    write_video(tmp_path / "mute.mp4", np.zeros((5, 32, 32, 3)), None)
    (tmp_path / "text.wav").write_text("hello")
    (tmp_path / "empty.wav").touch()
    for name, reason in {
        "mute.mp4": "no sound",
        "text.wav": "cannot|not a sound",
        "empty.wav": "empty",
        "gone.wav": "no file",
        ".": "folder",
    }.items():
        with pytest.raises(MediaError, match=reason):
            read_audio(tmp_path / name)


def test_time_stamps_that_lie_make_no_hours_of_silence(tmp_path: Path):
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for number in range(30):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
            frame.sample_rate, frame.pts = 8000, number * 50 * 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert 500 < read_audio(tmp_path / "a.mka").seconds < 610


def test_speech_shorter_than_a_frame_is_refused_and_silence_is_not():
    with pytest.raises(SpeechError, match="10 ms"):
        require_speech(0.01, 0.04)
    require_speech(1.0, 0.04)


def test_a_damaged_packet_costs_a_few_packets_and_not_the_rest(tmp_path: Path):
    encode(tmp_path / "a.mp3", "mp3", 48_000)
    whole = read_audio(tmp_path / "a.mp3")
    data = bytearray((tmp_path / "a.mp3").read_bytes())
    third = len(data) // 3
    data[third : third + 600] = bytes(600)
    (tmp_path / "b.mp3").write_bytes(data)
    damaged = read_audio(tmp_path / "b.mp3")
    assert whole.seconds - 0.1 < damaged.seconds <= whole.seconds + 0.03
    loudness = [np.sqrt(np.mean(sound.samples[-12_000:] ** 2)) for sound in (damaged, whole)]
    assert loudness[0] == pytest.approx(loudness[1], rel=0.3)


def test_sound_that_changes_its_format_on_the_way_is_read_to_the_end(tmp_path: Path):
    encode(tmp_path / "mono.mp3", "mp3", 48_000)
    encode(tmp_path / "stereo.mp3", "mp3", 48_000, "stereo")
    joined = (tmp_path / "mono.mp3").read_bytes() + (tmp_path / "stereo.mp3").read_bytes()
    (tmp_path / "both.mp3").write_bytes(joined)
    assert read_audio(tmp_path / "both.mp3").seconds == pytest.approx(2.0, abs=0.15)


def test_a_colon_in_a_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    encode(tmp_path / "a.mp3", "mp3", 48_000)
    (tmp_path / "a.mp3").rename(tmp_path / "at 10:30.mp3")
    monkeypatch.chdir(tmp_path)
    assert read_audio("at 10:30.mp3").seconds == pytest.approx(1.0, abs=0.06)


def test_channels_that_cancel_each_other_are_still_heard(tmp_path: Path):
    sound = tone(0.5)
    for name, other, wanted in (("opposite", -1.0, 1.0), ("alike", 1.0, 1.0), ("one", 0.0, 0.5)):
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.stack([sound.samples, other * sound.samples], axis=1), sound.rate_hz, subtype="FLOAT")
        np.testing.assert_allclose(read_audio(path).samples, wanted * sound.samples, atol=1e-6)
        streamed = np.concatenate([*open_sound(path).mono()])
        np.testing.assert_allclose(streamed, wanted * sound.samples, atol=1e-6)


def test_a_pause_with_opposite_noise_is_no_wrong_wire(tmp_path: Path):
    sound, noise = tone(2.0), np.random.default_rng(0).normal(0, 0.02, 32_000).astype(np.float32)
    voice = sound.samples.copy()
    voice[8000:24_000] = 0
    soundfile.write(tmp_path / "wide.wav", np.stack([voice + noise, voice - noise], 1), 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "wide.wav").samples, voice, atol=1e-6)


def test_a_pipe_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(MediaError, match="is a pipe"):
        read_audio(tmp_path / "pipe.wav")


@pytest.mark.parametrize("channels", [3, 5, 7, 9, 12, 17, 24, 64])
def test_any_number_of_channels_is_mixed_down(tmp_path: Path, channels: int):
    sound = tone(0.5)
    planes = np.repeat(sound.samples[:, None], channels, axis=1) / 10
    soundfile.write(tmp_path / "many.wav", planes, 16_000, subtype="FLOAT")
    heard = np.concatenate([*open_sound(tmp_path / "many.wav").blocks], axis=1)
    assert heard.shape == (2, 8000)
    assert np.corrcoef(heard.mean(axis=0), sound.samples)[0, 1] > 0.999
    assert np.abs(heard).max() > 0.09 * np.abs(sound.samples).max()


def test_channels_that_are_known_to_nobody_are_mixed_by_their_mean(tmp_path: Path):
    sound = tone(0.5)
    planes = np.zeros((len(sound.samples), 9))
    planes[:, 4] = sound.samples
    soundfile.write(tmp_path / "nine.wav", planes, 16_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "nine.wav").samples, sound.samples / 9, atol=1e-6)
    soundfile.write(tmp_path / "too_many.wav", np.zeros((100, 65)), 16_000)
    with pytest.raises(MediaError, match="65 channels"):
        read_audio(tmp_path / "too_many.wav")


def test_nine_compressed_channels_are_read(tmp_path: Path):
    with av.open(str(tmp_path / "nine.mka"), "w") as container:
        options = {"mapping_family": "255"}  # no channel has a place
        stream = container.add_stream("libopus", rate=48_000, layout="9 channels", options=options)
        for number in range(25):
            frame = av.AudioFrame("flt", "9 channels", 960)
            frame.planes[0].update(np.full(9 * 960, 0.01, np.float32))
            frame.sample_rate, frame.pts = 48_000, 960 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert read_audio(tmp_path / "nine.mka").seconds == pytest.approx(0.5, abs=0.03)
