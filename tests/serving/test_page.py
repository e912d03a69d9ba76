"""The page, in a real Chromium: a photo, a sound file, a microphone, a video that downloads and has sound."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from helpers import CHROMIUM, served
from stillspeak.media.audio import read_audio
from stillspeak.media.inspection import inspect
from stillspeak.media.video import read_video

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
HELLO = Path(__file__).parent.parent.parent / "examples" / "hello.flac"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """A photo, one of two people, speech with silence before it, and one for the microphone."""
    folder = tmp_path_factory.mktemp("page")
    Image.fromarray(astronaut).save(folder / "face.png")
    two = np.concatenate([astronaut[:260, 80:340], astronaut[:260, 340:79:-1]], axis=1)
    Image.fromarray(two).save(folder / "two.png")
    hello = read_audio(HELLO).at(16_000).samples
    soundfile.write(folder / "hello.wav", np.concatenate([np.zeros(16_000, np.float32), hello[:48_000]]), 16_000)
    soundfile.write(folder / "microphone.wav", hello, 16_000, subtype="PCM_16")
    return folder


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served("serve", "--port", "0") as (_, found):
        yield found


@pytest.fixture(scope="module")
def browser(files: Path) -> Iterator[Browser]:
    switches = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={files / 'microphone.wav'}",
        "--autoplay-policy=no-user-gesture-required",
    ]
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=[*switches, "--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.new_context(permissions=["microphone"]) as context:
        page = context.new_page()
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(address)
        yield page
        assert troubles == []


def mouth(page: Page) -> np.ndarray:
    """The middle of the astronaut's face as the canvas shows it."""
    script = """() => { const c = document.getElementById("screen"), s = c.width / 512;
        return [...c.getContext("2d").getImageData(200 * s, 120 * s, 50 * s, 60 * s).data]; }"""
    return np.array(page.evaluate(script), int)


def give_photo(page: Page, path: Path) -> None:
    page.set_input_files("#photo", path)
    expect(page.locator("#status")).to_have_text("Speak, or choose a sound file.", timeout=20_000)


def test_a_sound_file_is_said_in_its_own_time_and_the_video_downloads_with_sound(
    page: Page, files: Path, tmp_path: Path
):
    give_photo(page, files / "face.png")
    page.evaluate("""() => { const pen = CanvasRenderingContext2D.prototype, draw = pen.drawImage; window.mouths = [];
        pen.drawImage = function (...what) { draw.apply(this, what);
            const s = this.canvas.width / 512, { data } = this.getImageData(200 * s, 120 * s, 50 * s, 60 * s);
            window.mouths.push([performance.now(), [...data.filter((_, i) => i % 16 === 0)]]); }; }""")
    page.set_input_files("#speech", files / "hello.wav")
    expect(page.locator("#status")).to_have_text("hello.wav was said.", timeout=60_000)
    drawn = page.evaluate("window.mouths.slice(0, window.stillspeak.shown)")  # after these the photo is drawn
    in_silence = np.array([at < drawn[-1][0] - 3100 for at, _ in drawn])[1:]  # 3 s of speech follow 1 s of silence
    motion = np.abs(np.diff(np.array([mouth for _, mouth in drawn], float), axis=0)).mean(axis=1)
    assert np.median(motion[~in_silence]) > 2 * np.median(motion[in_silence])
    assert page.evaluate("window.stillspeak.frames") == 100
    page.click("#make")
    expect(page.locator("#download")).to_be_visible(timeout=60_000)
    expect(page.locator("#film")).to_be_visible()
    expect(page.locator("#film")).to_have_js_property("duration", 4.0)  # 100 frames
    with page.expect_download() as got:
        page.click("#download")
    got.value.save_as(tmp_path / "talk.mp4")
    assert read_video(tmp_path / "talk.mp4").shape == (100, 512, 512, 3)
    assert np.abs(read_audio(tmp_path / "talk.mp4").samples).max() > 0.05
    assert inspect(tmp_path / "talk.mp4")["synthetic"] is True


def test_the_microphone_moves_the_mouth_and_what_was_said_becomes_a_video(page: Page, files: Path):
    give_photo(page, files / "face.png")
    still = mouth(page)
    page.click("#talk")
    page.wait_for_function("window.stillspeak.shown > 20", timeout=20_000)
    shown = []
    for _ in range(10):
        shown.append(mouth(page))
        page.wait_for_timeout(120)
    assert max(np.abs(one - still).mean() for one in shown) > 1
    assert max(np.abs(a - b).mean() for a, b in itertools.pairwise(shown)) > 0.3
    page.click("#talk")
    expect(page.locator("#make")).to_be_enabled()


def test_the_sound_that_was_chosen_last_is_what_a_video_says(page: Page, files: Path):
    give_photo(page, files / "face.png")
    page.click("#talk")
    page.wait_for_function("window.stillspeak.shown > 20", timeout=20_000)
    page.click("#talk")
    expect(page.locator("#status")).to_have_text("Make a video of what you said, or speak again.")
    page.set_input_files("#speech", files / "hello.wav")
    expect(page.locator("#status")).to_have_text("hello.wav is being said.", timeout=20_000)
    page.click("#talk")
    expect(page.locator("#status")).to_have_text("Stopped.")
    page.evaluate("""() => {
        window.fetch = async (_, what) => { window.sent = what.body?.get("speech").name; throw new Error(); }; }""")
    page.click("#make")
    expect(page.locator("#status")).to_have_text("The server cannot be reached.")
    assert page.evaluate("window.sent") == "hello.wav"


def test_two_clicks_open_one_microphone(page: Page, files: Path):
    give_photo(page, files / "face.png")
    page.evaluate("""() => { const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        window.opened = [];
        navigator.mediaDevices.getUserMedia = async (what) => {
            await new Promise((done) => setTimeout(done, 500));
            const stream = await ask(what);
            window.opened.push(...stream.getTracks());
            return stream;
        }; }""")
    page.click("#talk")
    page.click("#talk")
    page.wait_for_function("window.stillspeak.shown > 5", timeout=20_000)
    assert sorted(page.evaluate("window.opened.map((track) => track.readyState)")) == ["ended", "live"]
    page.click("#talk")
    assert page.evaluate("window.opened.map((track) => track.readyState)") == ["ended", "ended"]


def test_of_two_photos_the_one_chosen_last_is_shown(page: Page, files: Path):
    page.evaluate("""() => { const ask = window.fetch.bind(window); let calls = 0;
        window.fetch = async (...what) => { const late = calls++ === 0; const answer = await ask(...what);
            if (late) await new Promise((done) => setTimeout(done, 1500)); return answer; }; }""")
    page.set_input_files("#photo", files / "face.png")
    page.wait_for_timeout(100)
    give_photo(page, files / "two.png")
    width = page.evaluate("document.getElementById('screen').width")
    page.wait_for_timeout(2_000)
    assert width > 512  # the first photo's
    assert page.evaluate("document.getElementById('screen').width") == width


def test_it_works_with_the_keyboard_and_a_face_is_picked(page: Page, files: Path):
    give_photo(page, files / "two.png")
    expect(page.locator("#faces label")).to_have_count(3)
    page.focus("#screen")
    page.keyboard.press("2")
    expect(page.locator("#faces input[value='2']")).to_be_checked()
    reached = []
    page.focus("body")
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"screen", "photo", "face", "talk", "speech"} <= set(reached)


def test_a_photo_without_a_face_is_said_and_a_dark_phone_fits(browser: Browser, address: str, tmp_path: Path):
    Image.new("RGB", (300, 300), (90, 120, 60)).save(tmp_path / "meadow.png")
    with browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark") as context:
        page = context.new_page()
        page.goto(address)
        page.set_input_files("#photo", tmp_path / "meadow.png")
        expect(page.locator("#status")).to_contain_text("no face", timeout=20_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 21, 26)"
        expect(page.locator("#mark")).to_be_hidden()  # nothing synthetic is shown
