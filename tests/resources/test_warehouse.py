"""Writing and reading partitions: what comes back is what was written, and equal content has equal bytes."""

from __future__ import annotations

import math
import os
import random
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from resources.errors import WarehouseError
from resources.ledger_tables import LEDGER_TABLES, MATERIALIZATIONS, REQUESTS
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse

ROWS = Table(
    "lab.rows",
    "Rows of every type.",
    (
        Column("model", "VARCHAR", "the model"),
        Column("iteration", "INTEGER", "the iteration"),
        Column("name", "VARCHAR", "first part of the key"),
        Column("n", "BIGINT", "second part of the key"),
        Column("value", "DOUBLE", "a number"),
        Column("right", "BOOLEAN", "a truth"),
        Column("at", "TIMESTAMP", "a time"),
        Column("words", "VARCHAR[]", "a list"),
        Column("shares", "MAP(VARCHAR, DOUBLE)", "numbers by name"),
        Column("versions", "MAP(VARCHAR, VARCHAR)", "texts by name"),
    ),
    partition=("model", "iteration"),
    key=("model", "iteration", "name", "n"),
)
PLAIN = Table(
    "lab.plain",
    "Two columns.",
    (Column("model", "VARCHAR", "the model"), Column("n", "INTEGER", "a number")),
    partition=("model",),
    key=("model", "n"),
)
HERE = {"model": "m", "iteration": "0"}


def provenance(run_id: str = "run-1") -> Provenance:
    return Provenance(run_id, "code-1", "inputs-1", datetime(2026, 1, 1, tzinfo=UTC))


def row(name: str = "a", n: int = 0, **values: object) -> dict[str, object]:
    return {"model": "m", "iteration": 0, "name": name, "n": n} | values


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path, (ROWS, PLAIN, *LEDGER_TABLES))


_cells = st.fixed_dictionaries(
    {
        "value": st.none() | st.floats(),
        "right": st.none() | st.booleans(),
        "at": st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
        "words": st.none() | st.lists(st.none() | st.text(max_size=4), max_size=3),
        "shares": st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.floats(), max_size=3),
        "versions": st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=3),
    }
)
_keys = st.tuples(st.none() | st.text(max_size=3), st.none() | st.integers(-(2**63), 2**63 - 1))
_rows = st.dictionaries(_keys, _cells, max_size=12).map(
    lambda found: [row(name, n, **cells) for (name, n), cells in found.items()]  # type: ignore[arg-type]
)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(rows=_rows)
@quick
def test_what_is_written_is_read_back(warehouse: Warehouse, rows: list[dict[str, object]]) -> None:
    frame = warehouse.frame(ROWS, rows)
    landed = warehouse.write(ROWS, HERE, frame, provenance())
    assert landed.rows == len(rows)
    assert_frame_equal(warehouse.read(ROWS, HERE), frame.sort("name", "n"))


@given(rows=_rows, seed=st.integers(0, 10**6))
@quick
def test_any_order_of_rows_columns_and_chunks_gives_the_same_file(
    warehouse: Warehouse, rows: list[dict[str, object]], seed: int
) -> None:
    first = warehouse.write(ROWS, HERE, warehouse.frame(ROWS, rows), provenance())
    before = os.stat(first.path)
    draw = random.Random(seed)
    shuffled = draw.sample(rows, len(rows))
    cut = draw.randint(0, len(rows))
    pieces = [warehouse.frame(ROWS, part) for part in (shuffled[:cut], shuffled[cut:])]
    other = pl.concat(pieces, rechunk=False).select(draw.sample(pieces[0].columns, pieces[0].width))
    second = warehouse.write(ROWS, HERE, other, provenance())
    assert second.data_version == first.data_version
    assert not second.changed
    after = os.stat(second.path)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@given(rows=_rows.filter(bool))
@settings(quick, max_examples=12)
def test_the_published_view_shows_the_same_rows(warehouse: Warehouse, rows: list[dict[str, object]]) -> None:
    warehouse.write(ROWS, HERE, warehouse.frame(ROWS, rows), provenance())
    warehouse.publish()
    seen = warehouse.query(
        "SELECT * EXCLUDE (run_id, code_version) FROM lab.rows ORDER BY name NULLS FIRST, n NULLS FIRST"
    )
    assert_frame_equal(seen, warehouse.read(ROWS))


@given(value=st.floats())
@settings(quick, max_examples=12)
def test_filters_on_numbers_agree_with_python(warehouse: Warehouse, value: float) -> None:
    """NaN must not spoil the statistics by which a reader skips parts of a file (DuckDB: NaN equals NaN, above all)."""
    rows = [row("a", 0, value=value), row("b", 1, value=math.nan), row("c", 2, value=0.0), row("d", 3)]
    warehouse.write(ROWS, HERE, warehouse.frame(ROWS, rows), provenance())
    warehouse.publish()
    seen = warehouse.query("SELECT count(*) AS n FROM lab.rows WHERE value >= 0.0")["n"][0]
    assert seen == sum(1 for v in (value, math.nan, 0.0) if math.isnan(v) or v >= 0)


def test_a_value_hidden_behind_a_null_does_not_change_the_file(warehouse: Warehouse) -> None:
    shown = pl.DataFrame({"n": [1, 2], "words": [["a"], ["b", "c"]], "value": [1.0, 2.0]})
    hidden = shown.with_columns(
        pl.when(pl.col("n") == 1).then(pl.col("words")).alias("words"),
        pl.when(pl.col("n") == 1).then(pl.col("value")).alias("value"),
    )
    plain = [row("x", 1, words=["a"], value=1.0), row("x", 2)]
    masked = warehouse.frame(ROWS, plain).with_columns(hidden["words"], hidden["value"])
    first = warehouse.write(ROWS, HERE, warehouse.frame(ROWS, plain), provenance())
    assert warehouse.write(ROWS, HERE, masked, provenance()).data_version == first.data_version


def test_nothing_landed_is_typed_and_empty(warehouse: Warehouse) -> None:
    empty = warehouse.read(ROWS)
    assert empty.height == 0
    assert empty.schema == warehouse.frame(ROWS, []).schema
    assert warehouse.pointer(ROWS, HERE) is None
    assert warehouse.partitions(ROWS) == []
    assert not warehouse.drop(ROWS, HERE)


def test_a_partition_without_rows_has_landed(warehouse: Warehouse) -> None:
    for iteration in ("0", "1"):
        landed = warehouse.write(ROWS, HERE | {"iteration": iteration}, warehouse.frame(ROWS, []), provenance())
        assert landed.changed
    assert len(warehouse.partitions(ROWS)) == 2
    assert warehouse.read(ROWS).schema == warehouse.frame(ROWS, []).schema
    warehouse.publish()
    assert warehouse.query("SELECT count(*) AS n FROM lab.rows")["n"][0] == 0
    assert warehouse.query("SELECT sum(rows) AS n FROM _catalog.files WHERE table_name = 'lab.rows'")["n"][0] == 0


def test_partitions_are_filtered_dropped_and_ordered(warehouse: Warehouse) -> None:
    for model in ("b", "a"):
        for iteration in (1, 0):
            rows = [row("x", 7) | {"model": model, "iteration": iteration}]
            warehouse.write(
                ROWS, {"model": model, "iteration": str(iteration)}, warehouse.frame(ROWS, rows), provenance()
            )
    assert warehouse.partitions("lab.rows") == [
        {"model": model, "iteration": iteration} for model in ("a", "b") for iteration in ("0", "1")
    ]
    assert warehouse.read(ROWS, {"model": "a"})["iteration"].to_list() == [0, 1]
    assert warehouse.read(ROWS, {"iteration": "1"})["model"].to_list() == ["a", "b"]
    assert warehouse.read(ROWS, {"model": "none"}).height == 0
    assert warehouse.drop(ROWS, {"model": "a", "iteration": "1"})
    assert warehouse.read(ROWS, {"model": "a"})["iteration"].to_list() == [0]


def test_a_second_write_replaces_the_rows_and_the_provenance(warehouse: Warehouse) -> None:
    first = warehouse.write(ROWS, HERE, warehouse.frame(ROWS, [row(value=1.0)]), provenance("run-1"))
    second = warehouse.write(ROWS, HERE, warehouse.frame(ROWS, [row(value=2.0)]), provenance("run-2"))
    assert first.changed
    assert second.changed
    assert first.data_version != second.data_version
    pointer = warehouse.pointer(ROWS, HERE)
    assert pointer is not None
    assert (pointer.data_version, pointer.rows, pointer.run_id) == (second.data_version, 1, "run-2")
    assert pointer.inputs == "inputs-1"
    assert warehouse.read(ROWS)["value"].to_list() == [2.0]


def test_types_are_widened_where_nothing_is_lost(warehouse: Warehouse) -> None:
    frame = pl.DataFrame(
        {
            "model": pl.Series(["m"], dtype=pl.Categorical),
            "iteration": pl.Series([0], dtype=pl.Int64),
            "name": pl.Series(["a"], dtype=pl.Enum(["a"])),
            "n": pl.Series([3], dtype=pl.UInt8),
            "value": pl.Series([1], dtype=pl.Int32),
            "right": pl.Series([None]),
            "at": pl.Series([datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))]),
            "words": pl.Series([[None]]),
            "shares": pl.Series([[{"key": "a", "value": 0.5}]]),
            "versions": pl.Series([{"a": "1"}], dtype=pl.Map(pl.String, pl.String)),
        }
    )
    warehouse.write(ROWS, HERE, frame, provenance())
    seen = warehouse.read(ROWS).row(0, named=True)
    assert seen["at"] == datetime(2026, 1, 1, 10)
    assert (seen["n"], seen["value"], seen["right"], seen["words"]) == (3, 1.0, None, [None])
    assert (seen["shares"], seen["versions"]) == ({"a": 0.5}, {"a": "1"})


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"n": pl.Series([0.5])}, ["lab.rows.n", "BIGINT", "0.5"]),
        ({"iteration": pl.Series([2**40])}, ["lab.rows.iteration", "INTEGER", str(2**40)]),
        ({"value": pl.Series(["7"])}, ["lab.rows.value", "DOUBLE", "'7'"]),
        ({"name": pl.Series([7])}, ["lab.rows.name", "VARCHAR", "7"]),
        ({"right": pl.Series([1])}, ["lab.rows.right", "BOOLEAN", "1"]),
        ({"words": pl.Series([[1]])}, ["lab.rows.words", "VARCHAR[]"]),
        ({"shares": pl.Series([{"a": 1.0}])}, ["lab.rows.shares", "MAP(VARCHAR, DOUBLE)"]),
        ({"model": pl.Series(["other"])}, ["lab.rows", "model", "'m'", "'other'"]),
        ({"model": pl.Series([None], dtype=pl.String)}, ["lab.rows", "model", "None"]),
        ({"extra": pl.Series([1])}, ["lab.rows", "'extra'"]),
    ],
)
def test_what_does_not_fit_is_named(warehouse: Warehouse, change: dict[str, pl.Series], names: list[str]) -> None:
    frame = warehouse.frame(ROWS, [row()]).with_columns(**change)
    with pytest.raises(WarehouseError) as caught:
        warehouse.write(ROWS, HERE, frame, provenance())
    assert all(name in str(caught.value) for name in names), caught.value
    assert "\n" not in str(caught.value)
    assert warehouse.pointer(ROWS, HERE) is None


def test_a_missing_column_and_a_repeated_key_are_named(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="the column value is missing"):
        warehouse.write(ROWS, HERE, warehouse.frame(ROWS, [row()]).drop("value"), provenance())
    twice = warehouse.frame(ROWS, [row("a", 1), row("b", 2), row("a", 1)])
    with pytest.raises(WarehouseError, match=r"lab.rows: two rows have the key .*name='a', n=1"):
        warehouse.write(ROWS, HERE, twice, provenance())
    nulls = warehouse.frame(ROWS, [row("a", None), row("b", 2), row("a", None)])  # type: ignore[arg-type]
    with pytest.raises(WarehouseError, match="name='a', n=None"):
        warehouse.write(ROWS, HERE, nulls, provenance())


@given(names=st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=6), ns=st.lists(st.integers(0, 2)))
@settings(quick, max_examples=100)
def test_a_repeated_key_is_found_in_any_order(warehouse: Warehouse, names: list[str], ns: list[int]) -> None:
    keys = list(zip(names, [*ns, *[0] * len(names)], strict=False))
    frame = warehouse.frame(ROWS, [row(name, n) for name, n in keys])
    if len(set(keys)) == len(keys):
        assert warehouse.write(ROWS, HERE, frame, provenance()).rows == len(keys)
    else:
        with pytest.raises(WarehouseError, match="two rows have the key"):
            warehouse.write(ROWS, HERE, frame, provenance())


def test_rows_given_as_mappings_are_checked(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="no column 'valu'"):
        warehouse.frame(ROWS, [row(valu=1.0)])
    with pytest.raises(WarehouseError, match=r"lab.rows.value is DOUBLE"):
        warehouse.frame(ROWS, [row(value="x")])
    with pytest.raises(WarehouseError, match=r"no table 'lab.none'"):
        warehouse.read("lab.none")


@pytest.mark.parametrize("iteration", ["00", "one", "1.0", "", "99999999999"])
def test_a_partition_value_has_one_spelling(warehouse: Warehouse, iteration: str) -> None:
    with pytest.raises(WarehouseError, match="iteration="):
        warehouse.pointer(ROWS, {"model": "m", "iteration": iteration})


def test_the_ledger_keeps_every_run(warehouse: Warehouse) -> None:
    now = datetime.now(UTC)
    for run in ("run-1", "run-2"):
        here = {"asset": "personas", "partition": "big_five", "run_id": run}
        asked = {**here, "request_id": "r", "cost": 0.25, "at": now, "retries": 0, "cached": False, "status": "ok"}
        # The same question twice: one row was paid for, the other came from the cache.
        requests = warehouse.frame(REQUESTS, [asked, asked | {"cost": 0.0, "cached": True}, asked])
        warehouse.write(REQUESTS, here, requests, provenance(run))
        made = {**here, "table_name": "personas.personas", "upstream": {"a b": "1"}, "packages": {}, "started_at": now}
        warehouse.write(MATERIALIZATIONS, here, warehouse.frame(MATERIALIZATIONS, [made]), provenance(run))
    warehouse.publish()
    query = "SELECT sum(cost) AS usd, count(*) AS n FROM ledger.requests WHERE run_id = 'run-2'"
    assert warehouse.query(query).row(0) == (0.5, 3)
    seen = warehouse.query("SELECT * FROM ledger.materializations ORDER BY run_id")
    assert seen.columns.count("run_id") == 1
    assert seen["run_id"].to_list() == ["run-1", "run-2"]
    assert seen["upstream"].to_list() == [{"a b": "1"}] * 2
    assert seen["code_version"].to_list() == ["code-1"] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "no_schema"}, "cannot name a table"),
        ({"name": "../a.b"}, "cannot name a table"),
        ({"key": ("nowhere",)}, "is no column"),
        ({"columns": (Column("model", "VARCHAR", ""), Column("MODEL", "VARCHAR", ""))}, "stands twice"),
        ({"columns": (Column("model", "VARCHAR", ""), Column("n", "UUID", ""))}, "not supported"),
        ({"columns": (Column("model", "VARCHAR", ""), Column("n", "VARCHAR[]", ""))}, "cannot be put in order"),
    ],
)
def test_declarations_are_checked(tmp_path: Path, changes: dict[str, object], says: str) -> None:
    parts = {
        "name": PLAIN.name,
        "comment": "",
        "columns": PLAIN.columns,
        "partition": PLAIN.partition,
        "key": PLAIN.key,
    }
    with pytest.raises(WarehouseError, match=says):
        Warehouse(tmp_path, (Table(**(parts | changes)),))  # type: ignore[arg-type]
