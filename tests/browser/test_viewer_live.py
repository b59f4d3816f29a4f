"""Playing a conversation by clicking: people in every role, so that no model is needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.browser import viewer_world as world
from tests.browser.viewer_server import CHECKOUT, Visit, browsing, needs_browser, serving, visiting

pytestmark = needs_browser

PEOPLE = "&".join(f"{role}=person" for role in ("agent", "character", "preference", "transition", "veto"))
HOSTILE = '<img src=x onerror="window.pwned=1"> \u202e'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = world.small(tmp_path_factory.mktemp("viewer") / "project")
    for name in ("environments", "judges", "prompts"):
        shutil.copytree(CHECKOUT / "data" / name, folder / "data" / name)
    return folder


@pytest.fixture
def visit(project: Path) -> Iterator[Visit]:
    with serving(project, "--live") as base, browsing() as browser, visiting(browser, base) as visit:
        yield visit


def test_a_conversation_is_played_watched_and_kept(visit: Visit, project: Path) -> None:
    page = visit.open(f"/live?{PEOPLE}")
    page.get_by_role("button", name="Begin").click()
    page.get_by_label("agent: your words").fill(HOSTILE)
    page.wait_for_timeout(2500)  # the scene is drawn anew meanwhile, and what was typed stays
    page.get_by_role("button", name="Say it").click()
    for role in ("preference", "veto", "transition"):
        form = page.locator("[data-testid=stForm]", has_text=f"{role}: your answer")
        form.get_by_role("button", name="Say it").click()
        form.wait_for(state="detached")
    page.locator(".judgement", has_text="preference").wait_for()
    page.locator(".judgement", has_text="veto").wait_for()
    assert page.locator(".turn.agent .said").text_content() == HOSTILE.replace("\u202e", "\\u202e")
    assert page.evaluate("window.pwned") is None
    page.get_by_role("button", name="Stop here").click()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Begin").wait_for()
    assert (visit.dialogs, visit.outside) == ([], [])

    with duckdb.connect(str(project / "data" / "influence.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT mark, n_turns FROM live.conversations").fetchall() == [("live", 1)]
        assert connection.execute("SELECT count(*) FROM live.judgements").fetchall() == [(3,)]
        assert connection.execute("SELECT count(*) FROM influence.conversations").fetchall() == [(6,)]
