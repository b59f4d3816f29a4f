"""What every request cost, as rows beside the replies: written in the transaction that stores the reply.

The rows live in the reply store, beside the replies, so that a kill loses neither or both. `rows_for` hands them to the
warehouse, `totals` to the metadata of a materialization, `spent` to the budget. The cost of anything is a `SUM`: a row
that was served from the cache (`cached`) carries neither tokens nor cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import polars as pl

from resources.messages import Role, Status, Usage
from resources.replystore import Reader, ReplyStore, Transaction, connected

Values = tuple[int | float | str | bytes | None, ...]
"""A row of the table `ledger`: the session's number, then the columns of `COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answered exactly: sha256 of the weights, the adapter and the steering, each empty where there is none.

    The weights of an API's model are not known; the request's provider, model and time are all there is.
    """

    weights: str = ""
    adapter: str = ""
    steering: str = ""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One request that was asked, or answered from the cache. `at` is seconds since the epoch, UTC; `prompt` the sha256
    of the messages."""

    request_id: str
    provider: str
    model: str
    role: Role
    kind: str
    usage: Usage
    cost: float
    latency_s: float
    cached: bool
    status: Status
    retries: int
    at: float
    prompt: str = ""
    origin: Origin = Origin()
    seed: int | None = None
    sample: int = 0

    def values(self, session: int) -> Values:
        """The row as it is stored."""
        return (
            session,
            bytes.fromhex(self.request_id),
            self.provider,
            _exact(self.model)[0],
            self.role.value,
            self.kind,
            self.usage.input_tokens,
            self.usage.cached_tokens,
            self.usage.output_tokens,
            self.cost,
            self.latency_s,
            int(self.cached),
            self.status.value,
            self.retries,
            self.at,
            *map(bytes.fromhex, (self.prompt, self.origin.weights, self.origin.adapter, self.origin.steering)),
            self.seed,
            self.sample,
        )


COLUMNS = (
    "request_id, provider, model, role, kind, input_tokens, cached_tokens, output_tokens, cost, latency_s, "
    "cached, status, retries, at, prompt, weights, adapter, steering, seed, sample"
)
_WIDTH = len(COLUMNS.split(","))
_COST = COLUMNS.split(", ").index("cost")
_ADD = f"INSERT INTO ledger (session, {COLUMNS}) VALUES (?{', ?' * _WIDTH})"

_SCHEMA = pl.Schema(
    {
        "request_id": pl.String(),
        "run_id": pl.String(),
        "asset": pl.String(),
        "partition": pl.String(),
        "provider": pl.String(),
        "model": pl.String(),
        "role": pl.String(),
        "kind": pl.String(),
        "input_tokens": pl.Int64(),
        "cached_tokens": pl.Int64(),
        "output_tokens": pl.Int64(),
        "cost": pl.Float64(),
        "latency_s": pl.Float64(),
        "cached": pl.Boolean(),
        "status": pl.String(),
        "retries": pl.Int64(),
        "at": pl.Datetime("us", "UTC"),
        "prompt_sha256": pl.String(),
        "weights_sha256": pl.String(),
        "adapter_sha256": pl.String(),
        "steering_sha256": pl.String(),
        "seed": pl.Int64(),
        "sample": pl.Int64(),
    }
)

_SELECT = f"""
SELECT {", ".join(f"l.{name}" for name in COLUMNS.split(", "))}
FROM ledger l JOIN sessions s ON s.id = l.session
WHERE s.run_id = ? AND s.asset = ? AND s.partition = ? ORDER BY l.id
"""


def rows_for(store: ReplyStore, *, run_id: str, asset: str, partition: str) -> pl.DataFrame:
    """Every request of one materialization in the order in which it was settled; columns as in `ledger.requests`.

    Nothing stored yet means no rows.
    """
    with connected(store.reader()) as connection:
        rows = connection.rows(_SELECT, _exact(run_id, asset, partition))
    raw = dict(_SCHEMA) | {"at": pl.Int64(), "cached": pl.Int64()}
    whose = (run_id, asset, partition)
    frame = pl.DataFrame([_readable(row, whose) for row in rows], schema=raw, orient="row")
    at = pl.col("at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return frame.with_columns(pl.col("cached").cast(pl.Boolean), at)


def _readable(row: tuple[Any, ...], whose: tuple[str, str, str]) -> Values:
    """A row in the order and the types of `_SCHEMA`."""
    request_id, provider, model, *middle, at, prompt, weights, adapter, steering, seed, sample = row
    hashes = (_hex(value) for value in (prompt, weights, adapter, steering))
    return (_hex(request_id), *whose, provider, _name(model), *middle, int(at * 1_000_000), *hashes, seed, sample)


def runs_of(store: ReplyStore, *, asset: str, partition: str) -> list[str]:
    """Every run that asked something for one asset and partition, in the order in which they began."""
    query = "SELECT run_id FROM sessions WHERE asset = ? AND partition = ? ORDER BY id"
    with connected(store.reader()) as connection:
        found = connection.rows(query, _exact(asset, partition))
    return list(dict.fromkeys(_name(row[0]) for row in found))


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over some part of the ledger. Tokens and cost are those that were paid; `cached` counts rows served free."""

    requests: int
    cached: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    retries: int
    by_status: Mapping[str, int]


_SUMS = """
SELECT l.status, COUNT(*), SUM(l.cached), SUM(l.input_tokens), SUM(l.cached_tokens), SUM(l.output_tokens), SUM(l.cost),
       SUM(l.retries)
FROM ledger l JOIN sessions s ON s.id = l.session
"""


def totals(store: ReplyStore, *, run_id: str, asset: str | None = None, partition: str | None = None) -> Totals:
    """Sums over a run, or over one asset or partition of it."""
    given = {"run_id": run_id, "asset": asset, "partition": partition}
    named = {name: value for name, value in given.items() if value is not None}
    where = " AND ".join(f"s.{name} = ?" for name in named)
    with connected(store.reader()) as connection:
        rows = connection.rows(f"{_SUMS} WHERE {where} GROUP BY l.status", _exact(*named.values()))
    sums = [sum(float(row[index]) for row in rows) for index in range(1, 8)]
    by_status = MappingProxyType({row[0]: row[1] for row in sorted(rows)})
    return Totals(
        requests=int(sums[0]),
        cached=int(sums[1]),
        input_tokens=int(sums[2]),
        cached_tokens=int(sums[3]),
        output_tokens=int(sums[4]),
        cost_usd=float(sums[5]),
        retries=int(sums[6]),
        by_status=by_status,
    )


def spent(reader: Reader, scope: str) -> float:
    """US dollars that all processes have spent in one budget scope so far."""
    rows = reader.rows("SELECT cost FROM spending WHERE scope = ?", _exact(scope))
    return float(rows[0][0]) if rows else 0.0


def open_session(reader: Reader, *, run_id: str, asset: str, partition: str, scope: str) -> int:
    """The number under which one materialization's rows are kept; the same materialization has the same number."""
    return session_number(reader, _exact(run_id, asset, partition, scope))


def session_number(reader: Reader, names: tuple[bytes, ...]) -> int:
    """The number of the session of those names (run, asset, partition, scope), which is made where it is missing."""
    where = "run_id = ? AND asset = ? AND partition = ? AND scope = ?"
    reader.rows("INSERT INTO sessions (run_id, asset, partition, scope) VALUES (?,?,?,?) ON CONFLICT DO NOTHING", names)
    return int(reader.rows(f"SELECT id FROM sessions WHERE {where}", names)[0][0])


def add_rows(transaction: Transaction, session: int, scope: str, rows: Sequence[LedgerRow]) -> None:
    """Append rows and what they cost; part of the caller's transaction."""
    add_values(transaction, _exact(scope)[0], [row.values(session) for row in rows])


def add_values(transaction: Transaction, scope: bytes, rows: Sequence[Values]) -> None:
    """Append rows as they are stored, and what they cost. The budget's row comes last: whoever writes it keeps others
    of its scope waiting until the commit."""
    transaction.insert(_ADD, rows)
    cost = sum(float(row[1 + _COST] or 0.0) for row in rows)
    if cost:
        transaction.rows(
            "INSERT INTO spending VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET cost = spending.cost + excluded.cost",
            (scope, cost),
        )


def _exact(*names: str) -> tuple[bytes, ...]:
    """Names as bytes: partition keys may hold NUL or lone surrogates, and are stored and found exactly."""
    return tuple(name.encode("utf-8", "surrogatepass") for name in names)


def _name(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")


def _hex(stored: bytes | None) -> str:
    return (stored or b"").hex()
