"""What the warehouse adds to writing rows: `python -m benchmarks.warehouse_write`.

One partition of a million rows as in `steerability.responses`, written by `Warehouse.write` (columns, types, partition,
key and order checked, hashed, synced, renamed, pointer moved) and by what one would use without it: polars'
`write_parquet` and DuckDB's `COPY`, both as they come, without a sync. All in the same run, in turn, in random order;
medians. Target: at most 1.3 times the raw write. Then: how long a publication takes.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from resources.content import sha256_of
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse

RESPONSES = Table(
    "steerability.responses",
    "One row per question to a steered model.",
    (
        Column("model", "VARCHAR", "the model"),
        Column("iteration", "INTEGER", "the checkpoint"),
        Column("method", "VARCHAR", "the steering method"),
        Column("n_steer", "INTEGER", "steering statements"),
        Column("repeat", "INTEGER", "the split"),
        Column("steered_persona_id", "VARCHAR", "the persona steered to"),
        Column("test_persona_id", "VARCHAR", "the persona whose statements are asked"),
        Column("statement_id", "VARCHAR", "the statement"),
        Column("p_agree", "DOUBLE", "probability of agreement"),
        Column("mass", "DOUBLE", "probability of any valid answer"),
        Column("correct", "BOOLEAN", "whether the likelier answer is the persona's"),
        Column("status", "VARCHAR", "what became of the request"),
        Column("request_id", "VARCHAR", "its content address"),
    ),
    partition=("model", "iteration"),
    key=("model", "iteration", "method", "n_steer", "repeat", "steered_persona_id", "test_persona_id", "statement_id"),
)
HERE = {"model": "lab/model-1", "iteration": "0"}


def responses(rows: int, seed: int = 0) -> pl.DataFrame:
    """Rows in the order of the key: 100 steered x 100 test personas x 56 statements for as many methods as it takes."""
    draw = np.random.default_rng(seed)
    at = np.arange(rows)
    personas = np.array([f"big_five/persona_{number:03d}" for number in range(100)])
    statements = np.sort([sha256_of([number])[:16] for number in range(5600)])
    ids = draw.bytes(16 * rows).hex()
    return pl.DataFrame(
        {
            "model": pl.repeat(HERE["model"], rows, eager=True),
            "iteration": pl.zeros(rows, pl.Int32, eager=True),
            "method": pl.Series(at // 560_000).cast(pl.String).str.zfill(2),
            "n_steer": pl.repeat(4, rows, dtype=pl.Int32, eager=True),
            "repeat": pl.zeros(rows, pl.Int32, eager=True),
            "steered_persona_id": personas[at // 5600 % 100],
            "test_persona_id": personas[at // 56 % 100],
            "statement_id": statements[at % 5600],
            "p_agree": draw.random(rows),
            "mass": draw.random(rows),
            "correct": draw.random(rows) > 0.5,
            "status": np.where(draw.random(rows) > 0.02, "ok", "void"),
            "request_id": [ids[start : start + 32] for start in range(0, 32 * rows, 32)],
        }
    )


def timed(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each way, taken in turn in random order."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    order = list(ways)
    for _ in range(rounds + 1):
        random.shuffle(order)
        for name in order:
            started = time.perf_counter()
            ways[name]()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found[1:]) for name, found in seconds.items()}


def write_ratios(folder: Path, rows: int, rounds: int) -> None:
    frame = responses(rows)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    raw, key = folder / "raw.parquet", [name for name in RESPONSES.key if name not in RESPONSES.partition]
    warehouses = iter(Warehouse(folder / f"w{number}", (RESPONSES,)) for number in range(10_000))
    where = Provenance("run", "code", "inputs", datetime.now(UTC))

    def ours(rows: pl.DataFrame) -> None:
        next(warehouses).write(RESPONSES, HERE, rows, where)

    def copy() -> None:
        with duckdb.connect() as connection:
            connection.register("frame", frame)
            connection.execute(f"COPY frame TO '{raw}' (FORMAT parquet)")

    found = timed(
        {
            "Warehouse.write, rows in key order": lambda: ours(frame),
            "Warehouse.write, rows shuffled": lambda: ours(shuffled),
            "polars write_parquet": lambda: frame.write_parquet(raw),
            "polars sort by the key, write_parquet": lambda: shuffled.sort(key).write_parquet(raw),
            "polars write_parquet, zstd level 1": lambda: frame.write_parquet(raw, compression_level=1),
            "DuckDB COPY": copy,
        },
        rounds,
    )
    print(f"{rows:,} response rows, median of {rounds}")
    polars, copied = found["polars write_parquet"], found["DuckDB COPY"]
    for name, seconds in found.items():
        print(f"  {name:38} {seconds:7.3f} s   {seconds / polars:5.2f} x polars   {seconds / copied:5.2f} x DuckDB")


def publish_times(folder: Path, tables: int, files: int) -> None:
    """A first publication of everything, then one after one more partition, then one with nothing new."""
    declared = [
        Table(f"lab.t{number}", "A table.", RESPONSES.columns, RESPONSES.partition, RESPONSES.key)
        for number in range(tables)
    ]
    warehouse = Warehouse(folder / "published", declared)
    where = Provenance("run", "code", "inputs", datetime.now(UTC))
    rows = responses(20)
    for number in range(files):
        here = HERE | {"iteration": str(number)}
        part = rows.with_columns(iteration=pl.lit(number, pl.Int32))
        for table in declared:
            warehouse.write(table, here, part, where)

    def once() -> float:
        started = time.perf_counter()
        warehouse.publish()
        return time.perf_counter() - started

    print(f"publication of {tables} tables x {files} files: {once():.3f} s")
    warehouse.write(declared[0], HERE, rows.head(5), where)
    print(f"  after one more partition:   {once():.3f} s")
    print(f"  with nothing new:           {once():.3f} s")
    with duckdb.connect(str(warehouse.catalogue), read_only=True) as connection:
        plain = warehouse.root / "warehouse/files/lab.t1/*.parquet"
        found = timed(
            {
                "view": lambda: connection.execute("SELECT method, avg(p_agree) FROM lab.t1 GROUP BY 1").fetchall(),
                "files": lambda: connection.execute(
                    f"SELECT method, avg(p_agree) FROM read_parquet('{plain}') GROUP BY 1"
                ).fetchall(),
            },
            5,
        )
    print(f"  a query on a view: {found['view']:.3f} s, {found['view'] / found['files']:.2f} x the same on bare files")


def main(rows: int = 1_000_000, rounds: int = 7, tables: int = 10, files: int = 200) -> None:
    folder = Path(tempfile.mkdtemp(prefix="warehouse-"))
    try:
        write_ratios(folder, rows, rounds)
        publish_times(folder, tables, files)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("rows", 1_000_000), ("rounds", 7), ("tables", 10), ("files", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    main(**vars(parser.parse_args()))
