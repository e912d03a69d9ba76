"""The video on the page: waited for as a job, played, stopped, withdrawn, found again after a reload. No server behind it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from playwright.sync_api import Browser, Locator, Route, expect, sync_playwright

from helpers import CHROMIUM, tone, write_video
from page_alone import FACE, Alone, alone, made, refused, stands

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos, two sounds, and a finished film."""
    folder = tmp_path_factory.mktemp("film")
    for name, grey in (("face.png", 200), ("other.png", 100)):
        Image.new("RGB", (512, 384), (grey, grey, grey)).save(folder / name)
    for name in ("hello.wav", "again.wav"):
        soundfile.write(folder / name, tone(0.4).samples, 16_000)
    write_video(folder / "film.mp4", np.full((25, 384, 512, 3), 90), tone(1.0))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    switches = ["--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield chromium
        chromium.close()


@pytest.fixture
def shown(browser: Browser, files: Path) -> Iterator[Alone]:
    """The page with a photo and speech, ready to make a video."""
    with alone(browser) as opened:
        opened.faces = [FACE, FACE | {"number": 2, "left": 300, "right": 400}]
        opened.page.set_input_files("#photo", files / "face.png")
        expect(opened.page.locator("#photo-name")).to_have_text("face.png, 512 x 384")
        opened.page.set_input_files("#speech", files / "hello.wav")
        expect(opened.page.locator("#status")).to_have_text("hello.wav is being said.")
        opened.page.click("#talk")  # stops it
        yield opened


def proxy_away(route: Route) -> None:
    route.fulfill(status=502, body="<h1>Bad gateway</h1>", content_type="text/html")


def make(shown: Alone, film: Path) -> str:
    """Makes the video; returns its address in the page."""
    shown.answers = [made(film)]
    shown.page.click("#make")
    expect(shown.page.locator("#download")).to_be_visible()
    return shown.page.locator("#film").evaluate("film => film.src")


def test_a_film_is_waited_for_through_a_broken_connection_and_plays(shown: Alone, files: Path):
    page = shown.page
    cut = [stands(0, None, "waiting"), stands(5, 10), lambda route: route.abort(), proxy_away, stands(9, 10)]
    shown.answers = [*cut, made(files / "film.mp4")]
    page.click("#make")
    expect(page.locator("#status")).to_have_text("The video is being made: 50 %.")
    assert page.locator("#progress").evaluate("bar => bar.value") == 0.5
    expect(page.locator("#make")).to_be_disabled()
    expect(page.locator("#status")).to_contain_text("cannot be reached")
    expect(page.locator("#film")).to_be_visible(timeout=15_000)
    expect(page.locator("#status")).to_have_text("The video is ready.")
    expect(page.locator("#making")).to_be_hidden()
    expect(page.locator("#mark")).to_be_visible()
    (asked,) = [one for one in shown.sent("POST") if one["where"] == "animate"]
    assert asked["headers"]["Prefer"] == "respond-async"
    assert (asked["body"]["photo"], asked["body"]["speech"], asked["body"]["face"]) == ("face.png", "hello.wav", "1")
    assert {one["where"] for one in shown.sent("GET")} == {"animate/of-the-server"}
    assert page.locator("#film").get_attribute("controls") is not None
    assert page.locator("#film").get_attribute("src") == page.locator("#download").get_attribute("href")
    seconds = page.locator("#film").evaluate(
        "film => film.play().then(() => new Promise(done => { film.onended = () => done(film.currentTime); }))"
    )
    assert seconds == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("change", ["photo", "speech", "face", "mouth"])
def test_what_is_chosen_anew_withdraws_the_old_film(shown: Alone, files: Path, change: str):
    page, film = shown.page, make(shown, files / "film.mp4")
    if change == "photo":
        page.set_input_files("#photo", files / "other.png")
    elif change == "speech":
        page.set_input_files("#speech", files / "again.wav")
    elif change == "face":
        page.locator("#faces input[value='2']").check()
    else:
        page.get_by_label("Mouth opens").fill("1.3")
    expect(page.locator("#download")).to_be_hidden()
    expect(page.locator("#film")).to_be_hidden()
    expect(page.locator("#screen")).to_be_visible()
    assert page.locator("#film").get_attribute("src") is None
    assert page.locator("#download").get_attribute("href") is None
    assert film in page.evaluate("window.revoked")


def test_what_the_server_says_of_the_photo_stands_below_the_film_and_goes_with_it(shown: Alone, files: Path):
    page, told = shown.page, page_notes(shown)
    shown.answers = [
        stands(1, 10),
        made(files / "film.mp4", "Zoë's face seems to have its mouth covered.", "<b>2</b> faces."),
    ]
    page.click("#make")
    expect(told).to_have_text("Zoë's face seems to have its mouth covered. <b>2</b> faces.")
    expect(told).to_be_visible()
    expect(page.locator("#status")).to_have_text("The video is ready.")
    page.reload()
    expect(told).to_contain_text("mouth covered")
    shown.answers = [made(files / "film.mp4")]
    page.reload()
    expect(page.locator("#film")).to_be_visible()
    expect(told).to_be_empty()


def test_what_is_chosen_anew_withdraws_what_was_said_of_the_old_photo(shown: Alone, files: Path):
    shown.answers = [made(files / "film.mp4", "The face has its mouth cut off.")]
    shown.page.click("#make")
    expect(page_notes(shown)).to_have_text("The face has its mouth cut off.")
    shown.page.set_input_files("#photo", files / "other.png")
    expect(page_notes(shown)).to_be_empty()


def page_notes(shown: Alone) -> Locator:
    """The place for what the server says about a photo; screen readers read out what changes there."""
    return shown.page.locator("#notes[role=status]")


def test_the_film_is_shown_though_speech_was_still_heard_when_it_was_asked_for(shown: Alone, files: Path):
    soundfile.write(files / "minute.wav", tone(60.0).samples, 16_000)
    shown.page.set_input_files("#speech", files / "minute.wav")
    expect(shown.page.locator("#status")).to_have_text("minute.wav is being said.")
    make(shown, files / "film.mp4")
    expect(shown.page.locator("#film")).to_be_visible()
    expect(shown.page.locator("#talk")).to_have_text("2. Speak")


def test_a_photo_that_is_refused_leaves_film_and_photo(shown: Alone, files: Path):
    make(shown, files / "film.mp4")
    shown.page.route("**/faces", refused(400, "The photo shows no face."))
    shown.page.set_input_files("#photo", files / "other.png")
    expect(shown.page.locator("#status")).to_have_text("other.png: The photo shows no face. face.png stays.")
    expect(shown.page.locator("#film")).to_be_visible()
    expect(shown.page.locator("#photo-name")).to_contain_text("face.png")


def test_a_film_in_the_making_stops_when_asked_or_when_something_else_is_chosen(shown: Alone, files: Path):
    page, shown.answers = shown.page, [stands(1, 10)]
    for give_up in ("stop", "photo"):
        page.click("#make")
        expect(page.locator("#stop")).to_be_visible()
        expect(page.locator("#talk")).to_be_disabled()  # a recording would take the place of what is said
        page.wait_for_timeout(300)
        if give_up == "stop":
            page.click("#stop")
            expect(page.locator("#status")).to_have_text("Stopped: no video was made.")
        else:
            page.set_input_files("#photo", files / "other.png")
        expect(page.locator("#making")).to_be_hidden()
        expect(page.locator("#make")).to_be_enabled()
    assert [one["where"] for one in shown.sent("DELETE")] == ["animate/of-the-server"] * 2
    before = len(shown.sent("GET"))
    page.wait_for_timeout(600)
    assert len(shown.sent("GET")) == before  # nobody asks any more


def test_a_page_that_is_loaded_again_goes_on_waiting_and_shows_the_film(shown: Alone, files: Path):
    page, shown.answers = shown.page, [stands(1, 10)]
    page.click("#make")
    expect(page.locator("#progress")).to_have_js_property("value", 0.1)
    page.reload()
    expect(page.locator("#progress")).to_have_js_property("value", 0.1)
    shown.answers = [made(files / "film.mp4")]
    for _ in range(2):  # the second time it is there already
        expect(page.locator("#film")).to_be_visible()
        expect(page.locator("#status")).to_have_text("The video is ready: face.png says hello.wav.")
        page.reload()
    shown.answers = [refused(404, "unknown")]
    page.reload()
    expect(page.locator("#status")).to_have_text("Choose a photo with a face in it.")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refused(400, "The speech holds no sound."), "The speech holds no sound."),
        (lambda route: route.fulfill(status=413, body="<h1>too large</h1>"), "The file is too large for this server"),
        (lambda route: route.fulfill(status=404, body="<h1>what?</h1>"), "The server answered 404."),
        (lambda route: route.abort(), "The server cannot be reached."),
    ],
)
def test_what_cannot_be_made_is_said_and_can_be_tried_again(shown: Alone, answer, said: str):
    page, shown.answers = shown.page, [answer]
    page.click("#make")
    expect(page.locator("#status")).to_contain_text(said)
    expect(page.locator("#status")).to_have_class("bad")
    expect(page.locator("#make")).to_be_enabled()
    expect(page.locator("#make")).to_be_focused()


def test_a_job_that_fails_or_is_forgotten_while_it_is_waited_for_is_said(shown: Alone):
    page = shown.page
    for answer, said in (
        (refused(500, "It took too long."), "It took too long."),
        (refused(404, "x"), "does not know"),
    ):
        shown.answers = [stands(1, 10), answer]
        page.click("#make")
        expect(page.locator("#status")).to_contain_text(said)
        expect(page.locator("#make")).to_be_enabled()
    assert page.evaluate("sessionStorage.length") == 0
