"""The reply cache: every answer that was paid for, under the sha256 of the question.

Looking up is reading: a row that is torn (its checksum or its JSON does not fit) is a miss, and is asked again and
replaced. Storing goes through the group writer. Several processes may have the same store open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from resources import ledger
from resources.budget import Budget
from resources.ledger import LedgerRow
from resources.replies import lookup
from resources.replystore import ReplyStore, connected
from resources.writer import GroupWriter, Seam

_NOTES = 1_000


class ReplyCache:
    """One open cache, for one materialization. Made by `ReplyCache.open`, used from one event loop."""

    def __init__(self, store: ReplyStore, *, session: int, scope: str, budget: Budget, on_seam: Seam | None) -> None:
        self._reader = store.connect()
        self._looking = ThreadPoolExecutor(1, "reply-reader") if store.far else None
        self._writer = GroupWriter(store, session=session, scope=scope, on_spent=budget.refresh, on_seam=on_seam)
        self._notes: list[LedgerRow] = []

    @classmethod
    def open(
        cls,
        store: ReplyStore,
        *,
        run_id: str,
        asset: str,
        partition: str,
        scope: str,
        budget_usd: float | None,
        on_seam: Seam | None = None,
    ) -> tuple[ReplyCache, Budget]:
        """The cache and the budget whose spending it keeps; an `InputError` when the store cannot be used."""
        store.create()
        with connected(store.connect()) as connection:
            session = ledger.open_session(connection, run_id=run_id, asset=asset, partition=partition, scope=scope)
            budget = Budget(budget_usd, spent=ledger.spent(connection, scope), scope=scope)
        return cls(store, session=session, scope=scope, budget=budget, on_seam=on_seam), budget

    def get(self, address: str) -> str | None:
        """The stored body of one address, or None."""
        return self.get_many((address,)).get(address)

    def get_many(self, addresses: Sequence[str]) -> dict[str, str]:
        """The stored bodies of those addresses that are there."""
        return lookup(self._reader, addresses)

    async def find(self, addresses: Sequence[str]) -> dict[str, str]:
        """`get_many` for the event loop, which is not kept waiting for a server: replies that are under way would come
        too late."""
        if self._looking is None:
            return self.get_many(addresses)
        return await asyncio.get_running_loop().run_in_executor(self._looking, self.get_many, addresses)

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
        """Write what was noted, stop the writer, close the store."""
        self._flush()
        try:
            await self._writer.aclose()
        finally:
            if self._looking is not None:
                self._looking.shutdown(wait=True, cancel_futures=True)
            self._reader.close()
