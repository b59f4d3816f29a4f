"""The reply store of one machine: an SQLite file.

Write-ahead logging lets many processes read while one writes; `synchronous=FULL` makes a commit survive a power cut,
which group commit (resources/writer.py) makes cheap. A file that is no database is never repaired or replaced.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from filelock import FileLock

from resources.errors import InputError
from resources.replystore import NOTHING, TABLES, Connection, Transaction

T = TypeVar("T")

BUSY_SECONDS = 60.0

_ADDED = {
    "prompt": "BLOB",
    "weights": "BLOB",
    "adapter": "BLOB",
    "steering": "BLOB",
    "seed": "INTEGER",
    "sample": "INTEGER",
}
"""Columns of `ledger` that files of earlier versions lack; rows from then have NULL there."""


@dataclass(frozen=True)
class ReplyFile:
    """A `resources.replystore.ReplyStore` in one file, which must lie on a disk of this machine."""

    far: ClassVar[bool] = False
    path: Path

    def create(self) -> None:
        with self.alone():
            connection = _opened(self.path)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(TABLES)
                _add_columns(connection)
            except sqlite3.DatabaseError as error:
                raise self.broken(error) from error
            finally:
                connection.close()

    def connect(self) -> Connection:
        return _FileConnection(self, _opened(self.path))

    def reader(self) -> Connection:
        return self.connect() if self.path.exists() else NOTHING

    def alone(self) -> FileLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_name(self.path.name + ".lock"))

    def broken(self, error: Exception) -> InputError:
        return InputError(
            f"cannot be used as the reply cache ({error})",
            place=self.path,
            fix="check the disk, restore a copy, or move the file away (its replies would be asked, and paid, again)",
        )


class _FileConnection:
    """Is its own transaction: SQLite has one writer at a time."""

    def __init__(self, store: ReplyFile, connection: sqlite3.Connection) -> None:
        self._store, self._connection = store, connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._store.broken(error) from error

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        before = self._connection.total_changes
        try:
            self._connection.executemany(sql, rows)
        except sqlite3.DatabaseError as error:
            raise self._store.broken(error) from error
        return self._connection.total_changes - before

    def transaction(self, work: Callable[[Transaction, bool], T]) -> T:
        try:
            self.rows("BEGIN IMMEDIATE")
            result = work(self, False)
            self.rows("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        return result

    def close(self) -> None:
        self._connection.close()


def _opened(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for other writers; an `InputError` when the file is no database."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA mmap_size=268435456")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise ReplyFile(path).broken(error) from error
    return connection


def _add_columns(connection: sqlite3.Connection) -> None:
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(ledger)")}
    for name, kind in _ADDED.items():
        if name not in there:
            connection.execute(f"ALTER TABLE ledger ADD COLUMN {name} {kind}")
