"""Bringing over what one reply store has and another lacks: replies, and the rows of the ledger with their sessions.

Nothing is taken from the store that is read, and what is in both stays as it is in ours. Doing it again, or back, adds
nothing twice: rows of the ledger have no name, so of equal rows ours gets as many as it lacks. Spending is the sum of
the ledger in both stores, so it grows by what the rows cost that came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from resources.ledger import COLUMNS, Values, add_values, session_number
from resources.replies import every, keep, lookup
from resources.replystore import NOTHING, Connection, ReplyStore, Transaction, connected

_BATCH = 5_000
_SESSIONS = "SELECT id, run_id, asset, partition, scope FROM sessions ORDER BY id"


@dataclass(frozen=True)
class Brought:
    """How many replies came, and how many rows of the ledger."""

    replies: int
    requests: int


def bring_over(theirs: ReplyStore, ours: ReplyStore) -> Brought:
    """Give `ours` what it lacks of `theirs`. Raises `InputError` when one of them cannot be used; then do it again."""
    with connected(theirs.reader()) as source:
        if source is NOTHING:
            return Brought(0, 0)
        theirs.create()  # a file of an earlier version gets the columns that it lacks
        ours.create()
        with ours.alone(), connected(ours.connect()) as target:
            return Brought(_replies(source, target), _ledger(source, target))


def _replies(source: Connection, target: Connection) -> int:
    brought = 0
    for bodies in every(source):
        here = lookup(target, [address.hex() for address in bodies])
        lacking = {address: body for address, body in bodies.items() if address.hex() not in here}
        if lacking:
            _keep(target, lacking)
            brought += len(lacking)
    return brought


def _keep(target: Connection, bodies: dict[bytes, str]) -> None:
    target.transaction(lambda transaction, _: keep(transaction, bodies))


def _ledger(source: Connection, target: Connection) -> int:
    brought = 0
    for number, run_id, asset, partition, scope in source.rows(_SESSIONS):
        session = session_number(target, (run_id, asset, partition, scope))
        lacking = _lacking(_rows(source, number), _rows(target, session))
        for start in range(0, len(lacking), _BATCH):
            _append(target, session, scope, lacking[start : start + _BATCH])
        brought += len(lacking)
    return brought


def _lacking(theirs: list[Values], ours: list[Values]) -> list[Values]:
    here, lacking = Counter(ours), []
    for row in theirs:
        if here[row] > 0:
            here[row] -= 1
        else:
            lacking.append(row)
    return lacking


def _append(target: Connection, session: int, scope: bytes, rows: Sequence[Values]) -> None:
    values = [(session, *row) for row in rows]

    def work(transaction: Transaction, again: bool) -> None:
        if not again:
            add_values(transaction, scope, values)

    target.transaction(work)


def _rows(connection: Connection, session: int) -> list[Values]:
    return connection.rows(f"SELECT {COLUMNS} FROM ledger WHERE session = ? ORDER BY id", (session,))
