"""One DuckLake with its catalogue in Postgres: attaching it, reading it, and committing to it one at a time.

DuckLake lets writers collide and retries them; with several at once on one table most commits are tries that failed. So
whoever commits here first waits for its turn at an advisory lock of the same Postgres, which dies with its holder's
connection. What then still fails because of others (a compaction, a restarted server) is tried again as a whole.
Extensions come as Python packages of the same version as DuckDB; nothing is fetched when the code runs.
"""

from __future__ import annotations

import importlib.util
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import duckdb

from resources.content import Json, canonical
from resources.errors import InputError, WarehouseError, one_line
from resources.postgres import hidden
from resources.sql import literal

T = TypeVar("T")

EXTENSIONS = ("ducklake", "postgres_scanner")
TRIES = 8
_PAUSE_S = 0.05
_CONNECT_S = 10
_TURN = 0x696E666C
"""The number of the advisory lock; such locks are told apart by database."""
_FROM_OTHERS = (duckdb.TransactionException, duckdb.IOException, duckdb.ConnectionException)
"""What DuckDB raises for a commit that collided, and for a Postgres that went away."""


@dataclass(frozen=True)
class Address:
    """Where a DuckLake is. `catalogue` is a libpq connection string or URI, which may hold a password and is therefore
    shown nowhere; `data` is the folder of its files, the same path on every machine."""

    catalogue: str = field(repr=False)
    data: Path

    def hidden(self, text: str) -> str:
        """A message without the connection string and the password in it."""
        return hidden(text, self.catalogue)


class Lake:
    """An attached DuckLake, named `lake` in the SQL that it is given. Attached at first use; threads take turns."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._known = False  # whether it has ever answered: then it will again

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """The rows of one query on what is committed now."""
        return self._insisting(lambda connection: connection.execute(sql, list(parameters)).fetchall())

    def snapshot(self) -> int:
        """The number of the newest commit."""
        return int(str(self.rows("SELECT id FROM lake.current_snapshot()")[0][0]))

    def commit(self, change: Callable[[duckdb.DuckDBPyConnection], T], message: str, extra: Json) -> tuple[T, int]:
        """Run `change` in one transaction; returns its result and the number of the newest commit, which is this one
        unless somebody commits past us. `change` may be called several times.

        `message` and `extra` stay with the commit. Raises `WarehouseError`.
        """

        def whole(connection: duckdb.DuckDBPyConnection) -> tuple[T, int]:
            connection.execute("BEGIN")
            try:
                result = change(connection)
                said = f"{literal(message)}, extra_info => {literal(canonical(extra).decode())}"
                connection.execute(f"CALL lake.set_commit_message('influence-assets', {said})")
                connection.execute("COMMIT")
            except BaseException:
                self.close()  # with the transaction, whatever state it is in
                raise
            return result, int(connection.execute("SELECT id FROM lake.current_snapshot()").fetchall()[0][0])

        return self._insisting(whole, alone=True)

    def close(self) -> None:
        """Detach; the next use attaches again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _insisting(self, work: Callable[[duckdb.DuckDBPyConnection], T], *, alone: bool = False) -> T:
        """Do it, again with a new connection where what failed may be the doing of others."""
        import psycopg2

        for tried in range(1, TRIES + 1):
            try:
                with self._lock:
                    connection = self._attached()
                    with self._turn() if alone else nullcontext():
                        return work(connection)
            except (duckdb.Error, psycopg2.Error) as error:
                known = self._known
                self.close()
                if isinstance(error, psycopg2.OperationalError) and not known:
                    raise self._unanswered(error) from None
                if tried == TRIES or not isinstance(error, (*_FROM_OTHERS, psycopg2.Error)):
                    told = one_line(self._address.hidden(str(error)), 400)
                    raise WarehouseError(f"DuckLake in {self._address.data}: {told}") from None
            time.sleep(_PAUSE_S * 2**tried * random.random())
        raise AssertionError("unreachable")

    def _attached(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            connection = duckdb.connect()
            try:
                for name in EXTENSIONS:
                    connection.execute(f"LOAD {literal(str(extension(name)))}")
                connection.execute("SET TimeZone = 'UTC'")
                self._address.data.mkdir(parents=True, exist_ok=True)
                source = literal(f"ducklake:postgres:{self._address.catalogue}")
                with self._turn():  # the first to attach makes the catalogue's tables
                    connection.execute(f"ATTACH {source} AS lake (DATA_PATH {literal(f'{self._address.data}/')})")
            except BaseException:
                connection.close()
                raise
            self._connection, self._known = connection, True
        return self._connection

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Within this block no other commit of this project goes on, on any machine."""
        import psycopg2

        connection = psycopg2.connect(self._address.catalogue, connect_timeout=_CONNECT_S)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", (_TURN,))
            yield
        finally:
            connection.close()  # gives the turn back, as its holder's death would

    def _unanswered(self, error: Exception) -> InputError:
        return InputError(
            f"Postgres does not answer: {one_line(self._address.hidden(str(error).strip()), 200)}",
            place="data/study.yaml",
            field="storage.catalogue",
            fix="start it, or mend the connection string",
        )


def extension(name: str) -> Path:
    """The file of a DuckDB extension that was installed as a Python package; an `InputError` when it was not."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or () for path in Path(place).rglob(f"v{duckdb.__version__}/*.duckdb_extension")]
    if not found:
        package = f"duckdb-extension-{name.replace('_', '-')}"
        raise InputError(
            f"DuckLake needs the extension {name} for DuckDB {duckdb.__version__}",
            place="data/study.yaml",
            field="storage.home",
            value="ducklake",
            fix=f"pip install -c constraints.txt {package}, or '.[cluster]' for all that many machines need",
        )
    return found[0]
