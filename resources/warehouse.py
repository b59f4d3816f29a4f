"""Rows on disk: many processes write, many read, none waits, and a partition is there whole or not at all.

- A partition's rows are one immutable Parquet file. The hash of its content is the data version.
- A pointer says which file a partition has now. Where files and pointers lie, a home says: a folder (resources/home.py)
  or a DuckLake that many machines share (resources/lake_home.py).
- `publish` builds a DuckDB file of views over the exact current files and renames it into place. A client that holds
  the old one keeps reading the old files, which go after a grace period.
A process may be killed at any moment; what it had not finished is not seen and is removed later.

Names on disk are hashes and declared table names, so a partition key may hold anything that has a UTF-8 form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import polars as pl

from resources import lockdown
from resources.durable import scratch
from resources.errors import WarehouseError, one_line
from resources.export import Format, export_tables
from resources.frames import conform, fitted, partition_values, schema_of, typed_frame
from resources.home import FilesHome, Home
from resources.parquet import write_hashed
from resources.pointers import Pointer, Provenance, shape_of
from resources.publication import Publisher
from resources.retention import SPILL
from resources.tables import Table

__all__ = ["SEAMS", "Landed", "Pointer", "Provenance", "Warehouse"]

SEAMS = ("mid_write", "before_rename", "after_rename", "after_pointer", "mid_publish", "before_publish_rename")
"""Where a kill is tested. `Warehouse(on_seam=...)` is called with the name as each is passed."""

GRACE_S = 3600.0
"""Superseded files stay this long for clients that hold an old catalogue open."""

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Landed:
    """What a write did. `changed` says whether the partition's rows differ from those before."""

    table: str
    partition: Mapping[str, str]
    rows: int
    data_version: str
    path: Path
    changed: bool


class Warehouse:
    """The tables of one project. `root` is its data folder; `macros` are SQL files run in each published catalogue.

    `home` is where the rows lie, files below `root` when absent. `guard` is called before anything is written, and
    raises where nothing may be.
    """

    def __init__(
        self,
        root: Path,
        tables: Sequence[Table],
        macros: Sequence[Path] = (),
        *,
        home: Home | None = None,
        guard: Callable[[], None] = lambda: None,
        grace_s: float = GRACE_S,
        on_seam: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.root = Path(root).absolute()
        self._tables = {table.name: table for table in tables}
        self._on_seam, self._guard = on_seam, guard
        if "?" in str(self.root):
            raise WarehouseError(f"{self.root}: DuckDB takes a ? in a path for the start of a query; rename the folder")
        _check_declarations(tables)
        self._folder = self.root / "warehouse"
        self._home = home or FilesHome(self._folder, on_seam)
        self._publisher = Publisher(self.root, self._folder, tuple(tables), tuple(macros), self._home, grace_s, on_seam)

    @property
    def catalogue(self) -> Path:
        """The published DuckDB file."""
        return self._publisher.catalogue

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(self._tables.values())

    def frame(self, table: str | Table, rows: Iterable[Mapping[str, object]]) -> pl.DataFrame:
        """Rows given as mappings, typed as the table; absent columns are null. Raises `WarehouseError`."""
        return typed_frame(self._table(table), rows)

    def write(
        self, table: str | Table, partition: Mapping[str, str], frame: pl.DataFrame, provenance: Provenance
    ) -> Landed:
        """Replace a partition's rows. They are durable when this returns, and readers see them after `publish`.

        Column order and row order do not matter. Raises `WarehouseError` when a column is missing, unknown or of
        another type, when a row belongs to another partition, or when a key stands twice.
        """
        declared = self._table(table)
        rows = conform(declared, partition, frame)
        self._guard()
        self._home.prepare((declared,))
        before = self._home.load(declared, partition)
        beside = scratch(self._home.scratch, ".parquet")
        version = write_hashed(rows, beside, lambda: self._on_seam("mid_write"))
        pointer = Pointer(
            table=declared.name,
            partition=dict(partition),
            data_version=version,
            rows=rows.height,
            shape=shape_of(declared),
            provenance=provenance,
        )
        path = Path(self._home.land(declared, pointer, beside).file)
        changed = before is None or before.data_version != version
        return Landed(declared.name, dict(partition), rows.height, version, path, changed)

    def read(self, table: str | Table, partition: Mapping[str, str] | None = None) -> pl.DataFrame:
        """The rows of all partitions that agree with `partition`, from the current files; typed when there are none.

        Partitions come in the order of their values, rows in the order of the key.
        """
        declared = self._table(table)
        found = self._matching(declared, partition or {})
        try:
            return self._read_files(declared, found)
        except FileNotFoundError:
            # Superseded and collected since the pointers were read: they point elsewhere now.
            again = self._matching(declared, partition or {})
            try:
                return self._read_files(declared, again)
            except FileNotFoundError as error:
                raise WarehouseError(f"{declared.name}: a file is gone, materialize it again ({error})") from error

    def pointer(self, table: str | Table, partition: Mapping[str, str]) -> Pointer | None:
        """What a partition holds now and where it came from; None when it never landed."""
        declared = self._table(table)
        partition_values(declared, partition)
        return self._home.load(declared, partition)

    def pointers(self, table: str | Table) -> list[Pointer]:
        """What every landed partition of a table holds now, in no particular order."""
        return self._home.all(self._table(table))

    def partitions(self, table: str | Table) -> list[dict[str, str]]:
        """The partitions that have landed, in the order of their values."""
        declared = self._table(table)
        return [
            {name: pointer.partition[name] for name in declared.partition} for pointer in self._matching(declared, {})
        ]

    def drop(self, table: str | Table, partition: Mapping[str, str]) -> bool:
        """Forget a partition; readers see that after `publish`. False when it never landed."""
        declared = self._table(table)
        partition_values(declared, partition)
        self._guard()
        return self._home.drop(declared, partition)

    def publish(self) -> Path:
        """Bring `influence.duckdb` up to what has landed, and delete what has been superseded for long enough.

        Publications queue for a lock; one that finds that its rows have just been published by another returns at
        once. Open connections keep the catalogue that they opened.
        """
        self._publisher.prepare()
        self._publisher.publish()
        return self.catalogue

    def refresh(self) -> None:
        """Publish where there is no catalogue yet, the folder has moved, or rows have landed from another machine."""
        if not self._publisher.is_current():
            self.publish()

    def query(
        self,
        sql: str,
        parameters: Mapping[str, object] | None = None,
        *,
        timeout_s: float | None = None,
        max_rows: int | None = None,
        as_of: str | None = None,
    ) -> pl.DataFrame:
        """One SELECT on the published catalogue, with nothing else in reach (resources/lockdown.py).

        `as_of` is the id of a run, or how it begins: the tables are then those of the moment when its last rows had
        landed. Raises `WarehouseError` for another kind of statement or a timeout, `duckdb.Error` for what DuckDB
        refuses, `InputError` for a run whose moment is not known.
        """
        if as_of is None:
            self.refresh()
        catalogue = self.catalogue if as_of is None else self._publisher.past(as_of)[1]
        with lockdown.locked(catalogue, self._publisher.scratch / SPILL) as connection:
            return lockdown.run_select(connection, sql, parameters or {}, timeout_s, max_rows)

    def export(
        self, path: Path, form: Format = "duckdb", tables: Sequence[str] | None = None, *, as_of: str | None = None
    ) -> Path:
        """Tables (all when None) in one DuckDB file that needs nothing else, or as a folder of Parquet or CSV files.

        SQL macros go with a file of all tables only, since they read tables. `as_of` is as in `query`.
        """
        if as_of is None:
            self.publish()
            contents, catalogue = self._publisher.contents()[0], self.catalogue
        else:
            contents, catalogue = self._publisher.past(as_of)
        if tables is not None:
            contents = replace(contents, tables=[self._table(name) for name in tables], macros=())
        return export_tables(contents, catalogue, Path(path), form)

    def _table(self, table: str | Table) -> Table:
        name = table if isinstance(table, str) else table.name
        if name not in self._tables:
            raise WarehouseError(f"there is no table {one_line(name)}; declared are {', '.join(self._tables)}")
        return self._tables[name]

    def _matching(self, table: Table, partition: Mapping[str, str]) -> list[Pointer]:
        if unknown := [name for name in partition if name not in table.partition]:
            raise WarehouseError(f"{table.name} is partitioned by {list(table.partition)}, not {one_line(unknown[0])}")
        if set(partition) == set(table.partition):
            partition_values(table, partition)
            only = self._home.load(table, partition)
            return [only] if only else []
        found = [
            pointer
            for pointer in self._home.all(table)
            if all(pointer.partition[name] == value for name, value in partition.items())
        ]
        numbers = {name for name in table.partition if table.column(name).type != "VARCHAR"}
        return sorted(
            found,
            key=lambda pointer: [
                float(pointer.partition[name]) if name in numbers else pointer.partition[name]
                for name in table.partition
            ],
        )

    def _read_files(self, table: Table, pointers: Sequence[Pointer]) -> pl.DataFrame:
        frames = [
            fitted(table, pl.read_parquet(files, glob=False, hive_partitioning=False))
            for _shape, group in groupby((p for p in pointers if p.rows), lambda pointer: pointer.shape)
            if (files := [pointer.file for pointer in group])
        ]
        return pl.concat(frames) if frames else typed_frame(table, [])


def _check_declarations(tables: Sequence[Table]) -> None:
    """Raise `WarehouseError` for a declaration that could not hold what the warehouse promises."""
    names = [table.name for table in tables]
    for table in tables:
        if not _TABLE_NAME.fullmatch(table.name) or names.count(table.name) > 1:
            raise WarehouseError(f"{one_line(table.name)} cannot name a table: it must be schema.table and stand once")
        columns = [column.name.lower() for column in table.columns]
        if twice := [name for name in columns if columns.count(name) > 1]:
            raise WarehouseError(f"{table.name}: the column {twice[0]} stands twice")
        schema = schema_of(table)
        if unknown := [name for name in (*table.key, *table.partition) if name not in schema]:
            raise WarehouseError(f"{table.name}: {unknown[0]} is in its key or partition, but is no column")
        if odd := [name for name in table.partition if schema[name] != pl.String and not schema[name].is_integer()]:
            raise WarehouseError(f"{table.name}: a partition column holds words or whole numbers, {odd[0]} does not")
        if nested := [name for name in table.key or schema if schema[name].is_nested()]:
            raise WarehouseError(f"{table.name}: its rows cannot be put in order by {nested[0]}, a list or a map")
