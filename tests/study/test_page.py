"""The study's page in a real Chromium: a visit by keyboard, a reload in the middle, a visit on a phone."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from helpers import CHROMIUM, planned, served
from stillspeak.study.answers import read_answers
from stillspeak.study.build import Information, Study, build_study, read_study
from stillspeak.study.server import create_study_app

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--mute-audio"])
        yield chromium
        chromium.close()


def begin(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#begin")).to_be_visible()
    expect(page.locator("#begin")).to_be_disabled()
    outline(page)
    page.locator("#agree").check()
    page.locator("#begin").click()
    expect(page.locator("#instructions-title")).to_be_focused()
    outline(page)
    enter(page)


def enter(page: Page) -> None:
    page.locator("#tone").click()
    page.locator("#heard").click()
    expect(page.locator("#question")).to_be_visible()


INFORMATION = Information(
    "Ada L., Example University", "ada@example.org", "", "5 minutes", "Write to Ada with the code."
)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context() as context:
        yield context.new_page()


def consent_page(page: Page, study: Study, folder: Path) -> None:
    """Opens the study's first page, with what its application answers and no server."""
    (folder / "study.json").write_text(json.dumps(asdict(study)))
    with TestClient(create_study_app(folder)) as client:

        def answer(route: Route) -> None:
            found = client.get(urlsplit(route.request.url).path)
            route.fulfill(status=found.status_code, body=found.content, content_type=found.headers["Content-Type"])

        page.route("**/*", answer)
        page.goto("https://study.example/")
        expect(page.locator("#begin")).to_be_visible()


@pytest.mark.parametrize("kind", ["turing", "preference"])
def test_visitors_are_told_what_is_true_of_the_study_before_they_agree(tmp_path: Path, page: Page, kind: str):
    consent_page(page, replace(planned(tmp_path, kind), information=INFORMATION), tmp_path)
    told = page.locator("#told").inner_text()
    assert ("11 short videos" if kind == "turing" else "11 pairs of short videos") in told
    assert ("Some are recordings" in told) is (kind == "turing")
    assert ("All were made by a computer" in told) is (kind == "preference")
    assert ("real or was generated" in told) is (kind == "turing")
    assert ("looks more natural" in told) is (kind == "preference")
    assert page.locator("#information dt").all_inner_texts() == ["Researcher", "Contact", "Duration"]
    said = [INFORMATION.researcher, INFORMATION.contact, INFORMATION.duration]
    assert page.locator("#information dd").all_inner_texts() == said
    stop = "You may stop at any moment by closing the page."
    expect(page.locator("#leaving")).to_have_text(f"{stop} {INFORMATION.withdrawal}")


def test_what_the_researcher_did_not_tell_is_left_out(tmp_path: Path, page: Page):
    consent_page(page, planned(tmp_path, "turing"), tmp_path)
    expect(page.locator("#information dt")).to_have_count(0)
    expect(page.locator("#leaving")).to_contain_text("is kept, without a trace of who you are")


def outline(page: Page) -> None:
    """Fails unless there is one h1, no level is jumped, headings and text lie in landmarks, and nothing runs inline."""
    seen = page.evaluate("""() => [...document.querySelectorAll("h1,h2,h3,h4,p")].filter((one) => one.checkVisibility()).map(
        (one) => [one.tagName, Boolean(one.closest("header, main, nav, footer"))])""")
    levels = [int(tag[1]) for tag, _ in seen if tag != "P"]
    assert levels == [1, 2]
    assert all(inside for _, inside in seen)
    names = page.evaluate("[...document.querySelectorAll('*')].flatMap(one => one.getAttributeNames())")
    assert not [name for name in names if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("kind", ["turing", "preference"])
def test_a_visit_by_keyboard_with_a_reload_in_the_middle(
    prepared: Path, tiny_model: Path, tmp_path: Path, browser: Browser, kind: str
):
    models = {"ours": tiny_model} | ({"other": tiny_model} if kind == "preference" else {})
    shown = (1, 1) if kind == "turing" else (2, 0)
    information = INFORMATION if kind == "preference" else None
    study = build_study(kind, prepared, tmp_path, models, split="train", shown=shown, clips=2, information=information)
    keys = ["g", "r"] if kind == "turing" else ["ArrowLeft", "ArrowRight"]
    with served("study", "serve", str(tmp_path), "--port", "0") as (_, address):
        page = browser.new_page(viewport={"width": 360, "height": 640}, has_touch=True)  # as a phone
        begin(page, address)
        first = page.locator("#answers button").first
        expect(page.locator("#where")).to_be_focused()
        outline(page)
        page.keyboard.press(keys[0])  # not seen yet: no answer
        expect(first).to_be_disabled()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("Space")
        expect(first).to_be_enabled(timeout=20_000)
        page.keyboard.press(keys[0])
        expect(page.locator("#where")).to_have_text("Question 2 of 3")
        expect(page.locator("#where")).to_be_focused()
        page.reload()
        enter(page)
        expect(page.locator("#where")).to_have_text("Question 2 of 3")
        for key in (keys[1], "Space"):  # space presses the button that has the focus, and plays everywhere else
            page.locator("#play").click()
            expect(first).to_be_enabled(timeout=20_000)
            if key == "Space":
                page.locator("#answers button").nth(0 if kind == "turing" else 1).focus()
            page.keyboard.press(key)
            expect(page.locator("#end" if key == "Space" else "#where:text('3 of 3')")).to_be_visible()
        expect(page.locator("#end-title")).to_be_focused()
        outline(page)
        if information:  # who may take their answers back must know which they are
            expect(page.locator("#code")).to_contain_text(information.withdrawal)
            expect(page.locator("#code")).to_contain_text(page.url.partition("#")[2])
        else:
            expect(page.locator("#code")).to_be_hidden()
        assert ("You were right about" in page.locator("#score").inner_text()) is (kind == "turing")
        page.reload()
        expect(page.locator("#end")).to_be_visible()
        page.goto(f"{address}/#nobody")
        page.reload()
        expect(page.locator("#status")).to_contain_text("no such visitor")
        page.close()
    (questions,) = read_answers(tmp_path, read_study(tmp_path))
    assert [question.answer for question in questions] == [study.answers[1 - (kind == "preference")]] + [
        study.answers[0 if kind == "turing" else 1]
    ] * 2
    assert all(question.seconds > 0.5 for question in questions)
