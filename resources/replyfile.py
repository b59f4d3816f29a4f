"""The SQLite file that holds replies and ledger: its schema, and how it is opened.

Write-ahead logging lets many processes read while one writes; `synchronous=FULL` makes a commit survive a power cut,
which group commit (resources/writer.py) makes cheap. A file that is no database is never repaired or replaced.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from filelock import FileLock

from resources.errors import InputError

BUSY_SECONDS = 60.0

_TABLES = """
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

_ADDED = {
    "prompt": "BLOB",
    "weights": "BLOB",
    "adapter": "BLOB",
    "steering": "BLOB",
    "seed": "INTEGER",
    "sample": "INTEGER",
}
"""Columns of `ledger` that files of earlier versions lack; rows from then have NULL there."""


def create(path: Path) -> None:
    """Make the file and its tables where they are missing; safe when many processes do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(path.name + ".lock")):
        connection = connect(path)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_TABLES)
            _add_columns(connection)
        except sqlite3.DatabaseError as error:
            raise unreadable(path, error) from error
        finally:
            connection.close()


def _add_columns(connection: sqlite3.Connection) -> None:
    there = {name for _, name, *_ in connection.execute("PRAGMA table_info(ledger)")}
    for name, kind in _ADDED.items():
        if name not in there:
            connection.execute(f"ALTER TABLE ledger ADD COLUMN {name} {kind}")


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for other writers; an `InputError` when the file is no database."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA mmap_size=268435456")
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from error
    return connection


def unreadable(path: Path, error: Exception) -> InputError:
    """The one line that a person gets for a damaged or unusable file."""
    return InputError(
        f"cannot be used as the reply cache ({error})",
        place=path,
        fix="check the disk, restore a copy, or move the file away (its replies would be asked, and paid, again)",
    )
