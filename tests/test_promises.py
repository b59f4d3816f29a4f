"""The list of promises and the page about them name tests that are there."""

from __future__ import annotations

from tests.projects import CHECKOUT
from tests.torture import promises


def test_every_promise_has_tests_and_a_row_on_the_page() -> None:
    page = (CHECKOUT / "docs" / "reliability.md").read_text()
    for promise, files in promises().items():
        assert files
        for file in files:
            assert (CHECKOUT / file).exists(), file
            assert file.removeprefix("tests/") in page, f"{promise}: {file} is not on the page"
