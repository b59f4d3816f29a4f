"""The ledger: rows for the warehouse, sums for the metadata, exact names."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources import ledger
from resources.cache import ReplyCache
from resources.content import sha256_of
from resources.frames import conform
from resources.ledger import LedgerRow, Origin
from resources.ledger_tables import REQUESTS
from resources.messages import Role, Status, Usage
from resources.replyfile import ReplyFile
from resources.replystore import ReplyStore, connected


def row(number: int, **changes: object) -> LedgerRow:
    given: dict[str, object] = {
        "request_id": sha256_of(number),
        "provider": "openai",
        "model": "m",
        "role": Role.PREFERENCE,
        "kind": "choose",
        "usage": Usage(100, 40, 1),
        "cost": 0.125,
        "latency_s": 0.5,
        "cached": False,
        "status": Status.OK,
        "retries": 2,
        "at": 1_763_700_000.5,
    }
    return LedgerRow(**{**given, **changes})  # type: ignore[arg-type]


def write(
    store: ReplyStore, rows: list[LedgerRow], *, run_id: str = "r", asset: str = "a", partition: str = "p"
) -> None:
    async def main() -> None:
        cache, _ = ReplyCache.open(store, run_id=run_id, asset=asset, partition=partition, scope="s", budget_usd=None)
        cache.note(rows)
        await cache.aclose()

    asyncio.run(main())


def test_rows_fit_the_public_table(store: ReplyStore) -> None:
    write(store, [row(1), row(2, cached=True, usage=Usage(), cost=0.0)])
    frame = ledger.rows_for(store, run_id="r", asset="a", partition="p")
    assert frame.columns == [column.name for column in REQUESTS.columns]
    conform(REQUESTS, {"asset": "a", "partition": "p", "run_id": "r"}, frame)
    first = frame.row(0, named=True)
    assert first["request_id"] == sha256_of(1)
    assert first["at"] == datetime.fromtimestamp(1_763_700_000.5, UTC)
    assert (first["role"], first["status"], first["retries"], first["cached"]) == ("preference", "ok", 2, False)


def test_runs_of_a_partition_come_in_order(store: ReplyStore) -> None:
    assert ledger.runs_of(store, asset="a", partition="p") == []
    for run_id, asset in (("second", "a"), ("first", "a"), ("other", "b"), ("second", "a")):
        write(store, [row(1)], run_id=run_id, asset=asset)
    assert ledger.runs_of(store, asset="a", partition="p") == ["second", "first"]
    assert ledger.runs_of(store, asset="a", partition="q") == []


def test_no_store_and_no_rows_have_the_same_columns(store: ReplyStore) -> None:
    before = ledger.rows_for(store, run_id="r", asset="a", partition="p")
    write(store, [])
    after = ledger.rows_for(store, run_id="r", asset="a", partition="p")
    assert before.schema == after.schema
    assert before.height == after.height == 0
    assert ledger.totals(store, run_id="r").requests == 0


def test_totals_are_the_sums_of_the_rows(store: ReplyStore) -> None:
    hit = row(1, cached=True, usage=Usage(), cost=0.0, retries=0)
    write(store, [row(1), row(2, status=Status.GAVE_UP, usage=Usage(), cost=0.0), hit])
    write(store, [row(3)], asset="b")
    write(store, [row(4)], run_id="other")
    whole, part = ledger.totals(store, run_id="r"), ledger.totals(store, run_id="r", asset="a", partition="p")
    assert (whole.requests, whole.cached, whole.cost_usd, whole.retries) == (4, 1, 0.25, 6)
    assert (part.requests, part.input_tokens, part.cached_tokens, part.output_tokens) == (3, 100, 40, 1)
    assert dict(part.by_status) == {"ok": 2, "gave_up": 1}


@pytest.mark.parametrize("name", ["'); DROP TABLE ledger; --", "a\0b", "\U0001f600", "\u202e", "../x", "", "x" * 4096])
def test_hostile_names_are_kept_exactly(store: ReplyStore, name: str) -> None:
    write(store, [row(1, model=name)], run_id=name, asset=name, partition=name)
    write(store, [row(2)], run_id=name, asset=name, partition=name + "x")
    frame = ledger.rows_for(store, run_id=name, asset=name, partition=name)
    assert frame.select("run_id", "asset", "partition", "model").rows() == [(name, name, name, name)]


def test_who_answered_which_prompt_is_kept(store: ReplyStore) -> None:
    origin = Origin(weights=sha256_of("w"), adapter=sha256_of("a"))
    write(store, [row(1, prompt=sha256_of("p"), origin=origin, seed=2**40, sample=3), row(2)])
    first, second = ledger.rows_for(store, run_id="r", asset="a", partition="p").iter_rows(named=True)
    assert (first["prompt_sha256"], first["weights_sha256"]) == (sha256_of("p"), sha256_of("w"))
    assert (first["adapter_sha256"], first["steering_sha256"]) == (sha256_of("a"), "")
    assert (first["seed"], first["sample"]) == (2**40, 3)
    assert (second["prompt_sha256"], second["weights_sha256"], second["seed"], second["sample"]) == ("", "", None, 0)


OLD_LEDGER = """
CREATE TABLE ledger (
  id INTEGER PRIMARY KEY, session INTEGER NOT NULL REFERENCES sessions (id), request_id BLOB NOT NULL,
  provider TEXT NOT NULL, model BLOB NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
  input_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
  cost REAL NOT NULL, latency_s REAL NOT NULL, cached INTEGER NOT NULL, status TEXT NOT NULL,
  retries INTEGER NOT NULL, at REAL NOT NULL
)
"""


def test_a_file_from_before_keeps_its_replies_and_rows(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    connection = sqlite3.connect(path)
    connection.execute(OLD_LEDGER)
    connection.commit()
    connection.close()
    ReplyFile(path).create()
    with connected(ReplyFile(path).connect()) as opened:
        session = ledger.open_session(opened, run_id="r", asset="a", partition="p", scope="s")
    connection = sqlite3.connect(path)
    values = "NULL,?,?,'openai',?,'veto','choose',1,0,1,0.5,0.1,0,'ok',0,0.0" + ",NULL" * 6
    old = f"INSERT INTO ledger VALUES ({values})"
    connection.execute(old, (session, bytes.fromhex(sha256_of(0)), b"m"))
    connection.commit()
    connection.close()
    write(ReplyFile(path), [row(1, prompt=sha256_of("p"))])
    ReplyFile(path).create()
    before, after = ledger.rows_for(ReplyFile(path), run_id="r", asset="a", partition="p").iter_rows(named=True)
    assert (before["request_id"], before["prompt_sha256"], before["seed"]) == (sha256_of(0), "", None)
    assert after["prompt_sha256"] == sha256_of("p")
