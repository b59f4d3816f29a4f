"""kill -9 at every seam of a write and a publication: what was there stays, and a rerun brings the rest."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from warehouse_process import ROWS, TABLE, land

from resources.warehouse import SEAMS, Warehouse
from tests.forked import CHECKOUT, interpreter
from tests.scale import scaled

Record = Callable[[str, object], None]
TIMES_S = [0.013, 0.11, *(random.Random(4).uniform(0.0, 0.3) for _ in range(scaled(0, 58)))]


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [str(interpreter()), "-m", "tests.faults.warehouse_process", *map(str, arguments)]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def published(folder: Path) -> list[tuple[str, str, int]]:
    """What a plain DuckDB client sees: model, mark and rows of every partition."""
    with duckdb.connect(str(folder / "influence.duckdb"), read_only=True) as connection:
        query = "SELECT model, mark, count(*) FROM lab.numbers GROUP BY 1, 2 ORDER BY 1, 2"
        return connection.execute(query).fetchall()


def test_a_kill_at_any_seam_loses_nothing(tmp_path: Path, record_property: Record) -> None:
    folders = {seam: tmp_path / seam for seam in SEAMS}
    for folder in folders.values():
        warehouse = Warehouse(folder, (TABLE,))
        land(warehouse, "m", "old")
        land(warehouse, "other", "old")
        warehouse.publish()
    running = {seam: start("killed", folder, seam) for seam, folder in folders.items()}
    for seam, process in running.items():
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, (seam, errors)
    for seam, folder in folders.items():
        _check_recovery(seam, folder)
    record_property("kills", len(SEAMS))


def _check_recovery(seam: str, folder: Path) -> None:
    assert published(folder) == [("m", "old", ROWS), ("other", "old", ROWS)], seam
    warehouse = Warehouse(folder, (TABLE,), grace_s=0.0)
    moved = seam in ("after_pointer", "mid_publish", "before_publish_rename")
    marks = warehouse.read(TABLE, {"model": "m"})["mark"]
    assert marks.to_list() == ["new" if moved else "old"] * ROWS, seam
    again = land(warehouse, "m", "new")
    assert again.changed is not moved
    warehouse.publish()
    assert published(folder) == [("m", "new", ROWS), ("other", "old", ROWS)], seam
    for leftover in (folder / "warehouse/scratch").iterdir():
        os.utime(leftover, (time.time() - 7200,) * 2)
    warehouse.publish()
    assert not [*(folder / "warehouse/scratch").iterdir()], seam
    clean = Warehouse(folder.parent / f"{seam}-uninterrupted", (TABLE,))
    assert again.data_version == land(clean, "m", "new").data_version
    assert len([*again.path.parent.iterdir()]) == 2, seam


@pytest.mark.parametrize("after_s", TIMES_S)
def test_a_kill_at_any_time_leaves_whole_partitions(tmp_path: Path, after_s: float, record_property: Record) -> None:
    process = start("endless", tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    time.sleep(after_s)
    process.kill()
    rest = process.communicate(timeout=60)[0].split()
    done = int(rest[-1]) if rest else 0
    seen = published(tmp_path)
    assert all(rows == ROWS for _, _, rows in seen)
    assert max(int(mark.removeprefix("step-")) for _, mark, _ in seen) in (done, done + 1)
    warehouse = Warehouse(tmp_path, (TABLE,))
    assert all(warehouse.read(TABLE, here)["mark"].n_unique() == 1 for here in warehouse.partitions(TABLE))
    land(warehouse, "m0", "after")
    warehouse.publish()
    assert ("m0", "after", ROWS) in published(tmp_path)
    record_property("kills", 1)


FORMS = ["duckdb", "parquet", "csv"] * scaled(1, 10)


@pytest.mark.parametrize(("number", "form"), list(enumerate(FORMS)))
def test_a_kill_in_an_export_leaves_whole_exports(
    tmp_path: Path, number: int, form: str, record_property: Record
) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,))
    for model in ("a", "b", "c"):
        land(warehouse, model, "x")
    warehouse.publish()
    out = tmp_path / "out"
    out.mkdir()
    process = start("exporter", tmp_path, form)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    time.sleep(random.Random(number).uniform(0.0, 0.2))
    process.kill()
    process.communicate(timeout=60)
    # What a killed export leaves beside says by its name that it is none.
    whole = [path for path in out.iterdir() if ".exporting" not in path.name]
    assert whole
    for path in whole:
        with duckdb.connect(str(path) if form == "duckdb" else ":memory:", read_only=form == "duckdb") as connection:
            table = "lab.numbers" if form == "duckdb" else f"'{path}/lab.numbers.{form}'"
            query = f"SELECT model, count(*) FROM {table} GROUP BY 1 ORDER BY 1"
            assert connection.execute(query).fetchall() == [("a", ROWS), ("b", ROWS), ("c", ROWS)]
    warehouse.export(tmp_path / "again", "parquet")
    record_property("kills", 1)
