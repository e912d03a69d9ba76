"""The study's page in a real Chromium: a visit by keyboard, a reload in the middle, a visit on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from helpers import CHROMIUM, served
from stillspeak.experiments.answers import read_answers
from stillspeak.experiments.study import build_study, read_study

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--mute-audio"])
        yield chromium
        chromium.close()


def begin(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#begin")).to_be_disabled()
    page.locator("#agree").check()
    page.locator("#begin").click()
    enter(page)


def enter(page: Page) -> None:
    page.locator("#tone").click()
    page.locator("#heard").click()
    expect(page.locator("#question")).to_be_visible()


@pytest.mark.parametrize("kind", ["turing", "preference"])
def test_a_visit_by_keyboard_with_a_reload_in_the_middle(
    prepared: Path, tiny_model: Path, tmp_path: Path, browser: Browser, kind: str
):
    models = {"ours": tiny_model} | ({"other": tiny_model} if kind == "preference" else {})
    shown = (1, 1) if kind == "turing" else (2, 0)
    study = build_study(kind, prepared, tmp_path, models, split="train", shown=shown, clips=2)
    keys = ["g", "r"] if kind == "turing" else ["ArrowLeft", "ArrowRight"]
    with served("study", "serve", str(tmp_path), "--port", "0") as (_, address):
        page = browser.new_page(viewport={"width": 360, "height": 640}, has_touch=True)  # as a phone
        begin(page, address)
        first = page.locator("#answers button").first
        page.keyboard.press(keys[0])  # not seen yet: no answer
        expect(first).to_be_disabled()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.keyboard.press("Space")
        expect(first).to_be_enabled(timeout=20_000)
        page.keyboard.press(keys[0])
        expect(page.locator("#where")).to_have_text("Question 2 of 3")
        page.reload()
        enter(page)
        expect(page.locator("#where")).to_have_text("Question 2 of 3")
        for _ in range(2):
            page.locator("#play").click()
            expect(first).to_be_enabled(timeout=20_000)
            page.keyboard.press(keys[1])
            page.wait_for_timeout(300)
        expect(page.locator("#end")).to_be_visible()
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
