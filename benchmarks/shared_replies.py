"""What replies in a Postgres cost against the SQLite file: `python -m benchmarks.shared_replies`.

The Postgres is on this machine, durable, as installed; a network adds its round trips: one to a lookup, seven to a
commit. A group is fifty replies that wait for one commit, as a provider's account has in flight. Skipped where Postgres
is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.cache_million import BODY, lookups, open_cache, row, writers
from resources.content import sha256_of
from resources.postgres import Server
from resources.replyfile import ReplyFile
from resources.replyserver import ReplyServer
from resources.replystore import ReplyStore
from tests.servers.postgres import Postgres, binaries

GROUP = 50


def commits(store: ReplyStore, times: int) -> tuple[float, float]:
    """Milliseconds until a reply by itself, and until a group of them, is stored; medians."""

    async def main() -> tuple[float, float]:
        cache, took = open_cache(store, "commits"), {1: list[float](), GROUP: list[float]()}
        for number in range(times):
            for size, so_far in took.items():
                first = (
                    number * GROUP if size == GROUP else -number - 1
                )  # numbers from 0 on are what `lookups` asks for
                addresses = [sha256_of(first + n) for n in range(size)]
                began = time.perf_counter()
                await asyncio.gather(*(cache.put(address, BODY, row(address)) for address in addresses))
                so_far.append(1e3 * (time.perf_counter() - began))
        await cache.aclose()
        return statistics.median(took[1]), statistics.median(took[GROUP])

    return asyncio.run(main())


def measure(name: str, store: ReplyStore, keys: int) -> float:
    eight = writers(store, 8, keys)
    one, group = commits(store, 100)
    median, p99, bulk = lookups(store, 100 * GROUP, 2_000)
    print(f"{name:<9} lookup {median:.3f} ms (p99 {p99:.3f}), in bulk {bulk:.4f};", end=" ")
    print(f"commit of one {one:.2f} ms, of {GROUP} {group:.2f} ms; 8 processes {eight:,.0f} replies a second")
    return eight


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=2_000, help="written by each of eight processes")
    keys = parser.parse_args().keys
    if binaries() is None:
        print("skipped: no Postgres server is installed")
        return
    server = Postgres(durable=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = measure("SQLite", ReplyFile(Path(folder) / "replies.sqlite"), keys)
            shared = measure("Postgres", ReplyServer(Server(server.database(), "replies.url_env", "URL")), keys)
        print(f"Postgres stores {shared / file:.2f} times as many as the file")
    finally:
        server.close()


if __name__ == "__main__":
    main()
