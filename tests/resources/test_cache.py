"""The reply cache, in both stores: what was handed over is on disk, a damaged row is a miss, processes share it."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import ledger
from resources.budget import Budget
from resources.cache import ReplyCache
from resources.content import sha256_of
from resources.errors import InputError
from resources.ledger import LedgerRow
from resources.messages import Estimator, Role, Status, Usage
from resources.providers import Chosen, Generated
from resources.records import encode, probabilities_of, reply_of
from resources.replyfile import ReplyFile
from resources.replystore import ReplyStore, connected


def open_cache(store: ReplyStore, *, run_id: str = "run", scope: str = "scope") -> tuple[ReplyCache, Budget]:
    return ReplyCache.open(store, run_id=run_id, asset="asset", partition="m", scope=scope, budget_usd=None)


def row(address: str, *, cost: float = 0.25, cached: bool = False) -> LedgerRow:
    usage = Usage(10, 4, 2)
    return LedgerRow(
        address, "openai", "m", Role.AGENT, "generate", usage, cost, 0.5, cached, Status.OK, 1, 1_700_000_000.25
    )


def query(store: ReplyStore, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
    with connected(store.connect()) as connection:
        return connection.rows(sql, parameters)


def test_a_reply_is_on_disk_with_its_cost_before_it_is_handed_over(store: ReplyStore) -> None:
    address = sha256_of("q")

    async def main() -> None:
        cache, budget = open_cache(store)
        assert await cache.put(address, '{"a":1}', row(address)) == '{"a":1}'
        # Read through another connection while the cache is still open: the commit has happened.
        assert ledger.totals(store, run_id="run").requests == 1
        assert query(store, "SELECT body FROM replies") == [('{"a":1}',)]
        assert budget.spent == 0.25
        assert cache.get(address) == '{"a":1}'
        await cache.aclose()

    asyncio.run(main())


@pytest.mark.parametrize(
    "change",
    [
        "body = substr(body, 1, 5)",
        "body = replace(body, '1', '2')",
        "crc = crc + 1",
        "crc = 0, body = ''",
        "address = ?",
    ],
)
def test_a_damaged_row_is_a_miss_and_is_replaced(store: ReplyStore, change: str) -> None:
    damage_and_ask_again(store, change)


def test_a_body_that_is_no_text_is_a_miss_and_is_replaced(tmp_path: Path) -> None:
    """SQLite keeps values of any type in any column; Postgres takes no such row."""
    damage_and_ask_again(ReplyFile(tmp_path / "replies.sqlite"), "body = x'ff00'")


def damage_and_ask_again(store: ReplyStore, change: str) -> None:
    address = sha256_of("q")

    async def main() -> None:
        cache, _ = open_cache(store)
        await cache.put(address, '{"a":1}', row(address))
        await cache.aclose()
        query(store, f"UPDATE replies SET {change}", [bytes(32)] * change.count("?"))
        cache, _ = open_cache(store)
        assert cache.get(address) is None
        assert cache.get("00" * 32) is None
        sound = sha256_of("sound")
        bodies = await asyncio.gather(*(cache.put(a, '{"a":3}', row(a)) for a in (sound, address)))
        assert bodies == ['{"a":3}', '{"a":3}']
        assert cache.get(address) == '{"a":3}'
        assert await cache.put(address, '{"a":4}', row(address)) == '{"a":3}'
        await cache.aclose()

    asyncio.run(main())


def test_the_first_answer_is_everybodys_answer(store: ReplyStore) -> None:
    address = sha256_of("q")

    async def main() -> None:
        one, _ = open_cache(store)
        other, _ = open_cache(store)
        bodies = await asyncio.gather(
            *(c.put(address, body, row(address)) for c, body in ((one, "[1]"), (other, "[2]")))
        )
        assert len(set(bodies)) == 1
        assert one.get(address) == other.get(address) == bodies[0]
        assert ledger.totals(store, run_id="run").requests == 2, "both were paid"
        await one.aclose()
        await other.aclose()

    asyncio.run(main())


def test_a_file_that_is_no_database_is_left_alone_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is not a database, but somebody's notes" * 100)
    with pytest.raises(InputError, match=r"c\.sqlite.*move the file away"):
        asyncio.run(_open(ReplyFile(path)))
    assert path.read_bytes().startswith(b"this is not")


def test_a_damaged_page_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"

    async def fill() -> None:
        cache, _ = open_cache(ReplyFile(path))
        for number in range(200):
            cache._writer.put(bytes.fromhex(sha256_of(number)), "[]" * 50, row(sha256_of(number)))
        await cache.aclose()

    asyncio.run(fill())
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    async def read() -> None:
        cache, _ = open_cache(ReplyFile(path))
        try:
            cache.get_many([sha256_of(number) for number in range(200)])
        finally:
            await cache.aclose()

    with pytest.raises(InputError, match="cannot be used as the reply cache"):
        asyncio.run(read())


async def _open(store: ReplyStore) -> None:
    cache, _ = open_cache(store)
    await cache.aclose()


FULL = {
    True: "CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
    False: """
        CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk is full'; END $$;
        CREATE TRIGGER full_ BEFORE INSERT ON replies EXECUTE FUNCTION full_()
    """,
}


def test_a_full_disk_is_heard_by_everybody_who_waits(store: ReplyStore) -> None:
    async def main() -> None:
        cache, _ = open_cache(store)
        query(store, FULL[isinstance(store, ReplyFile)])
        puts = [cache.put(sha256_of(number), "{}", row(sha256_of(number))) for number in range(5)]
        for outcome in await asyncio.gather(*puts, return_exceptions=True):
            assert isinstance(outcome, InputError)
            assert "disk is full" in str(outcome)
        with pytest.raises(InputError):
            await cache.aclose()

    asyncio.run(main())
    assert ledger.totals(store, run_id="run").requests == 0, "neither the reply nor its row"


def _fill(store: ReplyStore, process: int, keys: int) -> None:
    async def main() -> None:
        cache, _ = open_cache(store, run_id=f"run{process}")
        bodies = [(sha256_of([process, n]), f"[{process},{n}]") for n in range(keys)]
        assert await asyncio.gather(*(cache.put(a, b, row(a, cost=0.5)) for a, b in bodies)) == [b for _, b in bodies]
        shared = [sha256_of(["shared", n]) for n in range(process % 2, keys, 10)]
        await asyncio.gather(*(cache.put(a, f"[{process}]", row(a, cost=0.5)) for a in shared))
        await cache.aclose()

    asyncio.run(main())


def test_eight_processes_write_a_thousand_keys_each(store: ReplyStore) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fill, args=(store, number, 1_000)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0

    async def main() -> None:
        cache, budget = open_cache(store)
        found = cache.get_many([sha256_of([process, n]) for process in range(8) for n in range(1_000)])
        assert found == {sha256_of([p, n]): f"[{p},{n}]" for p in range(8) for n in range(1_000)}
        assert budget.spent == 8 * 1_100 * 0.5
        await cache.aclose()

    asyncio.run(main())
    assert query(store, "SELECT count(*) FROM replies") == [(8_200,)]
    assert [ledger.totals(store, run_id=f"run{number}").requests for number in range(8)] == [1_100] * 8


texts = st.text(st.characters(codec=None))
usages = st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
statuses = st.sampled_from([status for status in Status if status is not Status.GAVE_UP])


@given(texts, statuses, texts, usages, texts)
def test_text_is_read_back_exactly_lone_surrogates_included(
    text: str, status: Status, finish: str, usage: Usage, provider_id: str
) -> None:
    body = encode(Generated(text, status, finish, usage, provider_id), latency_s=1.5, retries=2)
    assert body.isascii()
    reply = reply_of(body, "ab" * 32, cached=True)
    assert reply is not None
    assert (reply.text, reply.status, reply.finish_reason, reply.usage) == (text, status, finish, usage)
    assert (reply.provider_request_id, reply.latency_s, reply.retries, reply.cached) == (provider_id, 1.5, 2, True)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_distribution_is_stored_raw_and_voided_on_reading(p: float, mass: float, threshold: float) -> None:
    chosen = Chosen((p, 1 - p), mass, Status.OK, Estimator.LOGPROBS, Usage(1, 0, 1))
    body = encode(chosen, latency_s=0.0, retries=0)
    raw = probabilities_of(body, "id", ("a", "b"), cached=False, void_below=0.0)
    assert raw is not None
    assert (raw.probabilities, raw.mass, raw.estimator) == ((p, 1 - p), mass, Estimator.LOGPROBS)
    seen = probabilities_of(body, "id", ("a", "b"), cached=False, void_below=threshold)
    assert seen is not None
    assert (seen.status is Status.VOID) == (mass < threshold)
    assert probabilities_of(body, "id", ("a", "b", "c"), cached=False, void_below=0.0) is None


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", '{"status":"ok"}', '{"status":"fine"}', '{"status":'])
def test_a_record_of_another_shape_is_no_record(body: str) -> None:
    assert reply_of(body, "id", cached=True) is None
    assert probabilities_of(body, "id", ("a", "b"), cached=True, void_below=0.5) is None
