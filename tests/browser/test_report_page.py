"""The report in a real browser: hostile words are seen as words, and nothing is run or loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from influence_assets.exports.asset_checks import CheckOutcome, Verdict
from influence_assets.exports.report import write_report
from tests.exports.exported_world import Hostile, make_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ATTACKS = Path(__file__).with_name("page_attacks.yaml")

pytestmark = pytest.mark.skipif(not os.path.exists(CHROMIUM), reason=f"no browser: {CHROMIUM} is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def test_hostile_words_are_shown_and_nothing_is_run_or_loaded(browser: Browser, tmp_path: Path) -> None:
    attacks: list[str] = yaml.safe_load(ATTACKS.read_text(encoding="utf-8"))["attacks"]
    words = "\n".join(attacks)
    world = make_world(tmp_path / "world", Hostile("mini", attacks[0], words, attacks[1], words))
    checks = [CheckOutcome("a", "mini", "c", Verdict.FAILED, words)]
    path = write_report(world.project, checks, tmp_path / "report.html")
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    noise: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: noise.append(message.text))
    page.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    page.wait_for_timeout(500)
    said = page.locator(".said").first.inner_text()
    text = page.evaluate("document.body.textContent")
    loaded = page.evaluate("[...document.images].map(one => one.complete && one.naturalWidth > 0)")
    n_scripts = page.evaluate("document.scripts.length + document.querySelectorAll('iframe, object, form').length")
    ran = page.evaluate("window.ran")
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.close()
    for attack in attacks:
        assert attack in said
        assert text.count(attack) > 10
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert not noise
    assert ran is None
    assert n_scripts == 0
    assert len(loaded) >= 3
    assert all(loaded)
    assert too_wide <= 0


def test_the_page_forbids_scripts_and_addresses_even_if_escaping_failed(browser: Browser, tmp_path: Path) -> None:
    """The policy is a second wall: the same page with live markup put into it still runs and loads nothing."""
    world = make_world(tmp_path / "world")
    path = write_report(world.project, [], tmp_path / "report.html")
    live = "<script>window.ran = 1</script><img src='http://127.0.0.1:1/x.png' onerror='window.ran = 2'>"
    path.write_text(path.read_text(encoding="utf-8").replace("<main>", f"<main>{live}"), encoding="utf-8")
    page = browser.new_page()
    blocked: list[str] = []
    page.on("console", lambda message: blocked.append(message.text))
    page.goto(path.as_uri())
    page.wait_for_timeout(500)
    ran = page.evaluate("window.ran")
    page.close()
    assert ran is None
    assert sum("Content Security Policy" in line for line in blocked) >= 2
