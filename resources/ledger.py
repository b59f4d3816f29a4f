"""What every request cost, as rows beside the replies: written in the transaction that stores the reply.

The rows live in the SQLite file of the reply cache, so that a kill loses neither or both. `rows_for` hands them to the
warehouse, `totals` to the metadata of a materialization, `spent` to the budget. The cost of anything is a `SUM`: a row
that was served from the cache (`cached`) carries neither tokens nor cost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from resources.messages import Role, Status, Usage
from resources.replyfile import connect


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

    def values(self, session: int) -> tuple[int | float | str | bytes | None, ...]:
        """The row as it is bound to `INSERT_ROW`."""
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


_COLUMNS = (
    "session, request_id, provider, model, role, kind, input_tokens, cached_tokens, output_tokens, cost, latency_s, "
    "cached, status, retries, at, prompt, weights, adapter, steering, seed, sample"
)
INSERT_ROW = f"INSERT INTO ledger ({_COLUMNS}) VALUES ({','.join('?' * len(_COLUMNS.split(',')))})"

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

_SELECT = """
SELECT lower(hex(l.request_id)), s.run_id, s.asset, s.partition, l.provider, l.model, l.role, l.kind, l.input_tokens,
       l.cached_tokens, l.output_tokens, l.cost, l.latency_s, l.cached, l.status, l.retries,
       CAST(l.at * 1000000 AS INTEGER), lower(hex(l.prompt)), lower(hex(l.weights)), lower(hex(l.adapter)),
       lower(hex(l.steering)), l.seed, l.sample
FROM ledger l JOIN sessions s ON s.id = l.session
"""


def rows_for(path: Path, *, run_id: str, asset: str, partition: str) -> pl.DataFrame:
    """Every request of one materialization in the order in which it was settled; columns as in `ledger.requests`.

    No file yet means no rows.
    """
    if not path.exists():
        return _SCHEMA.to_frame()
    where = "WHERE s.run_id = ? AND s.asset = ? AND s.partition = ? ORDER BY l.id"
    connection = connect(path)
    try:
        rows = connection.execute(_SELECT + where, _exact(run_id, asset, partition)).fetchall()
    finally:
        connection.close()
    raw = dict(_SCHEMA) | {"at": pl.Int64(), "cached": pl.Int64()}
    frame = pl.DataFrame([_readable(row) for row in rows], schema=raw, orient="row")
    at = pl.col("at").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return frame.with_columns(pl.col("cached").cast(pl.Boolean), at)


def runs_of(path: Path, *, asset: str, partition: str) -> list[str]:
    """Every run that asked something for one asset and partition, in the order in which they began."""
    if not path.exists():
        return []
    connection = connect(path)
    try:
        query = "SELECT run_id FROM sessions WHERE asset = ? AND partition = ? ORDER BY id"
        found = connection.execute(query, _exact(asset, partition)).fetchall()
    finally:
        connection.close()
    return list(dict.fromkeys(str(_readable(row)[0]) for row in found))


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


def totals(path: Path, *, run_id: str, asset: str | None = None, partition: str | None = None) -> Totals:
    """Sums over a run, or over one asset or partition of it."""
    rows: Sequence[tuple[str, int, int, int, int, int, float, int]] = ()
    if path.exists():
        given = {"run_id": run_id, "asset": asset, "partition": partition}
        named = {name: value for name, value in given.items() if value is not None}
        where = " AND ".join(f"s.{name} = ?" for name in named)
        connection = connect(path)
        try:
            rows = connection.execute(f"{_SUMS} WHERE {where} GROUP BY l.status", _exact(*named.values())).fetchall()
        finally:
            connection.close()
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


def spent(connection: sqlite3.Connection, scope: str) -> float:
    """US dollars that all processes have spent in one budget scope so far."""
    row = connection.execute("SELECT cost FROM spending WHERE scope = ?", _exact(scope)).fetchone()
    return float(row[0]) if row else 0.0


def open_session(connection: sqlite3.Connection, *, run_id: str, asset: str, partition: str, scope: str) -> int:
    """The number under which one materialization's rows are kept; the same materialization has the same number."""
    names = _exact(run_id, asset, partition, scope)
    connection.execute("INSERT OR IGNORE INTO sessions (run_id, asset, partition, scope) VALUES (?,?,?,?)", names)
    found = connection.execute(
        "SELECT id FROM sessions WHERE run_id = ? AND asset = ? AND partition = ? AND scope = ?", names
    ).fetchone()
    return int(found[0])


def add_rows(connection: sqlite3.Connection, session: int, scope: str, rows: Sequence[LedgerRow]) -> None:
    """Append rows and what they cost; part of the caller's transaction."""
    connection.executemany(INSERT_ROW, [row.values(session) for row in rows])
    cost = sum(row.cost for row in rows)
    if cost:
        connection.execute(
            "INSERT INTO spending VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET cost = cost + excluded.cost",
            (*_exact(scope), cost),
        )


def _exact(*names: str) -> tuple[bytes, ...]:
    """Names as bytes: partition keys may hold NUL or lone surrogates, and are stored and found exactly."""
    return tuple(name.encode("utf-8", "surrogatepass") for name in names)


def _readable(row: Sequence[int | float | str | bytes | None]) -> list[int | float | str | None]:
    return [value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value for value in row]
