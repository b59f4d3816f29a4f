"""The SQL macros run in every catalogue, also in an empty one."""

from __future__ import annotations

from pathlib import Path

import pytest

from influence_assets.tables import ALL_TABLES, MACROS
from resources.warehouse import Warehouse


def test_macros_are_found() -> None:
    assert {path.stem for path in MACROS} == {"steerability", "personas", "joint"}


@pytest.mark.parametrize(
    "query",
    [
        "FROM steerability_of('organism')",
        "FROM answers_of('organism', 'description', 'Arden', 'Briar')",
        "FROM requests_of('organism', 'examples')",
        "FROM filters_of('Arden')",
        "FROM drift_of('organism')",
    ],
)
def test_macros_run_on_an_empty_catalogue(tmp_path: Path, query: str) -> None:
    assert Warehouse(tmp_path, ALL_TABLES, MACROS).query(query).height == 0
