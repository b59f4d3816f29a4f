"""What a DuckLake costs against files: `python -m benchmarks.lake_landing`.

Partitions of a thousand rows as in `steerability.responses` are landed in files and in a DuckLake whose catalogue is in
a Postgres on this machine (durable, as installed), in turn; medians. Then eight processes land at once in the lake.
Then what a lookup, a query and a publication cost when many partitions have landed. Skipped where Postgres is missing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from benchmarks.warehouse_write import RESPONSES, responses
from resources.ducklake import Address
from resources.lake_home import LakeHome
from resources.warehouse import Provenance, Warehouse
from tests.servers.postgres import Postgres, binaries

ROWS = 1_000


def in_lake(folder: Path, url: str) -> Warehouse:
    return Warehouse(folder, (RESPONSES,), home=LakeHome(Address(url, folder / "lake"), (RESPONSES,)))


def land(warehouse: Warehouse, model: str, frame: pl.DataFrame) -> float:
    rows = frame.with_columns(pl.lit(model).alias("model"))
    where = Provenance(f"run of {model}", "code", "inputs", datetime.now(UTC))
    started = time.perf_counter()
    warehouse.write(RESPONSES, {"model": model, "iteration": "0"}, rows, where)
    return time.perf_counter() - started


def many(folder: str, url: str, name: str, landings: int, gate: object) -> None:
    """One of the processes that land at once."""
    warehouse, frame = in_lake(Path(folder), url), responses(ROWS)
    warehouse.pointer(RESPONSES, {"model": name, "iteration": "0"})  # attached before the clock starts
    gate.wait()  # type: ignore[attr-defined]
    for number in range(landings):
        land(warehouse, f"{name}-{number}", frame)


def at_once(folder: Path, url: str, processes: int, landings: int) -> float:
    """Seconds until all have landed everything."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(processes + 1)
    running = [
        context.Process(target=many, args=(str(folder), url, f"p{number}", landings, gate))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    gate.wait()
    started = time.perf_counter()
    for process in running:
        process.join()
    return time.perf_counter() - started


def median_ms(work: Callable[[], object], rounds: int = 15) -> str:
    """Median milliseconds with the middle half."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    low, middle, high = statistics.quantiles(seconds, n=4)
    return f"{middle * 1e3:7.1f} ms ({low * 1e3:.1f} to {high * 1e3:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--landings", type=int, default=40, help="of each way, and of each process")
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    if binaries() is None:
        print("skipped: no Postgres server is installed")
        return
    server = Postgres(durable=True)
    try:
        with tempfile.TemporaryDirectory() as name:
            measure(Path(name), server.database(), options.landings, options.processes)
    finally:
        server.close()


def measure(folder: Path, url: str, landings: int, processes: int) -> None:
    lake, files, frame = in_lake(folder / "lake", url), Warehouse(folder / "files", (RESPONSES,)), responses(ROWS)
    started = time.perf_counter()
    lake.partitions(RESPONSES)
    print(f"attaching, with the tables made: {time.perf_counter() - started:.2f} s")
    seconds = {one: [land(one, f"m{number}", frame) for number in range(landings)] for one in (files, lake)}
    middle = {one: statistics.median(found) for one, found in seconds.items()}
    for title, one in (("files", files), ("DuckLake", lake)):
        low, _, high = statistics.quantiles(seconds[one], n=4)
        ratio = middle[one] / middle[files]
        spread = f"({low * 1e3:.1f} to {high * 1e3:.1f})"
        print(f"landing {ROWS} rows in {title:9}{middle[one] * 1e3:7.1f} ms {spread}, {ratio:.1f} x files")
    took = at_once(folder / "lake", url, processes, landings)
    held = lake.read(RESPONSES).height // ROWS
    print(
        f"{processes} processes at once: {processes * landings / took:.1f} landings a second "
        f"({1 / middle[lake]:.1f} by one), {landings * (processes + 1) - held} lost"
    )
    print(f"with {held} partitions:")
    one = {"model": "m0", "iteration": "0"}
    print(f"  looking one up, nothing new      {median_ms(lambda: lake.pointer(RESPONSES, one))}")
    print(f"  a query, nothing new             {median_ms(lambda: lake.query('SELECT 1'))}")

    def landed_and_queried() -> None:
        land(lake, "m0", responses(ROWS, seed=time.perf_counter_ns() % 1_000_000))
        lake.query("SELECT 1")

    print(f"  a landing, a publication, a query{median_ms(landed_and_queried)}")


if __name__ == "__main__":
    main()
