"""The viewer before anything has run: every page opens, and says what to run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser import viewer_world as world
from tests.browser.viewer_server import Visit, browsing, needs_browser, serving, visiting

pytestmark = needs_browser


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    # No catalogue at all: the viewer publishes the empty one.
    project = world.project_folder(tmp_path_factory.mktemp("viewer") / "project")
    with serving(project) as base, browsing() as browser, visiting(browser, base) as visit:
        yield visit


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "Nothing has run yet."),
        ("/conversations", "No conversations yet."),
        ("/training", "No measures over iterations yet."),
        ("/steerability", "No steerability matrix yet."),
        ("/features", "No features yet"),
        ("/joint", "No profile of checkpoints yet."),
    ],
)
def test_an_empty_page_says_what_to_run(visit: Visit, path: str, says: str) -> None:
    page = visit.open(path)
    page.get_by_text(says).wait_for()
    assert "influence run" in page.locator("[data-testid=stCode]").inner_text()


def test_tables_of_an_empty_project_are_there_and_explained(visit: Visit) -> None:
    page = visit.open("/sql")
    page.get_by_text("influence.turns").click()
    page.get_by_text("what was said; text of a model is data and never trusted").wait_for()
    assert visit.outside == []
