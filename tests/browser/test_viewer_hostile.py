"""What models write is text: nothing of it acts, loads, changes the page or hides, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from influence_assets.viewer.text import visible
from tests.browser import viewer_world as world
from tests.browser.viewer_server import Visit, browsing, needs_browser, serving, visiting

pytestmark = needs_browser

TEXTS = world.hostile_texts()
NUMBER = {name: number for number, name in enumerate(TEXTS)}


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, object]]:
    project = world.hostile(tmp_path_factory.mktemp("viewer") / "project")
    with serving(project) as base, browsing() as browser:
        yield base, browser


@pytest.fixture
def visit(viewer) -> Iterator[Visit]:
    base, browser = viewer
    with visiting(browser, base) as visit:
        yield visit


def assert_unharmed(visit: Visit) -> None:
    page = visit.page
    assert visit.dialogs == []
    assert visit.outside == []
    assert page.evaluate("window.pwned") is None
    assert page.url.startswith(visit.base)
    assert page.locator("#injected, iframe, [onerror], [onload], [onmouseover], [onfocus]").count() == 0
    assert page.locator("a[href^='javascript:'], a[href^='data:'], a[href*='attacker.test']").count() == 0
    assert page.locator("[src*='attacker.test'], meta[http-equiv=refresh], base[href*=attacker]").count() == 0
    assert page.locator("[data-testid=stMain]").is_visible()


@pytest.fixture(scope="module")
def conversation(viewer) -> Iterator[Visit]:
    """A page on which every text is shown."""
    base, browser = viewer
    with visiting(browser, base) as visit:
        visit.open(f"/conversations?conversation={world.EVERYTHING}")
        yield visit


@pytest.mark.parametrize("name", TEXTS)
def test_a_conversation_says_exactly_what_was_written(conversation: Visit, name: str) -> None:
    turns = conversation.page.locator(".turn .said")
    assert turns.count() == len(TEXTS)
    turn = turns.nth(NUMBER[name])
    assert turn.text_content() == visible(TEXTS[name])
    # Nothing but our own marks for what cannot be seen stands inside a text.
    assert turn.locator("*:not(span.unseen)").count() == 0
    turn.hover()
    assert_unharmed(conversation)


PATHS = ("/", "/conversations", "/training", "/steerability", "/sql")
PARTS = {
    "/features": ("Steering", "Feature map", "Layers", "SAE", "Directions", "Trait scores"),
    "/joint": ("Drift", "Values", "With harm"),
}


@pytest.mark.parametrize(
    "path", [*PATHS, *(f"{page}?part={quote(part)}" for page, parts in PARTS.items() for part in parts)]
)
def test_names_and_texts_do_nothing_on_any_page(visit: Visit, path: str) -> None:
    visit.open(path)
    visit.page.wait_for_timeout(500)
    assert visit.page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count() == 0
    assert_unharmed(visit)


def test_hidden_characters_are_marked_so_that_nobody_can_fake_the_mark(visit: Visit) -> None:
    page = visit.open(f"/conversations?conversation=c-0-{NUMBER['right to left']}")
    page.wait_for_selector(".turn .said .unseen")
    assert page.locator(".turn .said").first.locator(".unseen").all_inner_texts() == ["\\u202e", "\\u2066", "\\u2069"]
    page = visit.open(f"/conversations?conversation=c-0-{NUMBER['fake code']}")
    page.wait_for_selector(".turn .said:has-text('is not the character')")
    assert page.locator(".turn .said .unseen").count() == 0


def test_filters_offer_hostile_names_as_text(visit: Visit) -> None:
    page = visit.open("/conversations")
    page.get_by_role("combobox", name="environment").click()
    page.get_by_role("option", name=TEXTS["script"], exact=True).click()
    page.wait_for_selector("text=1 of 1")
    assert_unharmed(visit)


def test_a_query_that_returns_hostile_text_is_a_table_of_text(visit: Visit) -> None:
    page = visit.open("/sql?q=SELECT%20content%2C%20content%20AS%20%22%3Cimg%20src%3Dx%3E%22%20FROM%20influence.turns")
    page.get_by_test_id("stBaseButton-primaryFormSubmit").click()
    page.wait_for_selector("text=/rows in/")
    visit.settle()
    assert_unharmed(visit)


def test_an_error_message_that_quotes_hostile_text_is_text(visit: Visit) -> None:
    page = visit.open("/sql?q=SELECT%20%22%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22%20FROM%20influence.turns")
    page.get_by_test_id("stBaseButton-primaryFormSubmit").click()
    page.wait_for_selector("text=/not run to its end/")
    page.locator("[data-testid=stCode]", has_text="<img src=x onerror=alert(1)>").wait_for()
    assert_unharmed(visit)


def test_hostile_addresses_are_ignored(visit: Visit) -> None:
    visit.open("/conversations?conversation=%3Cscript%3Ealert(1)%3C/script%3E&model=%27%3B--&sort=%00&page=-1&reward=a")
    visit.open("/steerability?persona=%3Cimg%20src%3Dx%3E&iteration=1e99&method=..%2F..")
    assert_unharmed(visit)
