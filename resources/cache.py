"""The reply cache: every answer that was paid for, under the sha256 of the question.

Looking up is reading: a row that is torn (its checksum or its JSON does not fit) is a miss, and is asked again and
replaced. Storing goes through the group writer. Several processes may have the same file open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from resources import ledger
from resources.budget import Budget
from resources.ledger import LedgerRow
from resources.replyfile import connect, create, unreadable
from resources.writer import GroupWriter, Seam, checksum

_CHUNK = 500
_NOTES = 1_000


def lookup(connection: sqlite3.Connection, addresses: Sequence[str]) -> dict[str, str]:
    """Stored bodies (JSON text) of those addresses (64 hex digits) that are there and whole."""
    found: dict[str, str] = {}
    keys = iter(addresses)
    while chunk := [bytes.fromhex(key) for key in islice(keys, _CHUNK)]:
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(f"SELECT address, body, crc FROM replies WHERE address IN ({marks})", chunk)
        for address, body, crc in rows:
            if isinstance(body, str) and _whole(address, body, crc):
                found[address.hex()] = body
    return found


def _whole(address: bytes, body: str, crc: int) -> bool:
    try:
        return checksum(address, body) == crc
    except UnicodeEncodeError:
        return False


class ReplyCache:
    """One open cache file, for one materialization. Made by `ReplyCache.open`, used from one event loop."""

    def __init__(self, path: Path, *, session: int, scope: str, budget: Budget, on_seam: Seam | None) -> None:
        self._path = path
        self._reader = connect(path)
        self._writer = GroupWriter(path, session=session, scope=scope, on_spent=budget.refresh, on_seam=on_seam)
        self._notes: list[LedgerRow] = []

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        run_id: str,
        asset: str,
        partition: str,
        scope: str,
        budget_usd: float | None,
        on_seam: Seam | None = None,
    ) -> tuple[ReplyCache, Budget]:
        """The cache and the budget whose spending it keeps; an `InputError` when the file cannot be used."""
        create(path)
        connection = connect(path)
        try:
            session = ledger.open_session(connection, run_id=run_id, asset=asset, partition=partition, scope=scope)
            budget = Budget(budget_usd, spent=ledger.spent(connection, scope), scope=scope)
        except sqlite3.DatabaseError as error:
            raise unreadable(path, error) from error
        finally:
            connection.close()
        return cls(path, session=session, scope=scope, budget=budget, on_seam=on_seam), budget

    def get(self, address: str) -> str | None:
        """The stored body of one address, or None."""
        return self.get_many((address,)).get(address)

    def get_many(self, addresses: Sequence[str]) -> dict[str, str]:
        """The stored bodies of those addresses that are there."""
        try:
            return lookup(self._reader, addresses)
        except sqlite3.DatabaseError as error:
            raise unreadable(self._path, error) from error

    async def put(self, address: str, body: str, row: LedgerRow) -> str:
        """Store a reply with its ledger row and wait for the commit. Returns the body that the cache then holds:
        another process may have been first."""
        return await self._writer.put(bytes.fromhex(address), body, row)

    def note(self, rows: Iterable[LedgerRow]) -> None:
        """Ledger rows that nobody waits for (answers from the cache, give-ups); written in groups."""
        self._notes.extend(rows)
        if len(self._notes) >= _NOTES:
            self._flush()

    def _flush(self) -> None:
        if self._notes:
            self._writer.note(self._notes)
            self._notes = []

    async def aclose(self) -> None:
        """Write what was noted, stop the writer, close the file."""
        self._flush()
        try:
            await self._writer.aclose()
        finally:
            self._reader.close()
