"""Every page of the viewer in a real browser, on small tables: what is shown, links, paging, and what lands later."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import viewer_world as world
from tests.browser.viewer_server import CANARY, Visit, browsing, needs_browser, serving, visiting

pytestmark = needs_browser


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world.small(tmp_path_factory.mktemp("viewer") / "project")


@pytest.fixture(scope="module")
def viewer(project: Path) -> Iterator[tuple[str, object]]:
    with serving(project) as base, browsing() as browser:
        yield base, browser


@pytest.fixture
def visit(viewer) -> Iterator[Visit]:
    base, browser = viewer
    with visiting(browser, base) as visit:
        yield visit
        assert visit.dialogs == []
        assert visit.outside == []
        assert CANARY not in visit.page.content(), "a secret of the environment"


def test_the_page_for_playing_is_not_there_unless_asked_for(visit: Visit) -> None:
    page = visit.open("/")
    page.get_by_role("link", name="SQL").wait_for()
    assert page.get_by_role("link", name="Live").count() == 0


def ask(visit: Visit, sql: str) -> str:
    """Open the SQL page with a query, press the button, and return what the page then says."""
    visit.open("/sql?q=" + urllib.parse.quote(sql))
    return run(visit, "rows in|not run to its end")


def run(visit: Visit, says: str) -> str:
    """Press the button, wait until the page says something (a regular expression), and return all that it says."""
    visit.page.get_by_test_id("stBaseButton-primaryFormSubmit").click()
    visit.page.wait_for_selector(f"text=/{says}/", timeout=30_000)
    visit.settle()
    return visit.text()


def test_the_overview_counts_what_ran_what_it_cost_and_what_failed(visit: Visit) -> None:
    page = visit.open("/")
    page.get_by_text("What has run", exact=True).wait_for()
    text = visit.text()
    assert "$1.00" in text
    assert re.search(r"conversations\s+6", text)
    assert re.search(r"▲\s*requests without a usable answer\s*25.00%\s*of 4", text)
    assert re.search(r"✓\s*conversations that broke off", text)


def test_a_conversation_shows_its_turns_with_distributions_and_veto(visit: Visit) -> None:
    page = visit.open("/conversations?conversation=c-0-2")
    page.wait_for_selector(".judgement")
    text = visit.text()
    assert "should i?" in text
    assert "yes, do it" in text
    assert page.locator(".turn.agent .judgement").count() == 2
    assert page.locator(".judgement.veto.raised").inner_text().startswith("veto")
    bars = page.locator(".judgement").first.locator(".bar")
    assert [bar.inner_text() for bar in bars.all()] == world.RATINGS
    assert bars.nth(6).get_attribute("title") == f"7: {world.distribution(7)['7']:.1%}"


def test_arrow_keys_page_through_the_list_and_the_address_follows(visit: Visit) -> None:
    page = visit.open("/conversations?conversation=c-0-2")
    assert "1 of 6" in visit.text()
    page.wait_for_timeout(1500)  # Streamlit listens for shortcuts a moment after the button is drawn
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("text=2 of 6")
    assert "conversation=c-1-2" in page.url
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("text=1 of 6")
    assert "conversation=c-0-2" in page.url


def test_filters_survive_a_reload(visit: Visit) -> None:
    page = visit.open("/conversations")
    page.get_by_role("combobox", name="environment").click()
    page.get_by_role("option", name="booking").click()
    page.wait_for_selector("text=1 of 2")
    assert "environment=booking" in page.url
    page.reload()
    page.wait_for_selector("text=1 of 2", timeout=30_000)
    page.get_by_role("textbox", name="says").fill("nobody said this")
    page.get_by_role("textbox", name="says").press("Enter")
    page.wait_for_selector("text=No conversation passes these filters.")


def test_two_checkpoints_stand_side_by_side_on_the_same_state_and_sample(visit: Visit) -> None:
    page = visit.open("/conversations?conversation=c-0-1&beside=" + urllib.parse.quote("iteration 1, agent"))
    page.locator(".facts").nth(1).wait_for()
    facts = page.locator(".facts").all_inner_texts()
    assert [re.search(r"iteration \d", text)[0] for text in facts] == ["iteration 0", "iteration 1"]
    assert all("state-1, sample 0" in text for text in facts)


def test_a_link_to_what_is_not_there_says_so(visit: Visit) -> None:
    page = visit.open("/conversations?conversation=nothing&environment=nowhere&iteration=99")
    page.get_by_text("a conversation that is not in the tables").wait_for()


def test_training_shows_intervals_and_saves_its_figure(visit: Visit) -> None:
    page = visit.open("/training")
    page.get_by_text("How each checkpoint came about").wait_for()
    page.locator("[data-testid=stImage] img").nth(1).wait_for()
    assert "change +.20 [+.10, +.40]" in visit.text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").first.click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_steerability_opens_a_persona_by_its_link(visit: Visit) -> None:
    page = visit.open("/steerability?persona=Corin")
    page.get_by_text("answers, wrong ones first").wait_for()
    assert "somebody called Corin." in visit.text()
    assert "1 answers, wrong ones first; 100% right" in visit.text()
    assert page.locator("[data-testid=stImage] img").count() == 2


@pytest.mark.parametrize(
    ("path", "says"), [("/features", "No features yet"), ("/joint", "No profile of checkpoints yet")]
)
def test_pages_of_tables_that_are_not_there_say_what_to_run(visit: Visit, path: str, says: str) -> None:
    page = visit.open(path)
    page.get_by_text(says).wait_for()
    assert "influence run" in page.locator("[data-testid=stCode]").inner_text()


def test_sql_answers_and_offers_csv(visit: Visit) -> None:
    text = ask(visit, "SELECT count(*) AS n FROM influence.conversations")
    assert "1 rows in" in text
    with visit.page.expect_download() as download:
        visit.page.get_by_role("button", name="Save as CSV").click()
    assert Path(download.value.path()).read_text() == "n\n6\n"


def test_a_query_in_the_address_does_not_run_by_itself(visit: Visit) -> None:
    from playwright.sync_api import expect

    page = visit.open("/sql?q=" + urllib.parse.quote("SELECT 1"))
    expect(page.get_by_role("textbox", name="query")).to_have_value("SELECT 1", timeout=20_000)
    page.get_by_text("influence.turns").wait_for()  # the last thing that the page draws
    visit.settle()
    assert not re.search(r"rows in \d", visit.text())


@pytest.fixture(scope="module")
def desk(viewer) -> Iterator[Visit]:
    """A page for queries, one after the other."""
    base, browser = viewer
    with visiting(browser, base) as visit:
        visit.open("/sql")
        yield visit


@pytest.mark.parametrize(
    "sql",
    [
        "DROP VIEW influence.turns",
        "COPY (SELECT 1) TO '/tmp/viewer-wrote-this'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('data/models.yaml')",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "ATTACH '/tmp/other.duckdb'",
        "SELECT 1; SELECT 2",
        "SELECT getenv('SOME_API_KEY')",
    ],
)
def test_sql_cannot_write_read_files_load_or_change_settings(desk: Visit, sql: str) -> None:
    query = desk.page.get_by_role("textbox", name="query")
    query.fill("SELECT 1")
    run(desk, "1 rows in")
    query.fill(sql)
    text = run(desk, "not run to its end")
    assert CANARY not in text
    assert "root:" not in text


def test_a_query_without_end_is_cut_at_the_most_rows(visit: Visit) -> None:
    assert "10,000 rows in" in ask(visit, "SELECT * FROM range(100000000000)")


def test_what_lands_while_a_page_is_open_appears_by_itself(visit: Visit, project: Path) -> None:
    page = visit.open("/conversations?sort=" + urllib.parse.quote("initial state"))
    target = world.warehouse(project)
    for table, rows in world.conversation(
        9, iteration=2, said=(("character", "now?"), ("agent", "just landed"))
    ).items():
        world.land(target, table, rows)
    target.publish()
    page.wait_for_selector("text=1 of 7", timeout=20_000)
