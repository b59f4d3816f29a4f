"""Group commit: one thread writes replies and their ledger rows, as many in a transaction as have gathered.

A reply is handed on only after its commit, so whatever a caller has seen is on disk. When two processes asked the same
question, the first answer that was committed is the answer of both. When the disk fails, everybody who waits gets the
error; nothing hangs and nothing is dropped silently.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resources import ledger
from resources.errors import InfluenceError
from resources.ledger import LedgerRow
from resources.replies import keep
from resources.replystore import ReplyStore, Transaction, connected

Seam = Callable[[str], None]
"""Called with the name of a place at which a test may stop the process: `before commit`, `after commit`."""

_LARGEST_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Write:
    """Rows to append and, with an address, a reply to store. `done` gets the body that the cache then holds."""

    rows: tuple[LedgerRow, ...]
    address: bytes = b""
    body: str = ""
    done: asyncio.Future[str] | None = None


class GroupWriter:
    """The one writing thread of one open cache. `on_spent` gets the scope's spending after each commit."""

    def __init__(
        self,
        store: ReplyStore,
        *,
        session: int,
        scope: str,
        on_spent: Callable[[float], None],
        on_seam: Seam | None = None,
    ) -> None:
        self._store, self._session, self._scope = store, session, scope
        self._connection = store.connect()  # here, so that an unusable store is heard of
        self._on_spent, self._on_seam = on_spent, on_seam or (lambda _: None)
        self._queue: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="reply-writer", daemon=True)
        self._thread.start()

    def put(self, address: bytes, body: str, row: LedgerRow) -> asyncio.Future[str]:
        """Store a reply with its ledger row; the future resolves, after the commit, to the stored body."""
        done: asyncio.Future[str] = self._loop.create_future()
        self._queue.put(Write((row,), address, body, done))
        return done

    def note(self, rows: Sequence[LedgerRow]) -> None:
        """Append ledger rows with the next commit; nobody waits for them."""
        self._queue.put(Write(tuple(rows)))

    async def aclose(self) -> None:
        """Commit what is queued and stop; raises when rows that nobody waited for could not be written."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        last = False
        with connected(self._connection):
            while not last:
                batch, last = self._gather()
                if batch:
                    self._commit_and_tell(batch)

    def _gather(self) -> tuple[list[Write], bool]:
        """Wait for one item, then take what else has gathered; the flag says that this is the end."""
        batch: list[Write] = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _LARGEST_BATCH or self._queue.empty():
                return batch, False
            item = self._queue.get()
        return batch, True

    def _commit_and_tell(self, batch: list[Write]) -> None:
        try:
            bodies, spent = self._commit(batch)
        except Exception as error:  # whatever it is, those who wait must hear of it
            failure = error if isinstance(error, InfluenceError) else self._store.broken(error)
            self._failure = self._failure or failure
            self._loop.call_soon_threadsafe(_fail, batch, failure)
        else:
            self._loop.call_soon_threadsafe(self._tell, batch, bodies, spent)

    def _commit(self, batch: list[Write]) -> tuple[dict[bytes, str], float]:
        replies = {write.address: write.body for write in batch if write.address}
        rows = [row for write in batch for row in write.rows]

        def work(transaction: Transaction, again: bool) -> tuple[dict[bytes, str], float]:
            bodies = keep(transaction, replies)
            if not again:
                ledger.add_rows(transaction, self._session, self._scope, rows)
            return bodies, ledger.spent(transaction, self._scope)

        self._on_seam("before commit")
        done = self._connection.transaction(work)
        self._on_seam("after commit")
        return done

    def _tell(self, batch: list[Write], bodies: dict[bytes, str], spent: float) -> None:
        self._on_spent(spent)
        for write in batch:
            if write.done is not None and not write.done.done():
                write.done.set_result(bodies[write.address])


def _fail(batch: list[Write], failure: InfluenceError) -> None:
    for write in batch:
        if write.done is not None and not write.done.done():
            write.done.set_exception(failure)
