"""Queries by people and pages: one SELECT on the published catalogue, with nothing else in reach.

What holds it in, from the outside: the database is open for reading only; only the published Parquet files may be
opened (`allowed_paths`), nothing else on disk or network (`enable_external_access=false`); Python variables are out of
sight; no setting can be changed (`lock_configuration`); and only statements that select are run, because DuckDB lets a
COPY write to a path that it may read.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl

from resources.errors import WarehouseError
from resources.sql import identifier, literal, literals, pattern

_BATCH_ROWS = 10_000
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(ANALYZE\s+)?", re.IGNORECASE)


def locked(catalogue: Path, spill: Path) -> duckdb.DuckDBPyConnection:
    """A connection to a published catalogue that can read its tables and nothing else.

    Each is a DuckDB of its own with the catalogue attached. Opened by its path, two at once in a process would be one
    database: the second could not be locked, and would show what was published when the first was opened.
    """
    connection = duckdb.connect()
    try:
        name = identifier(catalogue.stem)
        connection.execute(f"ATTACH {literal(str(catalogue))} AS {name} (READ_ONLY)")
        connection.execute(f"USE {name}")
        paths = [path for (path,) in connection.execute("SELECT path FROM _catalog.files").fetchall()]
        for setting in (
            # DuckDB asks first for what a view names, and then for the file that this finds.
            f"allowed_paths = {literals({*paths, *map(pattern, paths)})}",
            f"temp_directory = {literal(str(spill))}",
            "python_enable_replacements = false",
            "autoinstall_known_extensions = false",
            "autoload_known_extensions = false",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
    except BaseException:
        connection.close()
        raise
    return connection


def run_select(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Mapping[str, object],
    timeout_s: float | None,
    max_rows: int | None = None,
) -> pl.DataFrame:
    """One SELECT's rows, at most the first `max_rows`.

    Raises `WarehouseError` for any other statement, `duckdb.Error` for what DuckDB refuses.
    """
    refuse_others(connection, sql)
    stopped = threading.Event()

    def stop() -> None:
        stopped.set()
        connection.interrupt()

    timer = threading.Timer(timeout_s, stop) if timeout_s is not None else None
    try:
        if timer:
            timer.start()
        answer = connection.execute(sql, dict(parameters) or None)
        return answer.pl() if max_rows is None else _first_rows(answer, max_rows)
    except duckdb.InterruptException:
        if stopped.is_set():
            raise WarehouseError(f"the query took longer than {timeout_s:g} s and was stopped") from None
        raise
    finally:
        if timer:
            timer.cancel()


def _first_rows(answer: duckdb.DuckDBPyConnection, n: int) -> pl.DataFrame:
    """The first rows of a result, without computing or holding the others."""
    batches = answer.to_arrow_reader(min(n, _BATCH_ROWS))
    taken = [pl.DataFrame(batches.schema.empty_table())]
    for batch in batches:
        taken.append(pl.DataFrame(batch))
        if sum(frame.height for frame in taken) >= n:
            break
    return pl.concat(taken).head(n)


def refuse_others(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise `WarehouseError` unless the text is one statement that only reads."""
    statements = connection.extract_statements(sql)
    if len(statements) == 1 and statements[0].type == duckdb.StatementType.EXPLAIN:
        explained = _EXPLAIN.sub("", statements[0].query, count=1)
        statements = connection.extract_statements(explained)
    # PIVOT becomes two statements without text of their own: a temporary type, and the SELECT.
    kinds = [s.type for s in statements if not (s.type == duckdb.StatementType.CREATE and not s.query)]
    if kinds != [duckdb.StatementType.SELECT]:
        found = ", ".join(kind.name for kind in kinds) or "nothing"
        raise WarehouseError(f"only one SELECT at a time can be run here, this is {found}")
