"""One process of the warehouse's fault tests: `python -m tests.faults.warehouse_process ROLE FOLDER ...`."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from resources.export import Format
from resources.tables import Column, Table
from resources.warehouse import Landed, Provenance, Warehouse

TABLE = Table(
    "lab.numbers",
    "Numbers that belong together: all rows of a partition have one mark.",
    (
        Column("model", "VARCHAR", "the model"),
        Column("n", "BIGINT", "a number"),
        Column("mark", "VARCHAR", "who wrote it and when"),
    ),
    partition=("model",),
    key=("model", "n"),
)
ROWS = 20
LAKE = "catalogue"
"""The file in a warehouse's folder that says, where it is, that the rows lie in a DuckLake, and which."""


def opened(folder: Path | str, on_seam: Callable[[str], None] = lambda _name: None) -> Warehouse:
    """The warehouse of a folder, in the home that its file says."""
    root = Path(folder)
    if not (root / LAKE).exists():
        return Warehouse(root, (TABLE,), on_seam=on_seam)
    from resources.ducklake import Address
    from resources.lake_home import LakeHome

    home = LakeHome(Address((root / LAKE).read_text(), root / "lake"), (TABLE,))
    return Warehouse(root, (TABLE,), home=home, on_seam=on_seam)


def land(warehouse: Warehouse, model: str, mark: str) -> Landed:
    rows = [{"model": model, "n": n, "mark": mark} for n in range(ROWS)]
    where = Provenance(mark, "code", "inputs", datetime.now(UTC))
    return warehouse.write(TABLE, {"model": model}, warehouse.frame(TABLE, rows), where)


def die_at(seam: str) -> Callable[[str], None]:
    def pass_seam(name: str) -> None:
        if name == seam:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_seam


def killed(folder: str, seam: str) -> None:
    """Land and publish one partition, and die at a seam."""
    warehouse = opened(folder, die_at(seam))
    land(warehouse, "m", "new")
    warehouse.publish()


def endless(folder: str) -> None:
    """Land and publish until killed; says which step is done."""
    warehouse = opened(folder)
    step = 0
    while True:
        land(warehouse, f"m{step % 3}", f"step-{step}")
        warehouse.publish()
        print(step, flush=True)
        step += 1


def exporter(folder: str, form: Format) -> None:
    """Export again and again until killed, a file over the last one or a folder beside it; says which is done."""
    warehouse = Warehouse(Path(folder), (TABLE,))
    for step in itertools.count():
        name = "all.duckdb" if form == "duckdb" else f"{form}-{step}"
        warehouse.export(Path(folder) / "out" / name, form)
        print(step, flush=True)


def writer(folder: str, name: str, partitions: str) -> None:
    """Land partitions of its own; after every fifth, replace one that all writers replace, and publish."""
    warehouse = opened(folder)
    for number in range(int(partitions)):
        land(warehouse, f"{name}-{number:02d}", f"{name}/{number}")
        if number % 5 == 4:
            land(warehouse, "contended", f"{name}/{number}")
            warehouse.publish()


SUMMARY = "SELECT model, count(*), count(DISTINCT mark), count(DISTINCT run_id) FROM lab.numbers GROUP BY model"


def reader(folder: str, mode: str) -> None:
    """Query the catalogue until the file `done` is there; dies when a partition is torn or one has gone."""
    import duckdb

    one_thread = {"threads": 1}
    catalogue = str(Path(folder) / "influence.duckdb")
    held = duckdb.connect(catalogue, read_only=True, config=one_thread) if mode == "hold" else None
    reads, before = 0, set[str]()
    done = False
    while not done:
        done = (Path(folder) / "done").exists()
        connection = held or duckdb.connect(catalogue, read_only=True, config=one_thread)
        found = connection.execute(SUMMARY).fetchall()
        torn = [row for row in found if row[1:] != (ROWS, 1, 1)]
        now = {row[0] for row in found}
        lost = before - now
        appeared = held is not None and reads and before != now
        if torn or lost or appeared:
            raise SystemExit(f"torn {torn}, lost {lost}, changed under an open connection {appeared}")
        reads, before = reads + 1, now
        if held is None:
            connection.close()
        time.sleep(0.2)
    print(reads, len(before))


if __name__ == "__main__":
    roles = {"killed": killed, "endless": endless, "exporter": exporter, "writer": writer, "reader": reader}
    roles[sys.argv[1]](*sys.argv[2:])
