"""Rows in a DuckLake: the same tables, the same data versions, and every earlier state still there to ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from influence_assets.homes import bring_over
from resources.ducklake import Address, Lake, extension
from resources.errors import InputError, WarehouseError
from resources.home import FilesHome
from resources.lake_home import LakeHome
from resources.tables import Column, Table
from resources.warehouse import Landed, Provenance, Warehouse
from tests.servers.postgres import Postgres

TABLE = Table(
    "influence.turns",
    "What was said.",
    (
        Column("model", "VARCHAR", "the model"),
        Column("iteration", "INTEGER", "rounds of training"),
        Column("turn", "BIGINT", "its number"),
        Column("content", "VARCHAR", "what was said"),
        Column("weights", "MAP(VARCHAR, DOUBLE)", "a distribution"),
        Column("tags", "VARCHAR[]", "words"),
        Column("at", "TIMESTAMP", "when, UTC"),
    ),
    partition=("model", "iteration"),
    key=("model", "iteration", "turn"),
)
OTHER = Table("lab.notes", "No partition.", (Column("note", "VARCHAR", "a note"),), partition=(), key=())
START = datetime(2026, 1, 1, tzinfo=UTC)
SUMMARY = "SELECT model, content, run_id, count(*) AS n FROM influence.turns GROUP BY ALL ORDER BY ALL"


def land(warehouse: Warehouse, model: str, content: str, run: str, n: int = 3, day: int = 0) -> Landed:
    rows = [
        {"model": model, "iteration": 1, "turn": turn, "content": content, "weights": {"a": 0.5}, "tags": ["x", "y"]}
        for turn in range(n)
    ]
    where = Provenance(run, "code", f"inputs of {content}", START + timedelta(days=day))
    partition = {"model": model, "iteration": "1"}
    return warehouse.write(TABLE, partition, warehouse.frame(TABLE, rows), where)


@pytest.fixture
def address(tmp_path: Path, postgres: Postgres) -> Address:
    return Address(postgres.database(), tmp_path / "lake")


@pytest.fixture
def warehouse(tmp_path: Path, address: Address) -> Warehouse:
    return Warehouse(tmp_path, (TABLE, OTHER), home=LakeHome(address, (TABLE, OTHER)))


@pytest.fixture
def lake(address: Address) -> Iterator[Lake]:
    """A client of the lake that knows nothing of this project."""
    opened = Lake(address)
    yield opened
    opened.close()


def test_the_same_rows_as_in_files(warehouse: Warehouse, tmp_path: Path) -> None:
    files = Warehouse(tmp_path / "files", (TABLE, OTHER))
    hostile = "'); DROP TABLE x; --"
    for one in (warehouse, files):
        assert land(one, "m", "hello", "run-1").changed
        assert not land(one, "m", "hello", "run-2").changed
        land(one, hostile, "first", "run-2")
        land(one, hostile, "", "run-3", n=0)
        one.write(OTHER, {}, one.frame(OTHER, [{"note": "b"}, {"note": "a"}]), Provenance("r", "c", "i", START))
        one.publish()
    for query in (SUMMARY, "FROM influence.turns ORDER BY model, turn", "FROM lab.notes ORDER BY note"):
        assert warehouse.query(query).equals(files.query(query))
    for partition in files.partitions(TABLE):
        ours, theirs = warehouse.pointer(TABLE, partition), files.pointer(TABLE, partition)
        assert ours is not None
        assert theirs is not None
        assert ours.encoded() == theirs.encoded()
        assert Path(ours.file).read_bytes() == Path(theirs.file).read_bytes()
    assert warehouse.partitions(TABLE) == files.partitions(TABLE)
    assert warehouse.read(TABLE, {"model": "m"}).equals(files.read(TABLE, {"model": "m"}))
    with duckdb.connect(str(warehouse.catalogue), read_only=True) as plain:
        assert plain.sql("SELECT count(*), min(run_id) FROM influence.turns").fetchall() == [(3, "run-2")]


def test_every_run_is_a_state_to_ask(warehouse: Warehouse, lake: Lake, tmp_path: Path) -> None:
    land(warehouse, "m", "one", "run-a1")
    land(warehouse, "m", "two", "run-b2")
    land(warehouse, "n", "two", "run-b2")
    land(warehouse, "m", "one", "run-c3")
    assert warehouse.query(SUMMARY).rows() == [("m", "one", "run-c3", 3), ("n", "two", "run-b2", 3)]
    assert warehouse.query(SUMMARY, as_of="run-a1").rows() == [("m", "one", "run-a1", 3)]
    assert warehouse.query(SUMMARY, as_of="run-b").rows() == [("m", "two", "run-b2", 3), ("n", "two", "run-b2", 3)]
    for as_of in ("run-", "nobody", ""):
        with pytest.raises(InputError, match=r"as of.*the newest are run-c3"):
            warehouse.query(SUMMARY, as_of=as_of)
    then = warehouse.export(tmp_path / "then.duckdb", as_of="run-a1")
    with duckdb.connect(str(then), read_only=True) as plain:
        assert plain.sql("SELECT DISTINCT content FROM influence.turns").fetchall() == [("one",)]
    # The documented way, from any client of DuckLake.
    told = "commit_extra_info ->> 'run_id' = 'run-b2'"
    ((version,),) = lake.rows(f"SELECT max(snapshot_id) FROM lake.snapshots() WHERE {told}")
    found = lake.rows(
        f"SELECT model, content, count(*) FROM lake.influence.turns AT (VERSION => {version}) GROUP BY ALL"
    )
    assert sorted(found) == [("m", "two", 3), ("n", "two", 3)]


def test_files_keep_no_history(tmp_path: Path) -> None:
    files = Warehouse(tmp_path, (TABLE,))
    land(files, "m", "one", "run-a1")
    with pytest.raises(InputError, match=r"keep no history.*ducklake"):
        files.query(SUMMARY, as_of="run-a1")


def test_what_another_machine_lands_is_seen_at_the_next_query(
    warehouse: Warehouse, address: Address, tmp_path: Path
) -> None:
    land(warehouse, "m", "one", "run-1")
    reader = Warehouse(tmp_path / "elsewhere", (TABLE, OTHER), home=LakeHome(address, (TABLE, OTHER)))
    assert reader.query(SUMMARY).height == 1
    land(warehouse, "n", "two", "run-2")
    assert reader.query(SUMMARY).height == 2
    assert reader.read(TABLE).height == 6


def test_a_dropped_partition_is_gone(warehouse: Warehouse, lake: Lake) -> None:
    land(warehouse, "m", "one", "run-1")
    assert warehouse.drop(TABLE, {"model": "m", "iteration": "1"})
    assert not warehouse.drop(TABLE, {"model": "m", "iteration": "1"})
    assert warehouse.read(TABLE).height == 0
    assert lake.rows("SELECT count(*) FROM lake.influence.turns") == [(0,)]


def test_a_table_that_is_declared_otherwise_keeps_its_rows(
    warehouse: Warehouse, address: Address, lake: Lake, tmp_path: Path
) -> None:
    land(warehouse, "m", "one", "run-1")
    columns = (*TABLE.columns[:3], Column("content", "VARCHAR", "said"), Column("mood", "DOUBLE", "new"))
    later = Table(TABLE.name, TABLE.comment, columns, TABLE.partition, TABLE.key)
    newer = Warehouse(tmp_path, (later, OTHER), home=LakeHome(address, (later, OTHER)))
    assert newer.read(later)["mood"].to_list() == [None] * 3
    assert lake.rows("SELECT DISTINCT content, mood FROM lake.influence.turns") == [("one", None)]
    row = {"model": "m", "iteration": 1, "turn": 0, "content": "two", "mood": 1.0}
    partition = {"model": "m", "iteration": "1"}
    newer.write(later, partition, newer.frame(later, [row]), Provenance("run-2", "c", "i", START))
    assert lake.rows("SELECT content, mood FROM lake.influence.turns") == [("two", 1.0)]
    assert newer.query("SELECT content, mood FROM influence.turns", as_of="run-1").rows() == [("one", None)] * 3


def test_there_and_back(warehouse: Warehouse, tmp_path: Path, address: Address) -> None:
    files_home, lake_home = FilesHome(tmp_path / "files/warehouse"), LakeHome(address, (TABLE, OTHER))
    files = Warehouse(tmp_path / "files", (TABLE, OTHER), home=files_home)
    land(files, "old", "one", "run-1")
    land(files, "older here", "one", "run-1")
    land(warehouse, "older here", "two", "run-2", day=1)
    land(files, "newer here", "two", "run-2", day=1)
    land(warehouse, "newer here", "one", "run-1")
    assert bring_over((TABLE, OTHER), files_home, lake_home) == {TABLE.name: 2}
    assert bring_over((TABLE, OTHER), files_home, lake_home) == {}
    land(warehouse, "new", "three", "run-3")
    assert bring_over((TABLE, OTHER), lake_home, files_home) == {TABLE.name: 2}
    files.publish()
    expected = [("new", "run-3"), ("newer here", "run-2"), ("old", "run-1"), ("older here", "run-2")]
    for one in (files, warehouse):
        assert one.query("SELECT DISTINCT model, run_id FROM influence.turns ORDER BY 1").rows() == expected


def test_a_postgres_that_restarts_costs_time_alone(warehouse: Warehouse, postgres: Postgres) -> None:
    land(warehouse, "m", "one", "run-1")
    postgres.stop()
    postgres.start()
    assert warehouse.read(TABLE).height == 3
    assert land(warehouse, "m", "two", "run-2").changed
    assert warehouse.query(SUMMARY).rows() == [("m", "two", "run-2", 3)]


def test_a_postgres_that_is_not_there_is_one_line_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg2")
    address = Address("postgresql://me:canary-1@127.0.0.1:9/none", tmp_path / "lake")
    with pytest.raises(InputError, match=r"storage.catalogue: Postgres does not answer") as caught:
        Warehouse(tmp_path, (TABLE,), home=LakeHome(address, (TABLE,))).read(TABLE)
    assert "canary" not in str(caught.value) + repr(address)
    assert "\n" not in str(caught.value)


def test_what_duckdb_refuses_does_not_show_the_password(address: Address) -> None:
    with pytest.raises(WarehouseError) as caught:
        Lake(address).rows(f"SELECT * FROM nowhere WHERE '{address.catalogue}' = ''")
    assert "nowhere" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_missing_extension_says_how_to_get_it() -> None:
    with pytest.raises(InputError, match=r"pip install -c constraints.txt duckdb-extension-no-such"):
        extension("no_such")
