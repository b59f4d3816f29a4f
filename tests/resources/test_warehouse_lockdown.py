"""SQL by strangers: it reads the published tables and can do nothing else."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from resources.errors import InfluenceError, WarehouseError
from resources.lockdown import locked
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse

TABLE = Table(
    "lab.numbers",
    "Numbers.",
    (Column("model", "VARCHAR", "the model"), Column("n", "BIGINT", "a number")),
    partition=("model",),
    key=("model", "n"),
)

ATTACKS = """
COPY (SELECT 1) TO '{out}/x.csv'
COPY (SELECT 1) TO '{file}' (FORMAT parquet)
COPY lab.numbers TO '{file}'
COPY lab.numbers FROM '/etc/passwd'
EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'
EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}/x.csv'
EXPLAIN /* x */ ANALYZE COPY (SELECT 1) TO '{file}'
EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{file}'
PREPARE p AS COPY (SELECT 1) TO '{file}'
SELECT 1; COPY (SELECT 1) TO '{file}'
SELECT 1; SELECT 2
FROM query('COPY (SELECT 1) TO ''{file}''')
EXPORT DATABASE '{out}/x'
IMPORT DATABASE '{out}'
ATTACH '{out}/n.duckdb' AS n
ATTACH ':memory:' AS n
ATTACH '{catalogue}' AS n
DETACH influence
INSTALL httpfs
LOAD httpfs
LOAD '{out}/x.duckdb_extension'
FORCE INSTALL httpfs FROM community
SET enable_external_access = true
SET lock_configuration = false
SET allowed_paths = ['/etc/passwd']
SET python_enable_replacements = true
SET VARIABLE a = 1
RESET enable_external_access
PRAGMA enable_external_access = true
PRAGMA memory_limit = '1TB'
PRAGMA enable_profiling = 'json'
PRAGMA profiling_output = '{out}/p.json'
CALL enable_logging(storage = 'file', storage_path = '{out}/log')
CALL pragma_version()
CHECKPOINT
USE memory
DROP VIEW lab.numbers
CREATE TABLE lab.mine (a INTEGER)
CREATE TEMP TABLE mine AS SELECT 1
CREATE MACRO f(a) AS a
CREATE SECRET s (TYPE s3)
CREATE PERSISTENT SECRET s (TYPE s3)
INSERT INTO _catalog.files SELECT * FROM _catalog.files
DELETE FROM _catalog.files
UPDATE _catalog.files SET rows = 0
ALTER TABLE _catalog.files ADD COLUMN x INTEGER
COMMENT ON TABLE _catalog.files IS 'x'
BEGIN
VACUUM
FROM '/etc/passwd'
FROM read_csv('/etc/passwd')
FROM read_text('/etc/passwd')
FROM read_blob('/proc/self/environ')
FROM read_json('/etc/passwd')
FROM sniff_csv('/etc/passwd')
FROM parquet_metadata('/etc/passwd')
FROM read_parquet('{file}/../../../secret.parquet')
FROM read_parquet('{secret}')
FROM '{secret}'
FROM read_parquet(['{file}', '{secret}'])
FROM glob('/etc/*')
FROM glob('{folder}/*')
FROM read_csv('http://127.0.0.1:1/x')
FROM read_duckdb('{catalogue}')
FROM query('FROM read_text(''/etc/passwd'')')
FROM query_table('/etc/passwd')
FROM duckdb_secrets()
FROM visible_frame
FROM visible_rows
SELECT getenv('HOME')
SELECT * FROM enable_profiling(save_location = '{out}/p.json')
SELECT content FROM read_text('{out}/../secret.parquet')
""".strip().splitlines()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path / "data", (TABLE,))
    rows = [{"model": "m", "n": n} for n in range(10)]
    where = Provenance("run", "code", "inputs", datetime.now(UTC))
    warehouse.write(TABLE, {"model": "m"}, warehouse.frame(TABLE, rows), where)
    warehouse.publish()
    pl.DataFrame({"secret": ["canary"]}).write_parquet(tmp_path / "secret.parquet")
    (tmp_path / "out").mkdir()
    return warehouse


def _everything(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
        if path.name != "spill"
    }


def _filled(attack: str, warehouse: Warehouse, file: str, tmp_path: Path) -> str:
    return attack.format(
        file=file,
        folder=Path(file).parent,
        out=tmp_path / "out",
        secret=tmp_path / "secret.parquet",
        catalogue=warehouse.catalogue,
    )


def test_attacks_fail_and_leave_nothing_behind(warehouse: Warehouse, tmp_path: Path) -> None:
    visible_frame = pl.DataFrame({"secret": ["canary"]})
    visible_rows = duckdb.sql("SELECT 'canary' AS secret")
    file = warehouse.query("SELECT path FROM _catalog.files")["path"][0]
    before, home = _everything(tmp_path), set(os.listdir(Path.home()))
    for attack in ATTACKS:
        with pytest.raises((InfluenceError, duckdb.Error)):
            pytest.fail(f"{attack} gave {warehouse.query(_filled(attack, warehouse, file, tmp_path))}")
    assert _everything(tmp_path) == before
    assert set(os.listdir(Path.home())) <= home | {".duckdb"}
    assert visible_frame.height == len(visible_rows.fetchall()) == 1


def test_table_functions_that_would_write_write_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    """These are SELECTs that DuckDB lets through; what counts is that no file comes of them."""
    before = _everything(tmp_path)
    file = warehouse.query("SELECT path FROM _catalog.files")["path"][0]
    for place in (tmp_path / "out" / "log", Path(file), Path(file).parent):
        for sql in (
            f"SELECT write_log('canary') FROM enable_logging(storage = 'file', storage_path = '{place}')",
            f"FROM enable_logging(storage = 'file', storage_path = '{place}', level = 'trace')",
            "FROM checkpoint()",
        ):
            with suppress(InfluenceError, duckdb.Error):
                warehouse.query(sql)
    assert _everything(tmp_path) == before
    assert warehouse.query("SELECT sum(n) AS n FROM lab.numbers")["n"][0] == 45


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT sum(n) FROM lab.numbers",
        "FROM lab.numbers",
        "WITH a AS (SELECT * FROM lab.numbers) SELECT * FROM a",
        "DESCRIBE lab.numbers",
        "SHOW ALL TABLES",
        "SUMMARIZE lab.numbers",
        "PIVOT lab.numbers ON model USING sum(n)",
        "PIVOT lab.numbers ON model USING sum(n);",
        "EXPLAIN SELECT sum(n) FROM lab.numbers",
        "explain analyze SELECT sum(n) FROM lab.numbers",
        "VALUES (1)",
        "PRAGMA database_list",
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'numbers'",
        "SELECT to_json(partition) FROM _catalog.files;  -- a remark",
    ],
)
def test_what_people_ask_is_answered(warehouse: Warehouse, sql: str) -> None:
    assert warehouse.query(sql).height > 0


def test_a_refusal_says_what_was_refused(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"only one SELECT at a time.*COPY"):
        warehouse.query("COPY lab.numbers TO 'x'")
    with pytest.raises(WarehouseError, match="nothing"):
        warehouse.query("-- only a remark")
    with pytest.raises(duckdb.CatalogException, match="nowhere"):
        warehouse.query("FROM nowhere")


def test_a_query_that_takes_too_long_is_stopped(warehouse: Warehouse) -> None:
    started = time.monotonic()
    with pytest.raises(WarehouseError, match=r"longer than 0\.2 s"):
        warehouse.query("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", timeout_s=0.2)
    assert time.monotonic() - started < 10


def test_a_query_larger_than_memory_spills_into_the_scratch_folder(warehouse: Warehouse) -> None:
    place = warehouse.query("SELECT current_setting('temp_directory') AS place")["place"][0]
    assert place == str(warehouse.root / "warehouse" / "scratch" / "spill")


def test_two_who_ask_at_once_each_see_what_is_published_then(warehouse: Warehouse, tmp_path: Path) -> None:
    """As two visitors of the viewer do, in one process, while a run publishes."""
    count = "SELECT count(*) FROM lab.numbers"
    with locked(warehouse.catalogue, tmp_path / "spill") as first:
        where = Provenance("run", "code", "inputs", datetime.now(UTC))
        warehouse.write(TABLE, {"model": "other"}, warehouse.frame(TABLE, [{"model": "other", "n": 1}]), where)
        warehouse.publish()
        with locked(warehouse.catalogue, tmp_path / "spill") as second:
            assert first.execute(count).fetchone() == (10,)
            assert second.execute(count).fetchone() == (11,)
            for connection in (first, second):
                with pytest.raises(duckdb.Error, match="locked"):
                    connection.execute("SET enable_external_access = true")
