"""What a reply store is: replies, sessions, ledger and spending in one database, whichever that is.

Two things implement it: `resources.replyfile` (an SQLite file, for one machine) and `resources.replyserver` (Postgres,
for many). The SQL over these tables is written once, in what SQLite and Postgres have in common, in `resources.replies`
and `resources.ledger`; a parameter is `?`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Protocol, TypeVar

from resources.errors import InfluenceError, InputError

T = TypeVar("T")

TABLES = """
CREATE TABLE IF NOT EXISTS replies (
  address BLOB PRIMARY KEY,  -- sha256 of the request, 32 bytes
  body TEXT NOT NULL,        -- JSON
  crc INTEGER NOT NULL       -- crc32 of address and body: a row that does not match it is no row
);
CREATE TABLE IF NOT EXISTS sessions (
  id INTEGER PRIMARY KEY,
  run_id BLOB NOT NULL, asset BLOB NOT NULL, partition BLOB NOT NULL, scope BLOB NOT NULL,
  UNIQUE (run_id, asset, partition, scope)
);
CREATE TABLE IF NOT EXISTS ledger (
  id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions (id), request_id BLOB NOT NULL,
  provider TEXT NOT NULL, model BLOB NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
  input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cost REAL NOT NULL, latency_s REAL NOT NULL, cached INTEGER NOT NULL, status TEXT NOT NULL,
  retries INTEGER NOT NULL, at REAL NOT NULL,
  prompt BLOB, weights BLOB, adapter BLOB, steering BLOB,  -- sha256 each; empty where there is none
  seed INTEGER, sample INTEGER
);
CREATE INDEX IF NOT EXISTS ledger_by_session ON ledger (session);
CREATE TABLE IF NOT EXISTS spending (scope BLOB PRIMARY KEY, cost REAL NOT NULL);
"""
"""In SQLite's words; `resources.replyserver` translates the types."""


class Reader(Protocol):
    """Runs single statements."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of one statement, none where it yields none. Raises `InputError` when the store fails."""
        ...


class Transaction(Reader, Protocol):
    """A transaction that is open."""

    def insert(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        """Run an `INSERT ... VALUES (?, ...)` for every row; how many rows it has added."""
        ...


class Connection(Reader, Protocol):
    """One open connection in autocommit mode, used by one thread at a time."""

    def transaction(self, work: Callable[[Transaction, bool], T]) -> T:
        """Run `work` in a transaction of its own, which is on disk when this returns. Raises `InputError`.

        `work` may be called again where the database went away. Its second argument then says whether an earlier try
        was committed after all, though nobody heard of it: what is not to be added twice must not be added again.
        """
        ...

    def close(self) -> None:
        """Close it; never raises."""
        ...


class ReplyStore(Protocol):
    """Where a project's replies lie."""

    far: ClassVar[bool]
    """Whether a query goes over a network, and may take its time."""

    def create(self) -> None:
        """Make the tables where they are missing; safe when many processes do so at once. Raises `InputError`."""
        ...

    def connect(self) -> Connection:
        """A connection to tables that are there."""
        ...

    def reader(self) -> Connection:
        """A connection for reading, or `NOTHING` where no table was ever made. Makes nothing."""
        ...

    def alone(self) -> AbstractContextManager[object]:
        """Within this block no other process makes tables or brings replies over."""
        ...

    def broken(self, error: Exception) -> InputError:
        """The one line that a person gets when the store cannot be used."""
        ...


@contextmanager
def connected(connection: Connection) -> Iterator[Connection]:
    """Closes it at the end of the block."""
    try:
        yield connection
    finally:
        connection.close()


class _Nothing:
    """A store in which nothing was ever kept: every query finds nothing."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        del sql, parameters
        return []

    def transaction(self, work: Callable[[Transaction, bool], T]) -> T:
        del work
        raise InfluenceError("a reply store was written to before its tables were made")

    def close(self) -> None:
        pass


NOTHING: Connection = _Nothing()
