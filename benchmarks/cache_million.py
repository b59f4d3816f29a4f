"""The reply cache with a million entries: time of a lookup, and eight processes writing at once.

Lookups are of random addresses, half of them present, singly and in bulk, against the same lookups in a cache of a
hundredth of the size. The writers' file is checked afterwards: nothing may be lost. Target: p99 of a lookup < 2 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from resources.cache import ReplyCache
from resources.content import sha256_of
from resources.ledger import LedgerRow
from resources.messages import Estimator, Role, Status, Usage
from resources.providers import Chosen
from resources.records import encode
from resources.replies import checksum
from resources.replyfile import ReplyFile
from resources.replystore import ReplyStore, connected

BODY = encode(
    Chosen(tuple([0.1] * 10), 0.97, Status.OK, Estimator.LOGPROBS, Usage(400, 0, 1), "chatcmpl-" + "x" * 24),
    latency_s=0.2,
    retries=0,
)


def open_cache(store: ReplyStore, run_id: str = "r") -> ReplyCache:
    cache, _ = ReplyCache.open(store, run_id=run_id, asset="a", partition="m", scope="s", budget_usd=None)
    return cache


def row(address: str) -> LedgerRow:
    usage = Usage(400, 0, 1)
    return LedgerRow(
        address, "openai", "m", Role.PREFERENCE, "choose", usage, 1e-4, 0.2, False, Status.OK, 0, time.time()
    )


def count(store: ReplyStore, table: str) -> int:
    with connected(store.connect()) as connection:
        return int(connection.rows(f"SELECT count(*) FROM {table}")[0][0])


def fill(path: Path, entries: int) -> None:
    """Entries as the writer leaves them, but without a million awaited futures."""
    ReplyFile(path).create()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    addresses: Iterable[bytes] = sorted(bytes.fromhex(sha256_of(number)) for number in range(entries))
    with connection:
        connection.executemany(
            "INSERT INTO replies VALUES (?, ?, ?)", ((address, BODY, checksum(address, BODY)) for address in addresses)
        )
    connection.close()


def lookups(store: ReplyStore, entries: int, number: int) -> tuple[float, float, float]:
    """Median and 99th percentile of a single lookup, and the mean of one in bulk, in milliseconds."""

    async def main() -> tuple[float, float, float]:
        cache, numbers, times = open_cache(store), random.Random(1), []
        asked = [sha256_of(numbers.randrange(2 * entries)) for _ in range(number)]
        for address in asked:
            began = time.perf_counter()
            cache.get(address)
            times.append(1e3 * (time.perf_counter() - began))
        began = time.perf_counter()
        found = cache.get_many(asked)
        bulk = 1e3 * (time.perf_counter() - began) / number
        assert 0.4 < len(found) / len(set(asked)) < 0.6
        await cache.aclose()
        times.sort()
        return times[number // 2], times[int(number * 0.99)], bulk

    return asyncio.run(main())


def write(store: ReplyStore, process: int, keys: int) -> None:
    async def main() -> None:
        cache = open_cache(store, f"run{process}")
        for start in range(0, keys, 50):  # fifty in flight, as a provider's account has
            addresses = [sha256_of([process, number]) for number in range(start, min(start + 50, keys))]
            await asyncio.gather(*(cache.put(address, BODY, row(address)) for address in addresses))
        await cache.aclose()

    asyncio.run(main())


def writers(store: ReplyStore, processes: int, keys: int) -> float:
    """Replies per second of all processes together; every reply and every ledger row must be there."""
    store.create()
    before = count(store, "replies"), count(store, "ledger")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write, args=(store, number, keys)) for number in range(processes)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    took = time.perf_counter() - began
    assert count(store, "replies") == before[0] + processes * keys, "lost replies"
    assert count(store, "ledger") == before[1] + processes * keys, "lost ledger rows"
    return processes * keys / took


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--keys", type=int, default=2_000, help="written by each process")
    sizes = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.sqlite", Path(folder) / "large.sqlite"
        for path, entries in ((small, sizes.entries // 100), (large, sizes.entries)):
            began = time.perf_counter()
            fill(path, entries)
            size = path.stat().st_size / 2**20
            median, p99, bulk = lookups(ReplyFile(path), entries, sizes.lookups)
            print(f"{entries:>9,} entries ({size:.0f} MiB, filled in {time.perf_counter() - began:.1f} s):", end=" ")
            print(f"lookup median {median:.4f} ms, p99 {p99:.4f} ms (target < 2), in bulk {bulk:.4f} ms")
        rate = writers(ReplyFile(large), sizes.processes, sizes.keys)
        alone = writers(ReplyFile(small), 1, sizes.keys)
        print(f"{sizes.processes} processes x {sizes.keys:,} replies: {rate:,.0f} a second, nothing lost", end=" ")
        print(f"(one process, small file: {alone:,.0f} a second; ratio {rate / alone:.2f})")


if __name__ == "__main__":
    main()
