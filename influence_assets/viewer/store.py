"""What the pages read: the published tables, one fresh, read-only, locked-down connection for each question.

The catalogue is replaced whole while runs write, so a connection that stays open shows yesterday. Answers are kept per
publication: as long as nothing new was published, the same question is not asked twice.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import polars as pl

from resources.errors import InfluenceError
from resources.warehouse import Warehouse

QUERIES = Path(__file__).with_name("sql")
TIMEOUT_S = 20.0
MAX_ROWS = 10_000
_KEPT_ANSWERS = 128

Value = str | int | float | None


@dataclass(frozen=True)
class Answer:
    """Rows of a query that a person wrote; `cut` says that there were more than `MAX_ROWS`."""

    rows: pl.DataFrame
    cut: bool
    seconds: float


class Store:
    """The published tables of one project."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._kept = lru_cache(maxsize=_KEPT_ANSWERS)(self._read)

    def stamp(self) -> str:
        """Names the publication that is there now; publishes first where there is none, or rows came from elsewhere."""
        self._warehouse.refresh()
        stat = os.stat(self._warehouse.catalogue)
        return f"{stat.st_ino}-{stat.st_mtime_ns}"

    def rows(self, name: str, **parameters: Value) -> pl.DataFrame:
        """Rows of `sql/<name>.sql` with these parameters."""
        return self._kept(self.stamp(), name, tuple(sorted(parameters.items())))

    def landed(self) -> dict[str, int]:
        """How many rows every declared table has."""
        return dict(self.rows("landed").select("table_name", "rows").iter_rows())

    def has(self, *tables: str) -> bool:
        """Whether all these tables exist and hold rows."""
        landed = self.landed()
        return all(landed.get(table, 0) > 0 for table in tables)

    def ask(self, sql: str) -> Answer:
        """A query that a person wrote. Raises `InfluenceError` for whatever is wrong with it."""
        started = time.monotonic()
        try:
            rows = self._warehouse.query(sql, timeout_s=TIMEOUT_S, max_rows=MAX_ROWS + 1)
        except duckdb.Error as error:
            raise InfluenceError(str(error)) from None
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            hint = "give each column a name of its own, and cast intervals and other odd types, as in x::VARCHAR"
            raise InfluenceError(f"the rows cannot be shown ({str(error).splitlines()[0]}); {hint}") from None
        return Answer(rows.head(MAX_ROWS), rows.height > MAX_ROWS, time.monotonic() - started)

    def _read(self, _stamp: str, name: str, parameters: tuple[tuple[str, Value], ...]) -> pl.DataFrame:
        sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
        return self._warehouse.query(sql, dict(parameters), timeout_s=TIMEOUT_S)
