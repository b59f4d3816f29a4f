"""The pages of features and joint measures in a real browser: pictures with their numbers, links, figures to keep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.browser.viewer_server import Visit, browsing, needs_browser, serving, visiting
from tests.viewer import features_world

pytestmark = needs_browser

IMAGES = "[data-testid=stImage] img"


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    project = features_world.project(tmp_path_factory.mktemp("viewer") / "project")
    with serving(project) as base, browsing() as browser, visiting(browser, base) as visit:
        yield visit
        assert visit.dialogs == []
        assert visit.outside == []


def pictures(visit: Visit) -> list[str]:
    """What the page's pictures say that they show; each was really drawn."""
    images = visit.page.locator(IMAGES).all()
    assert all(image.evaluate("one => one.complete && one.naturalWidth > 200") for image in images)
    return [image.get_attribute("alt") or "" for image in images]


def test_steering_is_what_the_features_page_opens_with(visit: Visit) -> None:
    page = visit.open("/features")
    page.get_by_text("All rows").wait_for()
    assert pictures(visit) == [
        "P(high) by coefficient: each trait itself, toward high",
        "shift of every method at the reference coefficient and within the KL bound",
        "shift of every trait under every direction",
    ]
    assert "0.1, chosen by what it costs" in visit.text()


@pytest.mark.parametrize(
    ("address", "shows", "says"),
    [
        ("/features?part=Layers", "AUROC and steering shift by layer", "can read a trait perfectly and move nothing"),
        ("/features?part=SAE", "cross-entropy with and without each SAE", "of 512 latents"),
        ("/joint?part=Drift", "reward, harm, projection_replies of tiny over iterations", "Paired differences"),
        ("/joint?part=Values", "reward, harm, projection_replies of tiny over iterations", "Each measure on its own"),
        (f"/joint?part={quote('With harm')}", "what moves with harm in iteration 2", "That makes neither the cause"),
    ],
)
def test_a_link_opens_a_part_with_its_picture_and_its_table(visit: Visit, address: str, shows: str, says: str) -> None:
    page = visit.open(address)
    page.locator("[data-testid=stDataFrame]").wait_for()
    visit.settle()
    assert pictures(visit) == [shows]
    assert says in visit.text()


@pytest.mark.parametrize(("address", "name"), [("/features", "dose-response"), ("/joint", "joint-drift")])
def test_a_figure_can_be_kept(visit: Visit, address: str, name: str) -> None:
    page = visit.open(address)
    page.locator(IMAGES).first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").first.click()
    assert download.value.suggested_filename == f"{name}.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_a_part_without_rows_says_what_to_run(visit: Visit) -> None:
    page = visit.open(f"/features?part={quote('Side effects')}")
    page.get_by_text("No side effects measured yet.").wait_for()
    assert "influence run" in page.locator("[data-testid=stCode]").inner_text()
