"""What the page is given and how it answers: drops, names, the badge, contrast, keys, the microphone. No server behind it."""

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from helpers import CHROMIUM, tone
from page_alone import BASE, FACE, Alone, alone

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")
LONG_NAME = "a_photo_whose_name_nobody_has_ever_thought_of_making_any_shorter_than_this_at_all.png"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything that people drop."""
    folder = tmp_path_factory.mktemp("offers")
    for name in ("face.png", "other.png", LONG_NAME):
        Image.new("RGB", (512, 384), (200, 200, 200)).save(folder / name)
    for name in ("hello.wav", "again.wav"):
        soundfile.write(folder / name, tone(0.5).samples, 16_000)
    (folder / "clip.mp4").write_bytes(b"not what this browser can play")
    (folder / "phone.heic").write_bytes(b"nor draw")
    (folder / "notes.txt").write_text("text")
    (folder / "paper.pdf").write_bytes(b"%PDF")
    (folder / "empty.wav").touch()
    (folder / "photos").mkdir()
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    switches = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--mute-audio"]
    with sync_playwright() as play:
        always = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=[*always, *switches])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Alone]:
    with alone(browser) as page:
        yield page


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["photos"], "photos is a folder; drop one photo"),
        (["face.png", "photos"], "photos is a folder; drop one photo"),
        (["face.png", "other.png"], "These are 2 pictures"),
        (["hello.wav", "again.wav"], "These are 2 sound files"),
        (["notes.txt"], "notes.txt is neither a picture nor a sound file"),
        (["face.png", "paper.pdf"], "paper.pdf is neither"),
        (["empty.wav"], "empty.wav is empty."),
    ],
)
def test_files_that_cannot_be_used_are_answered(opened: Alone, files: Path, names: list[str], said: str):
    opened.drop(*[files / name for name in names])
    expect(opened.page.locator("#status")).to_contain_text(said)
    expect(opened.page.locator("#status")).to_have_class("bad")
    assert opened.sent("POST") == []


def test_text_links_and_nothing_are_answered(opened: Alone, files: Path):
    for text, kind, said in (
        ("hello", "text/plain", "This is text"),
        ("https://x.y/face.png", "text/uri-list", "This is a link, not a file"),
        ("", "", "There is no file in this"),
    ):
        opened.drop(text=text, kind=kind)
        expect(opened.page.locator("#status")).to_contain_text(said)
    for field, name, said in (("#photo", "hello.wav", "is not a picture"), ("#speech", "face.png", "is not a sound")):
        opened.page.set_input_files(field, files / name)
        expect(opened.page.locator("#status")).to_contain_text(f"{name} {said}")


def test_a_sound_before_the_photo_is_kept_and_then_said(opened: Alone, files: Path):
    page = opened.page
    opened.drop(files / "hello.wav")
    expect(page.locator("#status")).to_have_text("hello.wav is chosen. Now choose a photo with a face in it.")
    expect(page.locator("#speech-name")).to_have_text("hello.wav, 0:01")
    expect(page.locator("#make")).to_be_disabled()
    opened.drop(files / "face.png")
    expect(page.locator("#status")).to_have_text("hello.wav is being said.")
    expect(page.locator("#make")).to_be_enabled()


def test_a_photo_and_a_sound_may_come_at_once(opened: Alone, files: Path):
    for sound in ("hello.wav", "again.wav"):
        opened.drop(files / sound, files / "face.png")
        expect(opened.page.locator("#status")).to_have_text(f"{sound} is being said.")
        expect(opened.page.locator("#photo-name")).to_have_text("face.png, 512 x 384")


def test_of_a_video_the_sound_is_taken_and_that_is_said(opened: Alone, files: Path):
    opened.drop(files / "clip.mp4")
    expect(opened.page.locator("#status")).to_contain_text("The sound of clip.mp4 is chosen.")
    expect(opened.page.locator("#speech-name")).to_have_text("the sound of clip.mp4, 1 kB")
    opened.drop(files / "face.png")
    expect(opened.page.locator("#status")).to_have_text(
        "The browser cannot play the sound of clip.mp4; the video can still be made."
    )
    expect(opened.page.locator("#make")).to_be_enabled()


def test_a_photo_that_the_browser_cannot_draw_speaks_all_the_same(opened: Alone, files: Path):
    opened.page.set_input_files("#photo", files / "phone.heic")
    expect(opened.page.locator("#status")).to_have_text("Speak, or choose a sound file.")
    expect(opened.page.locator("#photo-name")).to_have_text("phone.heic, 1 kB")
    expect(opened.page.locator("#talk")).to_be_enabled()


def test_the_badge_stands_on_what_is_synthetic_alone(opened: Alone, files: Path):
    page, mark = opened.page, opened.page.locator("#mark")
    expect(mark).to_be_hidden()
    opened.drop(files / "face.png")
    expect(page.locator("#talk")).to_be_enabled()
    expect(mark).to_be_hidden()
    opened.drop(files / "hello.wav")
    expect(mark).to_be_visible()
    page.click("#talk")  # stops it
    expect(mark).to_be_hidden()


def test_the_face_that_speaks_by_default_is_chosen_and_a_click_chooses_another(opened: Alone, files: Path):
    opened.faces = [FACE, FACE | {"number": 2, "left": 300, "right": 400}]
    opened.page.set_viewport_size({"width": 1000, "height": 300})  # the photo is lower than its box is wide
    opened.drop(files / "face.png")
    expect(opened.page.locator("#faces input[value='1']")).to_be_checked()
    box = opened.page.locator("#screen").bounding_box()
    assert box is not None
    scale = min(box["width"] / 512, box["height"] / 384)
    opened.page.mouse.click(box["x"] + box["width"] / 2 + (350 - 256) * scale, box["y"] + 110 * scale)
    expect(opened.page.locator("#faces input[value='2']")).to_be_checked()
    expect(opened.page.locator("#status")).to_have_text("Face 2 speaks.")


def test_the_mouth_opens_as_far_as_its_slider_says_in_talk_and_video(opened: Alone, files: Path):
    page = opened.page
    slider = page.get_by_label("Mouth opens")
    assert [slider.get_attribute(name) for name in ("min", "max", "step", "value")] == ["0.5", "1.5", "0.1", "1"]
    slider.focus()
    for key, value, said in (
        *(("ArrowRight", 1.1, "1.1 times as far"), ("ArrowRight", 1.2, "1.2 times as far")),
        *(("Home", 0.5, "0.5 times as far"), ("End", 1.5, "1.5 times as far")),
    ):
        page.keyboard.press(key)
        expect(page.locator("#status")).to_contain_text(said)
        assert float(slider.input_value()) == float(page.locator("#mouth-said").inner_text()) == value
    opened.drop(files / "face.png", files / "hello.wav")
    expect(page.locator("#status")).to_have_text("hello.wav is being said.")
    assert json.loads(opened.talks[1])["mouth"] == 1.5
    slider.fill("1")
    expect(page.locator("#status")).to_have_text("The mouth opens as far as speech says when you begin again.")
    page.click("#make")
    expect(page.locator("#status")).to_have_text("no answer was given")
    assert [one["body"]["mouth"] for one in opened.sent("POST") if one["where"] == "animate"] == ["1"]


def test_the_talk_is_asked_for_at_the_page_s_own_path_in_the_device_s_own_rate(opened: Alone, files: Path):
    opened.page.evaluate("""() => { const Real = window.AudioContext;  // as Firefox with a studio's interface
        window.AudioContext = class extends Real {
            constructor(options = {}) { super({ sampleRate: options.sampleRate ?? 96000 }); }
            createMediaStreamSource(stream) {
                if (this.sampleRate !== 96000) throw new DOMException("another rate", "NotSupportedError");
                return super.createMediaStreamSource(stream);
            } };
        AudioWorklet.prototype.addModule = async () => {};  // worklets are not loaded by way of what answers here
        window.AudioWorkletNode = function (context) {
            return window.microphone = Object.assign(context.createGain(), { port: {} });
        }; }""")
    opened.drop(files / "face.png")
    opened.page.locator("summary").click()
    opened.page.locator("#key").fill("s p")
    expect(opened.page.locator("#talk")).to_be_enabled()
    opened.page.click("#talk")
    expect(opened.page.locator("#status")).to_have_text("Speak: the photo says it with you.")
    address, hello = opened.talks[:2]
    assert address == BASE.replace("https", "wss") + "talk?key=s+p"
    assert json.loads(hello) == {"rate_hz": 96_000, "face": "1", "mouth": 1, "side": 512}
    opened.page.evaluate("window.microphone.port.onmessage({ data: new Float32Array(3 * 96000) })")
    opened.page.click("#talk")
    expect(opened.page.locator("#speech-name")).to_have_text("your voice, 0:03")


def colours(page: Page, element: str) -> list[tuple[float, float, float, float]]:
    """The colour of an element's text, and the grounds behind it, nearest first: red, green, blue, opacity."""
    found = page.locator(element).evaluate("""element => { const all = [getComputedStyle(element).color];
        for (let at = element; at; at = at.parentElement) all.push(getComputedStyle(at).backgroundColor);
        return all; }""")
    parts = [[float(part) for part in re.findall(r"[\d.]+", one)] for one in found]
    return [(one[0], one[1], one[2], one[3] if len(one) > 3 else 1.0) for one in parts]


def contrast(page: Page, element: str, behind: tuple[float, float, float] | None = None) -> float:
    """By WCAG 2; ``behind`` is a photo's colour that lies below the element's own ground."""
    (*text, _), *grounds = colours(page, element)
    ground = list(behind or grounds[-2][:3])  # the body's
    for *over, opacity in reversed(grounds[:1] if behind else grounds):
        ground = [opacity * a + (1 - opacity) * b for a, b in zip(over, ground, strict=True)]
    lights = []
    for colour in (text, ground):
        linear = [c / 3294.6 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark_and_fits_a_phone(browser: Browser, files: Path, scheme: str):
    with alone(browser, color_scheme=scheme, viewport={"width": 360, "height": 740}) as opened:
        page = opened.page
        opened.drop(files / LONG_NAME)
        expect(page.locator("#photo-name")).to_contain_text(LONG_NAME)
        opened.drop(text="hello")
        expect(page.locator("#status")).to_have_class("bad")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.evaluate("document.getElementById('empty').hidden = false")
        for element in ("#status", "#photo-name", "#empty", "header p", "footer p", "#talk", "#speech-label"):
            assert contrast(page, element) >= 4.5, element
        page.evaluate("document.getElementById('download').hidden = false")
        assert contrast(page, "#download") >= 4.5
        for white in (0.0, 255.0):
            assert contrast(page, "#mark", (white, white, white)) >= 4.5


def test_everything_can_be_reached_by_keyboard_has_a_name_and_is_told(opened: Alone, files: Path):
    page, opened.faces = opened.page, [FACE, FACE | {"number": 2, "left": 300, "right": 400}]
    opened.drop(files / "face.png", files / "hello.wav")
    expect(page.locator("#status")).to_have_text("hello.wav is being said.")
    page.evaluate("""() => { for (const id of ["making", "download", "film"]) document.getElementById(id).hidden = false;
        document.getElementById("download").href = "#"; document.getElementById("film").ariaLabel = "film"; }""")
    page.locator("summary").click()
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    wanted = {"screen", "film", "photo", "face", "mouth", "talk", "speech", "make", "download", "stop", "key"}
    assert wanted <= set(reached), wanted - set(reached)
    nameless = page.evaluate("""() => [...document.querySelectorAll("button, a, input, video, canvas, progress")].filter(
        (one) => !(one.ariaLabel || one.textContent.trim() || one.labels?.[0]?.textContent.trim())).map((one) => one.id)""")
    assert nameless == []
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    handlers = "[...document.querySelectorAll('*')].flatMap(one => one.getAttributeNames())"
    assert not [name for name in page.evaluate(handlers) if name.startswith("on") or name == "style"]


def test_headings_lie_in_landmarks(opened: Alone):
    levels = opened.page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(one => +one.tagName[1])")
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    outside = (
        "[...document.querySelectorAll('h1,h2,h3,p')].filter(one => !one.closest('header,main,nav,footer')).length"
    )
    assert opened.page.evaluate(outside) == 0
