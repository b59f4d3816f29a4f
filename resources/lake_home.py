"""Rows in a DuckLake: a home that many machines share, and that keeps every earlier state.

A partition's rows are the same immutable Parquet file as in a folder, so the same content has the same data version and
moving between homes copies files. One commit registers the file in the table of the public name, takes the one before
out, and replaces the pointer, which lies in the lake's own table `_catalog.pointers` in its usual encoding: readers of
any snapshot see whole partitions, and the pointers that belong to them. Each commit carries the run that landed it.

Files of earlier snapshots stay until somebody expires them with DuckLake's own functions (docs/cluster.md). For that
each landing has a file name of its own: what one snapshot gives up is never what another needs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import duckdb
import polars as pl

from resources.content import Json, sha256_of
from resources.ducklake import Address, Lake
from resources.durable import move, scratch, sync
from resources.errors import InputError
from resources.frames import fitted, partition_values
from resources.home import Landed, hand_over
from resources.pointers import Pointer, decode, partition_id, shape_of
from resources.sql import identifier, literal, qualified
from resources.tables import Table

_OWN = """
CREATE SCHEMA IF NOT EXISTS lake._catalog;
CREATE TABLE IF NOT EXISTS lake._catalog.pointers
  (table_name VARCHAR, partition_id VARCHAR, pointer VARCHAR, file VARCHAR);
CREATE TABLE IF NOT EXISTS lake._catalog.shapes (table_name VARCHAR, shape VARCHAR);
"""
_FORGET = "DELETE FROM lake._catalog.pointers WHERE table_name = $1 AND partition_id = $2"

Key = tuple[str, str]
"""A table's name and a partition's id."""


class LakeHome:
    """The rows of one project in one DuckLake. `tables` are all that are declared; each has its table there."""

    def __init__(self, address: Address, tables: Sequence[Table]) -> None:
        self._data = address.data
        self._lake = Lake(address)
        self._tables = {table.name: table for table in tables}
        self._lock = threading.RLock()
        self._prepared = False
        self._seen, self._pointers = -1, dict[Key, Pointer]()

    @property
    def scratch(self) -> Path:
        return self._data / "scratch"

    def prepare(self, tables: Sequence[Table]) -> None:
        """Make the folders, and every table of the lake that is missing or was declared otherwise before."""
        for folder in (self.scratch, *(self._data / table.name for table in tables)):
            folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            if self._prepared:
                return
            if self._undeclared(self._shapes()):
                for table in self._tables.values():
                    (self._data / table.name).mkdir(parents=True, exist_ok=True)
                self._lake.commit(self._declare, "declare tables", {"declared": len(self._tables)})
            self._prepared = True

    def load(self, table: Table, partition: Mapping[str, str]) -> Pointer | None:
        return self._now()[1].get((table.name, partition_id(partition)))

    def all(self, table: Table) -> list[Pointer]:
        return [pointer for (name, _), pointer in self._now()[1].items() if name == table.name]

    def land(self, table: Table, pointer: Pointer, rows: Path) -> Pointer:
        placed = replace(pointer, file=str(self._place(pointer)))
        move(rows, Path(placed.file))

        def change(connection: duckdb.DuckDBPyConnection) -> Pointer:
            before = self._held(connection, table, pointer.partition)
            if before is not None and (before.data_version, before.shape) == (pointer.data_version, pointer.shape):
                kept = replace(pointer, file=before.file)
                _point(connection, [kept], self._data)
                return kept
            _replace_rows(connection, table, [placed], self._data, [placed.file] if pointer.rows else [])
            return placed

        told: dict[str, Json] = {"run_id": pointer.run_id, "table": table.name, "partition": dict(pointer.partition)}
        title = f"{table.name} {'/'.join(pointer.partition.values())}"
        landed, snapshot = self._lake.commit(change, title, told)
        if landed.file != placed.file:
            Path(placed.file).unlink()
        with self._lock:
            if snapshot == self._seen + 1:  # nobody else's commit lies between what was read and this one
                self._pointers[table.name, partition_id(pointer.partition)] = landed
                self._seen = snapshot
        return landed

    def adopt(self, table: Table, pointers: Sequence[Pointer]) -> None:
        self.prepare((table,))
        placed = [replace(pointer, file=str(self._place(pointer))) for pointer in pointers]
        for theirs, ours in zip(pointers, placed, strict=True):
            hand_over(Path(theirs.file), Path(ours.file))
        sync(self._data / table.name)
        files = [self._as_declared(table, pointer) for pointer in placed if pointer.rows]

        def change(connection: duckdb.DuckDBPyConnection) -> None:
            _replace_rows(connection, table, placed, self._data, files)

        self._lake.commit(change, f"{table.name}: brought over", {"table": table.name, "brought_over": len(placed)})

    def drop(self, table: Table, partition: Mapping[str, str]) -> bool:
        if self.load(table, partition) is None:
            return False

        def forget(connection: duckdb.DuckDBPyConnection) -> None:
            _delete_rows(connection, table, partition)
            connection.execute(_FORGET, [table.name, partition_id(partition)])

        self._lake.commit(forget, f"{table.name}: dropped", {"table": table.name, "partition": dict(partition)})
        return True

    def contents(self, tables: Sequence[Table]) -> tuple[Landed, str]:
        snapshot, pointers = self._now()
        return _by_table(tables, pointers), self._name(snapshot)

    def past(self, tables: Sequence[Table], run_id: str) -> tuple[Landed, str]:
        snapshot = self._last_of(run_id)
        return _by_table(tables, self._read(snapshot)), self._name(snapshot)

    def state(self) -> str | None:
        return self._name(self._lake.snapshot())

    def collect(self, grace_s: float) -> None:
        """Nothing: earlier snapshots are history, which only a person expires."""

    def _now(self) -> tuple[int, Mapping[Key, Pointer]]:
        """The newest commit and its pointers, which are read again only when there is a newer one."""
        with self._lock:
            self.prepare(())
            snapshot = self._lake.snapshot()
            if snapshot != self._seen:
                self._pointers, self._seen = self._read(snapshot), snapshot
            return self._seen, self._pointers

    def _read(self, snapshot: int) -> dict[Key, Pointer]:
        found = self._lake.rows(
            f"SELECT table_name, partition_id, pointer, file FROM lake._catalog.pointers AT (VERSION => {snapshot})"
        )
        return {
            (str(table), str(partition)): replace(
                decode(str(pointer), f"{self._data}: {table} {partition}"), file=str(self._data / str(file))
            )
            for table, partition, pointer, file in found
        }

    def _held(
        self, connection: duckdb.DuckDBPyConnection, table: Table, partition: Mapping[str, str]
    ) -> Pointer | None:
        """What a partition holds in the transaction that goes on."""
        key = [table.name, partition_id(partition)]
        which = "WHERE table_name = $1 AND partition_id = $2"
        found = connection.execute(f"SELECT pointer, file FROM lake._catalog.pointers {which}", key).fetchone()
        return replace(decode(found[0], table.name), file=str(self._data / found[1])) if found else None

    def _last_of(self, run_id: str) -> int:
        """The last commit of the run whose id begins so."""
        found = self._lake.rows(
            """SELECT commit_extra_info ->> 'run_id' AS run, max(snapshot_id), max(snapshot_time)::VARCHAR
            FROM lake.snapshots() WHERE commit_extra_info ->> 'run_id' IS NOT NULL GROUP BY run ORDER BY 2 DESC"""
        )
        matching = [row for row in found if run_id and str(row[0]).startswith(run_id)]
        if len(matching) != 1:
            newest = ", ".join(f"{run} ({at})" for run, _, at in found[:3]) or "none yet"
            raise InputError(
                "several runs begin so" if matching else "no run of this id has landed rows in this DuckLake",
                field="as of",
                value=run_id,
                fix=f"name one; the newest are {newest}",
            )
        return int(str(matching[0][1]))

    def _shapes(self) -> dict[str, str]:
        there = self._lake.rows("SELECT 1 FROM duckdb_tables() WHERE database_name = 'lake' AND table_name = 'shapes'")
        found = self._lake.rows("SELECT table_name, shape FROM lake._catalog.shapes") if there else []
        return {str(table): str(shape) for table, shape in found}

    def _undeclared(self, shapes: Mapping[str, str]) -> list[Table]:
        return [table for table in self._tables.values() if shapes.get(table.name) != shape_of(table)]

    def _declare(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Bring the lake's tables up to the declarations. One that was declared otherwise is made anew, with the rows
        that its partitions hold now."""
        connection.execute(_OWN)
        shapes = dict(connection.execute("SELECT table_name, shape FROM lake._catalog.shapes").fetchall())
        for schema in sorted({table.schema for table in self._tables.values()}):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS lake.{identifier(schema)}")
        for table in self._undeclared(shapes):
            place = f"lake.{qualified(table.name)}"
            columns = ", ".join(f"{identifier(column.name)} {column.type}" for column in table.columns)
            connection.execute(f"DROP TABLE IF EXISTS {place}")
            connection.execute(f"CREATE TABLE {place} ({columns})")
            connection.execute(f"COMMENT ON TABLE {place} IS {literal(table.comment)}")
            rows = connection.execute(
                "SELECT pointer, file FROM lake._catalog.pointers WHERE table_name = $1", [table.name]
            ).fetchall()
            held = [replace(decode(pointer, table.name), file=str(self._data / file)) for pointer, file in rows]
            _register(connection, table, [self._as_declared(table, pointer) for pointer in held if pointer.rows])
            connection.execute("DELETE FROM lake._catalog.shapes WHERE table_name = $1", [table.name])
            connection.execute("INSERT INTO lake._catalog.shapes VALUES ($1, $2)", [table.name, shape_of(table)])

    def _name(self, snapshot: int) -> str:
        return f"ducklake {sha256_of(str(self._data))[:8]} {snapshot}"

    def _place(self, pointer: Pointer) -> Path:
        return self._data / pointer.table / f"{pointer.data_version}-{uuid4().hex[:8]}.parquet"

    def _as_declared(self, table: Table, pointer: Pointer) -> str:
        """A file of the partition's rows in the columns that the table has now: its own, or a copy that fits."""
        if pointer.shape == shape_of(table):
            return pointer.file
        copy = Path(pointer.file).with_suffix(f".{shape_of(table)}-{uuid4().hex[:8]}.parquet")
        beside = scratch(self.scratch, ".parquet")
        fitted(table, pl.read_parquet(pointer.file, glob=False, hive_partitioning=False)).write_parquet(beside)
        sync(beside)
        move(beside, copy)
        return str(copy)


def _replace_rows(
    connection: duckdb.DuckDBPyConnection, table: Table, pointers: Sequence[Pointer], data: Path, files: Sequence[str]
) -> None:
    for pointer in pointers:
        _delete_rows(connection, table, pointer.partition)
    _register(connection, table, files)
    _point(connection, pointers, data)


def _delete_rows(connection: duckdb.DuckDBPyConnection, table: Table, partition: Mapping[str, str]) -> None:
    values = partition_values(table, partition)
    which = " AND ".join(f"{identifier(name)} = ${n}" for n, name in enumerate(values, start=1)) or "true"
    connection.execute(f"DELETE FROM lake.{qualified(table.name)} WHERE {which}", list(values.values()))


def _register(connection: duckdb.DuckDBPyConnection, table: Table, files: Sequence[str]) -> None:
    name = literal(table.name.partition(".")[2])
    for file in files:
        connection.execute(
            f"CALL ducklake_add_data_files('lake', {name}, {literal(file)}, schema => {literal(table.schema)})"
        )


def _point(connection: duckdb.DuckDBPyConnection, pointers: Sequence[Pointer], data: Path) -> None:
    for pointer in pointers:
        key = [pointer.table, partition_id(pointer.partition)]
        file = str(Path(pointer.file).relative_to(data))
        connection.execute(_FORGET, key)
        line = pointer.encoded().decode()
        connection.execute("INSERT INTO lake._catalog.pointers VALUES ($1, $2, $3, $4)", [*key, line, file])


def _by_table(tables: Sequence[Table], pointers: Mapping[Key, Pointer]) -> Landed:
    found: dict[str, list[Pointer]] = {table.name: [] for table in tables}
    for (table, _), pointer in sorted(pointers.items()):
        if table in found:
            found[table].append(pointer)
    return found
