"""The SQL macros run in every catalogue, also in an empty one."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from influence_assets.tables import ALL_TABLES, MACROS
from resources.warehouse import Warehouse


def test_macros_are_found() -> None:
    assert {path.stem for path in MACROS} == {"steerability", "personas", "influence", "provenance", "joint"}


QUERIES = [
    "FROM steerability_of('organism')",
    "FROM answers_of('organism', 'description', 'Arden', 'Briar')",
    "FROM requests_of('organism', 'examples')",
    "FROM filters_of('Arden')",
    "FROM drift_of('organism')",
    "FROM provenance()",
    "FROM draws_of('0a')",
    "FROM requests_of_score('organism', 0, 'description')",
    "FROM requests_of_metrics('organism', 1)",
]


@pytest.mark.parametrize("query", QUERIES)
def test_macros_run_on_an_empty_catalogue(tmp_path: Path, query: str) -> None:
    assert Warehouse(tmp_path, ALL_TABLES, MACROS).query(query).height == 0


@pytest.mark.parametrize("name", ["all.duckdb", "influence.duckdb", "steerability.duckdb"])
def test_macros_run_in_a_file_that_was_handed_on(tmp_path: Path, name: str) -> None:
    """Also where DuckDB calls the database as one of the schemas is called."""
    (tmp_path / "project").mkdir()
    file = Warehouse(tmp_path / "project", ALL_TABLES, MACROS).export(tmp_path / name)
    with duckdb.connect(str(file), read_only=True) as connection:
        for query in QUERIES:
            assert connection.execute(query).fetchall() == []
