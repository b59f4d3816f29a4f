"""The published catalogue: what a person finds in it, and that publishing never gets in anybody's way."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.errors import InputError, WarehouseError
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse

MATRIX = Table(
    "steerability.matrix",
    "How often a steered model answers as a persona would; one row per pair of personas.",
    (
        Column("model", "VARCHAR", "the model's name, it's a partition"),
        Column("iteration", "INTEGER", "0 is the untouched model"),
        Column("persona_id", "VARCHAR", "the persona"),
        Column("accuracy", "DOUBLE", "share of right answers, 0 to 1"),
        Column("traits", "MAP(VARCHAR, DOUBLE)", "trait scores by name"),
        Column("tags", "VARCHAR[]", "words"),
        Column("right", "BOOLEAN", "a truth"),
        Column("at", "TIMESTAMP", "when, UTC"),
    ),
    partition=("model", "iteration"),
    key=("model", "iteration", "persona_id"),
)
OTHER = Table(
    "ledger.runs",
    "A table that declares run_id itself.",
    (Column("run_id", "VARCHAR", "the run"), Column("n", "BIGINT", "a number")),
    partition=("run_id",),
    key=("run_id", "n"),
)


def provenance(run_id: str) -> Provenance:
    return Provenance(run_id, "code-7", "inputs", datetime(2026, 1, 1, tzinfo=UTC))


def land(warehouse: Warehouse, model: str, accuracy: float, run_id: str = "run-1") -> Path:
    rows = [
        {"model": model, "iteration": 0, "persona_id": name, "accuracy": accuracy, "traits": {"kind": 1.0}}
        for name in ("a", "b")
    ]
    here = {"model": model, "iteration": "0"}
    return warehouse.write(MATRIX, here, warehouse.frame(MATRIX, rows), provenance(run_id)).path


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "data", (MATRIX, OTHER))


def open_catalogue(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(str(warehouse.catalogue), read_only=True)


@pytest.mark.parametrize("landed", [False, True])
def test_every_table_is_there_typed_and_commented_from_the_first_publication(
    warehouse: Warehouse, landed: bool
) -> None:
    if landed:
        land(warehouse, "m", 0.5)
    with open_catalogue_of(warehouse) as connection:
        described = connection.execute("DESCRIBE steerability.matrix").fetchall()
        assert [(name, kind) for name, kind, *_ in described] == [
            *((column.name, column.type) for column in MATRIX.columns),
            ("run_id", "VARCHAR"),
            ("code_version", "VARCHAR"),
        ]
        views = dict(connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
        assert views == {"matrix": MATRIX.comment, "runs": OTHER.comment}
        comments = connection.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'matrix' ORDER BY column_index"
        ).fetchall()
        assert comments[: len(MATRIX.columns)] == [(column.name, column.comment) for column in MATRIX.columns]
        assert all(comment for _, comment in comments)
        taught = connection.execute(
            "SELECT column_name, comment FROM _catalog.columns WHERE table_name LIKE '%.matrix' ORDER BY position"
        ).fetchall()
        assert taught == comments
        assert connection.execute("SELECT count(*) FROM steerability.matrix").fetchone() == (2 * landed,)


def open_catalogue_of(warehouse: Warehouse) -> duckdb.DuckDBPyConnection:
    warehouse.publish()
    return open_catalogue(warehouse)


def test_rows_carry_their_run_and_code_version_once(warehouse: Warehouse) -> None:
    land(warehouse, "m1", 0.5, "run-1")
    land(warehouse, "m2", 0.6, "run-2")
    warehouse.write(OTHER, {"run_id": "own"}, warehouse.frame(OTHER, [{"run_id": "own", "n": 1}]), provenance("other"))
    with open_catalogue_of(warehouse) as connection:
        found = connection.execute(
            "SELECT DISTINCT model, run_id, code_version FROM steerability.matrix ORDER BY model"
        ).fetchall()
        assert found == [("m1", "run-1", "code-7"), ("m2", "run-2", "code-7")]
        only = connection.execute("SELECT DISTINCT model FROM steerability.matrix WHERE run_id = 'run-2'").fetchall()
        assert only == [("m2",)]
        assert connection.execute("SELECT * FROM ledger.runs").fetchall() == [("own", 1, "code-7")]


def test_equal_rows_of_a_later_run_show_that_run_and_keep_the_file(warehouse: Warehouse) -> None:
    first = land(warehouse, "m", 0.5, "run-1")
    assert land(warehouse, "m", 0.5, "run-2") == first
    warehouse.publish()
    assert warehouse.query("SELECT DISTINCT run_id FROM steerability.matrix")["run_id"].to_list() == ["run-2"]


def test_an_open_connection_keeps_its_catalogue_through_publications(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.25)
    with open_catalogue_of(warehouse) as connection:
        for step in range(1, 4):
            land(warehouse, "m", 0.25 + step / 100)
            warehouse.publish()
            assert connection.execute("SELECT DISTINCT accuracy FROM steerability.matrix").fetchall() == [(0.25,)]
    assert warehouse.query("SELECT DISTINCT accuracy FROM steerability.matrix")["accuracy"].to_list() == [0.28]


def test_nothing_new_is_not_published_again(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.5)
    warehouse.publish()
    before = warehouse.catalogue.stat()
    warehouse.publish()
    assert warehouse.catalogue.stat().st_ino == before.st_ino
    land(warehouse, "m", 0.5, "run-2")
    warehouse.publish()
    assert warehouse.catalogue.stat().st_mtime_ns > before.st_mtime_ns
    warehouse.catalogue.unlink()
    assert warehouse.publish().exists()


def shown(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All that a catalogue holds, but for the moment when it was published."""
    with duckdb.connect(str(path), read_only=True) as connection:
        queries = {
            "views": "SELECT schema_name, view_name, comment, sql FROM duckdb_views() WHERE NOT internal",
            "tables": "SELECT schema_name, table_name, comment FROM duckdb_tables()",
            "columns": "SELECT schema_name, table_name, column_name, data_type, comment FROM duckdb_columns()",
            "macros": "SELECT function_name, macro_definition FROM duckdb_functions() WHERE NOT internal",
            "files": "FROM _catalog.files",
            "described": "FROM _catalog.columns",
            "publication": "SELECT root, duckdb_version FROM _catalog.publication",
            "matrix": "FROM steerability.matrix",
            "runs": "FROM ledger.runs",
        }
        return {name: connection.execute(f"{query} ORDER BY ALL").fetchall() for name, query in queries.items()}


ACT = st.tuples(st.sampled_from(["land", "run", "drop", "publish"]), st.sampled_from("mn"), st.integers(0, 2))


@given(st.lists(ACT, max_size=8))
@settings(max_examples=15)
def test_a_catalogue_brought_up_to_date_is_the_one_that_is_built_anew(acts: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        macro = Path(folder) / "of_model.sql"
        macro.write_text("CREATE MACRO of_model(m) AS TABLE SELECT * FROM steerability.matrix WHERE model = m")
        warehouse = Warehouse(Path(folder) / "data", (MATRIX, OTHER), (macro,))
        warehouse.publish()
        for act, name, number in acts:
            if act == "land":
                land(warehouse, name, number / 2, f"run-{number}")
            elif act == "run":
                rows = warehouse.frame(OTHER, [{"run_id": name, "n": n} for n in range(number)])
                warehouse.write(OTHER, {"run_id": name}, rows, provenance("other"))
            elif act == "drop":
                warehouse.drop(MATRIX, {"model": name, "iteration": "0"})
            else:
                warehouse.publish()
        brought = shown(warehouse.publish())
        warehouse.catalogue.unlink()
        assert brought == shown(warehouse.publish())


def test_what_a_client_wrote_into_the_catalogue_is_not_carried_on(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.5)
    with duckdb.connect(str(warehouse.publish())) as client:
        client.execute("CREATE TABLE steerability.mine AS SELECT 1 AS n; DROP VIEW ledger.runs")
    land(warehouse, "m", 0.75)
    with open_catalogue_of(warehouse) as connection:
        tables = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'steerability'"
        assert connection.execute(tables).fetchall() == []
        assert connection.execute("SELECT count(*) FROM ledger.runs").fetchone() == (0,)


def test_a_catalogue_that_is_published_often_does_not_grow(warehouse: Warehouse) -> None:
    sizes = []
    for turn in range(12):
        land(warehouse, "m", turn / 100, f"run-{turn}")
        sizes.append(warehouse.publish().stat().st_size)
    assert max(sizes) <= 2 * sizes[0]


def test_a_client_that_writes_into_the_catalogue_does_not_spoil_the_next_one(warehouse: Warehouse) -> None:
    """DuckDB opens a file for writing unless told otherwise; its log would not fit the next catalogue."""
    land(warehouse, "m", 0.5)
    warehouse.publish()
    log = warehouse.catalogue.with_name("influence.duckdb.wal")
    log.write_bytes(b"what a killed client leaves")
    land(warehouse, "m", 0.75)
    warehouse.publish()
    assert warehouse.query("SELECT max(accuracy) AS a FROM steerability.matrix")["a"][0] == 0.75
    assert not log.exists()


def test_a_moved_folder_is_published_anew(warehouse: Warehouse, tmp_path: Path) -> None:
    land(warehouse, "m", 0.5)
    warehouse.publish()
    shutil.move(tmp_path / "data", tmp_path / "else [where] ]*")
    moved = Warehouse(tmp_path / "else [where] ]*", (MATRIX, OTHER))
    with open_catalogue(moved) as stale, pytest.raises(duckdb.IOException):
        stale.execute("FROM steerability.matrix")
    moved.publish()
    with open_catalogue(moved) as connection:
        assert connection.execute("SELECT count(*), max(run_id) FROM steerability.matrix").fetchone() == (2, "run-1")
    assert moved.query("SELECT count(*) AS n FROM steerability.matrix")["n"][0] == 2


def test_a_folder_that_duckdb_cannot_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="rename the folder"):
        Warehouse(tmp_path / "what?", (MATRIX,))


def test_a_query_publishes_where_there_is_no_catalogue(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.5)
    assert warehouse.query("SELECT count(*) AS n FROM steerability.matrix")["n"][0] == 2


def test_macros_are_published_and_a_bad_one_is_named(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sql", tmp_path / "bad.sql"
    good.write_text(
        "CREATE MACRO steerability.best(m) AS TABLE\n"
        "SELECT max(accuracy) AS best FROM steerability.matrix WHERE model = m;"
        "CREATE MACRO steerability.half(x) AS x / 2;"
    )
    bad.write_text("CREATE MACRO steerability.broken(m) AS TABLE SELECT nothing FROM nowhere")
    warehouse = Warehouse(tmp_path / "data", (MATRIX,), (good,))
    land(warehouse, "m", 0.5)
    warehouse.publish()
    assert warehouse.query("FROM steerability.best('m')")["best"].to_list() == [0.5]
    assert warehouse.query("SELECT steerability.half(3.0) AS h")["h"].to_list() == [1.5]
    exported = warehouse.export(tmp_path / "whole.duckdb")
    with duckdb.connect(str(exported), read_only=True) as connection:
        assert connection.execute("SELECT best FROM steerability.best('m')").fetchone() == (0.5,)
    before = warehouse.catalogue.stat().st_ino
    with pytest.raises(WarehouseError, match=r"bad\.sql"):
        Warehouse(tmp_path / "data", (MATRIX,), (bad,)).publish()
    assert warehouse.catalogue.stat().st_ino == before
    assert not [*(tmp_path / "data/warehouse/scratch").iterdir()]


def test_rows_of_an_older_declaration_are_still_read(warehouse: Warehouse) -> None:
    land(warehouse, "old", 0.5)
    columns = [column for column in MATRIX.columns if column.name != "tags"]
    newer = replace(MATRIX, columns=(*columns, Column("margin", "DOUBLE", "a new column")))
    later = Warehouse(warehouse.root, (newer,))
    rows = [{"model": "new", "iteration": 0, "persona_id": "a", "margin": 0.5}]
    later.write(newer, {"model": "new", "iteration": "0"}, later.frame(newer, rows), provenance("run-2"))
    later.publish()
    seen = later.query("SELECT model, margin, accuracy, run_id FROM steerability.matrix ORDER BY model, persona_id")
    assert seen.rows() == [
        ("new", 0.5, None, "run-2"),
        ("old", None, 0.5, "run-1"),
        ("old", None, 0.5, "run-1"),
    ]
    assert later.read(newer)["margin"].to_list() == [0.5, None, None]
    assert later.query("SELECT count(*) AS n FROM steerability.matrix WHERE margin > 0.1")["n"][0] == 1
    only_old = Warehouse(warehouse.root, (newer,))
    only_old.drop(newer, {"model": "new", "iteration": "0"})
    only_old.publish()
    assert only_old.query("SELECT count(*) AS n, count(margin) AS m FROM steerability.matrix").row(0) == (2, 0)


def test_a_broken_pointer_file_is_named(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.5)
    pointer = next((warehouse.root / "warehouse/pointers/steerability.matrix").iterdir())
    pointer.write_text('{"table": "steerability.matrix"}')
    with pytest.raises(WarehouseError, match="not a pointer file"):
        warehouse.publish()


def test_a_missing_file_is_named(warehouse: Warehouse) -> None:
    land(warehouse, "m", 0.5).unlink()
    with pytest.raises(WarehouseError, match=r"steerability\.matrix: a file is gone"):
        warehouse.read(MATRIX)


def test_the_duckdb_export_needs_nothing_else(warehouse: Warehouse, tmp_path: Path) -> None:
    land(warehouse, "m", 0.5)
    exported = warehouse.export(tmp_path / "whole.duckdb")
    expected = warehouse.query("FROM steerability.matrix ORDER BY ALL")
    shutil.rmtree(warehouse.root)
    with duckdb.connect(str(exported), read_only=True) as connection:
        assert connection.execute("FROM steerability.matrix ORDER BY ALL").pl().equals(expected)
        tables = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        assert tables["matrix"] == MATRIX.comment
        kinds = connection.execute("SELECT data_type FROM duckdb_columns() WHERE table_name = 'matrix'").fetchall()
        assert [kind for (kind,) in kinds[: len(MATRIX.columns)]] == [column.type for column in MATRIX.columns]


def test_parquet_and_csv_exports_hold_every_table(warehouse: Warehouse, tmp_path: Path) -> None:
    land(warehouse, "m", 0.5)
    parquet = warehouse.export(tmp_path / "parquet", "parquet")
    assert sorted(path.name for path in parquet.iterdir()) == ["ledger.runs.parquet", "steerability.matrix.parquet"]
    assert pl.read_parquet(parquet / "steerability.matrix.parquet")["traits"].to_list() == [{"kind": 1.0}] * 2
    csv = pl.read_csv(warehouse.export(tmp_path / "csv", "csv") / "steerability.matrix.csv")
    assert csv["accuracy"].to_list() == [0.5, 0.5]
    assert [json.loads(cell) for cell in csv["traits"]] == [{"kind": 1.0}] * 2
    with pytest.raises(InputError, match="already holds something"):
        warehouse.export(tmp_path / "csv", "csv")
    with pytest.raises(InputError, match="no such folder"):
        warehouse.export(tmp_path / "nowhere" / "x.duckdb")
    assert not [path for path in tmp_path.iterdir() if "exporting" in path.name]
