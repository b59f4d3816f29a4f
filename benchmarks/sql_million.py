"""SQL over a million conversations of ten turns, as people ask it: `python -m benchmarks.sql_million`.

Written partition by partition through the warehouse (20 models x 5 checkpoints), published, and asked over a fresh
connection each time, as a notebook does. Targets: reward by model and iteration < 1 s, one conversation by its id
< 100 ms. For comparison, in the same run: the same questions put to the bare Parquet files, and to one DuckDB file that
holds the rows themselves (`influence db export`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from influence_assets.influence import tables
from influence_assets.influence.tables import CONVERSATIONS, TRAJECTORIES, TURNS
from resources.content import sha256_of
from resources.frames import schema_of
from resources.tables import Table
from resources.warehouse import Provenance, Warehouse

MODELS, ITERATIONS, TURNS_EACH, ROUNDS = 20, 5, 10, 7
WORDS = np.array([f"word{number}" for number in range(4000)])
WORDS_EACH = 20

REWARD = "SELECT model, iteration, avg(reward), count(*) FROM influence.trajectories GROUP BY ALL ORDER BY ALL"
BY_ENVIRONMENT = """
SELECT c.model, c.iteration, c.user_kind, avg(t.reward) AS reward, count(*) AS n
FROM influence.conversations AS c JOIN influence.trajectories AS t USING (conversation_id)
WHERE c.split = 'eval' GROUP BY ALL ORDER BY ALL
"""
ONE = "SELECT turn, role, content FROM influence.turns WHERE conversation_id = $id ORDER BY position"
ONE_PLACED = ONE.replace("ORDER", "AND model = $model AND iteration = $iteration ORDER")


def filled(table: Table, rows: int, **columns: object) -> pl.DataFrame:
    """A frame of the table with these columns; the others are null."""
    schema = schema_of(table)
    made = {name: pl.Series(name, values) for name, values in columns.items()}
    series = [
        made[name].cast(kind) if name in made else pl.repeat(None, rows, dtype=kind, eager=True).alias(name)
        for name, kind in schema.items()
    ]
    return pl.DataFrame(series)


Partition = tuple[dict[str, str], dict[Table, pl.DataFrame]]


def partitions(conversations: int, rng: np.random.Generator) -> Iterator[Partition]:
    """Conversations, trajectories and turns of one checkpoint after the other."""
    each = conversations // (MODELS * ITERATIONS)
    for model in (f"lab/model-{number:02d}" for number in range(MODELS)):
        for iteration in range(ITERATIONS):
            ids = np.array(sorted(sha256_of([model, iteration, number])[:16] for number in range(each)))
            shared = {"model": np.repeat(model, each), "iteration": np.repeat(iteration, each), "conversation_id": ids}
            kinds = np.where(rng.random(each) < 0.5, "vulnerable", "ordinary")
            split = np.where(rng.random(each) < 0.5, "train", "eval")
            n = each * TURNS_EACH
            texts = pl.DataFrame(WORDS[rng.integers(0, len(WORDS), (n, WORDS_EACH))]).select(
                pl.concat_str(pl.all(), separator=" ")
            )
            position = np.tile(np.arange(TURNS_EACH), each)
            yield (
                {"model": model, "iteration": str(iteration)},
                {
                    CONVERSATIONS: filled(CONVERSATIONS, each, **shared, user_kind=kinds, split=split),
                    TRAJECTORIES: filled(TRAJECTORIES, each, **shared, user_kind=kinds, reward=10 * rng.random(each)),
                    TURNS: filled(
                        TURNS,
                        n,
                        **{name: np.repeat(values, TURNS_EACH) for name, values in shared.items()},
                        position=position,
                        turn=(position + 1) // 2,
                        role=np.where(position % 2 == 0, "character", "agent"),
                        content=texts.to_series(),
                        status=np.repeat("ok", n),
                    ),
                },
            )


def fill(warehouse: Warehouse, conversations: int) -> None:
    where = Provenance("run", "code", "inputs", datetime.now(UTC))
    for partition, frames in partitions(conversations, np.random.default_rng(0)):
        for table, frame in frames.items():
            warehouse.write(table, partition, frame, where)
    warehouse.publish()


def asked(file: Path, query: str, parameters: list[dict[str, object]]) -> tuple[float, float]:
    """Median and worst milliseconds of the query over fresh connections, each with the next parameters."""
    times = []
    for round_ in range(ROUNDS + 1):
        began = time.perf_counter()
        with duckdb.connect(str(file), read_only=True) as connection:
            rows = connection.execute(query, parameters[round_ % len(parameters)]).fetchall()
        times.append(1e3 * (time.perf_counter() - began))
        assert rows
    return statistics.median(times[1:]), max(times[1:])


def main(arguments: list[str] | None = None) -> None:
    """Write, publish and ask; raises when a target is missed at the full size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=1_000_000)
    parser.add_argument("--export", action="store_true", help="compare with a file that holds the rows, which is slow")
    sizes = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder), tables.TABLES)
        began = time.perf_counter()
        fill(warehouse, sizes.conversations)
        took = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet")) / 2**20
        n = sizes.conversations
        print(f"{n:,} conversations, {n * TURNS_EACH:,} turns: {size:,.0f} MiB, written in {took:.0f} s")
        each = n // (MODELS * ITERATIONS)
        places = [(f"lab/model-{7 * k % MODELS:02d}", k % ITERATIONS, 97 * k % each) for k in range(ROUNDS + 1)]
        ids = [{"id": sha256_of(list(place))[:16]} for place in places]
        placed = [one | {"model": place[0], "iteration": place[1]} for one, place in zip(ids, places, strict=True)]
        files = [("published", warehouse.catalogue)]
        if sizes.export:
            files.append(("exported", warehouse.export(Path(folder) / "all.duckdb")))
        for label, file in files:
            for name, target, query, parameters in (
                ("reward by model and iteration", 1000, REWARD, [{}]),
                ("reward by model, iteration and user", 1000, BY_ENVIRONMENT, [{}]),
                ("one conversation by its id", 100, ONE, ids),
                ("one conversation of a known checkpoint", 100, ONE_PLACED, placed),
            ):
                median, worst = asked(file, query, parameters)
                print(f"  {label}: {name:39} {median:7.1f} ms (worst {worst:.1f}; target < {target})")


if __name__ == "__main__":
    main()
