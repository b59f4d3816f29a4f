"""The published catalogue: one DuckDB file with a typed, commented view for every table, over the exact current files.

Every declared table is there from the first publication, empty where nothing has landed. View columns are the table's,
in its order and types, and then `run_id` and `code_version` where the table does not declare them itself. They come
from `_catalog.files` by a join on the file's name: the files hold content alone, so that equal content has equal bytes.
(The join costs about 20 ms in a million rows; a lookup in a literal map was ten times slower where it was used.)

A table is found as `schema.table`. DuckDB calls a database by its file's stem and refuses a name that is both a
database and a schema in it ("Ambiguous reference"), so in `influence.duckdb` the tables of the schema `influence` lie
in the database's main schema, where `influence.turns` means them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from resources.errors import WarehouseError
from resources.frames import typed_frame
from resources.pointers import Pointer, shape_of
from resources.sql import identifier, literal, literals, pattern, qualified
from resources.tables import Column, Table

STORAGE_VERSION = "v1.5.0"
"""Files stay readable by every DuckDB from this version on."""

LAYOUT = 3
"""Raise it when this module writes the same tables in another way, so that older catalogues are built anew."""

PROVENANCE_COLUMNS = (
    Column("run_id", "VARCHAR", "the Dagster run that landed this row; joins ledger.materializations"),
    Column("code_version", "VARCHAR", "version of the code that made this row"),
)

FILES = Table(
    name="_catalog.files",
    comment="One row per landed partition: which file holds it and where its rows came from.",
    columns=(
        Column("table_name", "VARCHAR", "the table"),
        Column("partition", "MAP(VARCHAR, VARCHAR)", "the partition's columns and values"),
        Column("path", "VARCHAR", "the Parquet file"),
        Column("rows", "BIGINT", "rows in it"),
        Column("data_version", "VARCHAR", "sha256 of the file, which is also its name"),
        Column("run_id", "VARCHAR", "the Dagster run that landed it"),
        Column("code_version", "VARCHAR", "version of the code that made it"),
        Column("inputs", "VARCHAR", "hash of everything that the rows depend on"),
        Column("landed_at", "TIMESTAMP", "when it landed, UTC"),
    ),
    partition=(),
    key=("table_name", "path"),
)

COLUMNS = Table(
    name="_catalog.columns",
    comment="One row per column of every public table: its type and what it holds.",
    columns=(
        Column("table_name", "VARCHAR", "the table"),
        Column("position", "INTEGER", "from 1"),
        Column("column_name", "VARCHAR", "the column"),
        Column("type", "VARCHAR", "its DuckDB type"),
        Column("comment", "VARCHAR", "what it holds, with its unit"),
    ),
    partition=(),
    key=("table_name", "position"),
)

PUBLICATION = Table(
    name="_catalog.publication",
    comment="One row: when this catalogue was published, and from which folder.",
    columns=(
        Column("root", "VARCHAR", "the folder that the views' absolute paths start with"),
        Column("published_at", "TIMESTAMP", "when, UTC"),
        Column("duckdb_version", "VARCHAR", "the DuckDB that wrote it"),
    ),
    partition=(),
    key=("root",),
)


@dataclass(frozen=True)
class Contents:
    """What a catalogue shows: the tables, the SQL files with macros, the landed partitions with their files."""

    root: Path
    tables: Sequence[Table]
    macros: Sequence[Path]
    pointers: Mapping[str, Sequence[Pointer]]


def shown_columns(table: Table) -> tuple[Column, ...]:
    """The columns of a table's view: its own, then the provenance columns that it does not declare."""
    own = {column.name for column in table.columns}
    return (*table.columns, *(column for column in PROVENANCE_COLUMNS if column.name not in own))


def build(
    path: Path, contents: Contents, stem: str, *, copied: bool = False, on_table: Callable[[], None] = lambda: None
) -> None:
    """Write a catalogue to a new file: views over the files, or (`copied`) tables that hold the rows themselves.

    `stem` is that of the name which the file will get. `on_table` is called after each table. Raises `WarehouseError`
    for a macro file that DuckDB refuses.
    """
    with _opened(path, contents, stem, copied=copied) as connection:
        for schema in sorted({"_catalog", *(t.schema for t in contents.tables if t.schema.lower() != stem.lower())}):
            connection.execute(f"CREATE SCHEMA {identifier(schema)}")
        _create(connection, FILES, COLUMNS, PUBLICATION)
        _fill(connection, FILES, _file_rows(contents, contents.tables), path)
        _fill(connection, COLUMNS, _column_rows(contents.tables), path)
        _publish(connection, contents)
        _show(connection, contents, contents.tables, stem, "TABLE" if copied else "VIEW", on_table)
        for macro in contents.macros:
            _run_macro(connection, macro)


def update(
    path: Path, contents: Contents, stem: str, changed: Collection[str], *, on_table: Callable[[], None] = lambda: None
) -> None:
    """Make a copy of an earlier catalogue of views what `build` would write; much faster, since most views stay.

    The earlier one was of the same root, tables and macros, and differed in what had landed in the tables `changed`.
    """
    tables = [table for table in contents.tables if table.name in changed]
    with _opened(path, contents, stem, copied=False) as connection:
        connection.execute(f"DELETE FROM _catalog.files WHERE table_name IN {literals(changed)}")
        _fill(connection, FILES, _file_rows(contents, tables), path)
        _publish(connection, contents)
        _show(connection, contents, tables, stem, "VIEW", on_table)


@contextmanager
def _opened(path: Path, contents: Contents, stem: str, *, copied: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction in the file, which is written whole at its end. Views are cheap to make with one thread; copying
    rows is not."""
    schemas = {table.schema.lower() for table in contents.tables}
    # Macros are bound as they are made, and find the tables of the schema that the file's name stands for by that name.
    name = identifier(stem if stem.lower() in schemas else "catalogue")
    with duckdb.connect() if copied else _workbench() as connection:
        connection.execute(f"ATTACH {literal(str(path))} AS {name} (STORAGE_VERSION {literal(STORAGE_VERSION)})")
        connection.execute(f"USE {name}")
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
        connection.execute("USE memory")
        connection.execute(f"DETACH {name}")


_kept: list[tuple[int, duckdb.DuckDBPyConnection]] = []
_in_use = threading.Lock()


@contextmanager
def _workbench() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with one thread, kept for the next catalogue of this process: making one takes longer than using it.

    One that fails is not used again; a fork makes its own.
    """
    with _in_use:
        pid, connection = _kept.pop() if _kept else (0, None)
        if connection is None or pid != os.getpid():
            connection = duckdb.connect(config={"threads": 1})
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        _kept.append((os.getpid(), connection))


def _show(
    connection: duckdb.DuckDBPyConnection,
    contents: Contents,
    tables: Iterable[Table],
    stem: str,
    kind: str,
    on_table: Callable[[], None],
) -> None:
    for table in tables:
        place = placed(table, stem)
        connection.execute(f"CREATE OR REPLACE {kind} {place} AS {select_rows(contents, table)}")
        connection.execute(_comments(kind, place, table, shown_columns(table)))
        on_table()


def placed(table: Table, stem: str) -> str:
    """Where a table lies in a database whose file has this stem, as SQL."""
    name = table.name.partition(".")[2]
    return qualified(f"main.{name}") if table.schema.lower() == stem.lower() else qualified(table.name)


def select_rows(contents: Contents, table: Table) -> str:
    """The SELECT that a table's view stands for."""
    landed = [pointer for pointer in contents.pointers[table.name] if pointer.rows]
    if not landed:
        columns = ", ".join(f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in shown_columns(table))
        return f"SELECT {columns} WHERE false"
    own = [f"CAST(r.{identifier(c.name)} AS {c.type}) AS {identifier(c.name)}" for c in table.columns]
    added = [f"f.{identifier(c.name)}" for c in shown_columns(table)[len(table.columns) :]]
    paths = literals(pattern(pointer.file) for pointer in landed)
    # Files of an older shape lack columns: those are NULL there.
    older = any(pointer.shape != shape_of(table) for pointer in landed)
    rows = f"read_parquet({paths}, hive_partitioning = false, union_by_name = {str(older).lower()})"
    if older:
        empty = ", ".join(f"CAST(NULL AS {c.type}) AS {identifier(c.name)}" for c in table.columns)
        rows = f"(SELECT {empty}, '' AS filename WHERE false UNION ALL BY NAME SELECT *, filename FROM {rows})"
    join = "LEFT JOIN _catalog.files AS f ON f.path = r.filename" if added else ""
    return f"SELECT {', '.join(own + added)} FROM {rows} AS r {join}"


def _create(connection: duckdb.DuckDBPyConnection, *tables: Table) -> None:
    for table in tables:
        columns = ", ".join(f"{identifier(column.name)} {column.type}" for column in table.columns)
        connection.execute(f"CREATE TABLE {qualified(table.name)} ({columns})")
        connection.execute(_comments("TABLE", qualified(table.name), table, table.columns))


def _fill(
    connection: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Mapping[str, object]], beside: Path
) -> None:
    # Through a file, because handing a frame over in memory imports pyarrow: half a second in every new process.
    handed = beside.with_name(f"{beside.name}.rows")
    try:
        typed_frame(table, rows).write_parquet(handed)
        found = f"read_parquet({literal(pattern(str(handed)))}, hive_partitioning = false)"
        connection.execute(f"INSERT INTO {qualified(table.name)} SELECT * FROM {found}")
    finally:
        handed.unlink(missing_ok=True)


def _publish(connection: duckdb.DuckDBPyConnection, contents: Contents) -> None:
    connection.execute("DELETE FROM _catalog.publication")
    now = datetime.now(UTC).replace(tzinfo=None)
    # As text: to look at a parameter DuckDB imports pandas, most of a second in every new process.
    row = ", ".join(map(literal, (str(contents.root), now.isoformat(sep=" "), duckdb.__version__)))
    connection.execute(f"INSERT INTO _catalog.publication VALUES ({row})")


def _file_rows(contents: Contents, tables: Iterable[Table]) -> list[dict[str, object]]:
    return [
        {
            "table_name": pointer.table,
            "partition": dict(pointer.partition),
            "path": pointer.file,
            "rows": pointer.rows,
            "data_version": pointer.data_version,
            "run_id": pointer.run_id,
            "code_version": pointer.code_version,
            "inputs": pointer.inputs,
            "landed_at": pointer.at,
        }
        for table in tables
        for pointer in contents.pointers[table.name]
    ]


def _column_rows(tables: Sequence[Table]) -> list[dict[str, object]]:
    return [
        {
            "table_name": table.name,
            "position": position,
            "column_name": column.name,
            "type": column.type,
            "comment": column.comment,
        }
        for table in tables
        for position, column in enumerate(shown_columns(table), start=1)
    ]


def _comments(kind: str, place: str, table: Table, columns: Sequence[Column]) -> str:
    lines = [f"COMMENT ON {kind} {place} IS {literal(table.comment)};"]
    lines += [f"COMMENT ON COLUMN {place}.{identifier(c.name)} IS {literal(c.comment)};" for c in columns]
    return "\n".join(lines)


def _run_macro(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    try:
        connection.execute(path.read_text(encoding="utf-8"))
    except (duckdb.Error, OSError, UnicodeDecodeError) as error:
        raise WarehouseError(f"{path}: {error}") from error
