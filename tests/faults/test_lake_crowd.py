"""Rows in a DuckLake: 8 writers at once lose nothing, and a writer that is killed leaves whole partitions."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from test_warehouse_kill import published, start
from warehouse_process import LAKE, ROWS, TABLE, land, opened

from tests.scale import scaled
from tests.servers.postgres import Postgres

WRITERS, PARTITIONS = 8, scaled(5, 50)


@pytest.fixture
def folder(tmp_path: Path, postgres: Postgres) -> Path:
    (tmp_path / LAKE).write_text(postgres.database())
    return tmp_path


def test_eight_write_at_once_while_others_read(folder: Path) -> None:
    warehouse = opened(folder)
    land(warehouse, "contended", "first")
    warehouse.publish()
    readers = [start("reader", folder, mode) for mode in ("hold", "reconnect")]
    writers = [start("writer", folder, f"w{number}", str(PARTITIONS)) for number in range(WRITERS)]
    try:
        for process in writers:
            _, errors = process.communicate(timeout=280)
            assert process.returncode == 0, errors
        (folder / "done").touch()
        for process in readers:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    finally:
        for process in (*readers, *writers):
            process.kill()
    expected = [f"w{w}-{p:02d}" for w in range(WRITERS) for p in range(PARTITIONS)]
    assert [model for model, _, rows in published(folder) if rows == ROWS] == ["contended", *expected]
    # What a client of the lake sees, and what the pointers say, are the same rows.
    held = warehouse.read(TABLE)
    assert held.height == ROWS * (WRITERS * PARTITIONS + 1)
    in_lake = lake_rows(folder, "SELECT model, n, mark FROM lake.lab.numbers")
    assert sorted(in_lake) == sorted(held.rows())
    # One commit for each landing, none of them lost under another: the declaration, the first, and the writers'.
    landings = lake_rows(folder, "SELECT count(*) FROM lake.snapshots() WHERE commit_extra_info ->> 'run_id' <> ''")
    assert landings == [(1 + WRITERS * (PARTITIONS + PARTITIONS // 5),)]


def test_a_killed_writer_leaves_whole_partitions(folder: Path) -> None:
    for after_s in [0.023 * n for n in range(scaled(3, 25))]:
        process = start("endless", folder)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors
        warehouse = opened(folder)
        held = warehouse.read(TABLE)
        in_lake = lake_rows(folder, "SELECT model, n, mark FROM lake.lab.numbers")
        assert sorted(in_lake) == sorted(held.rows())
        assert set(held.group_by("model").len()["len"]) == {ROWS}
        assert all(warehouse.read(TABLE, here)["mark"].n_unique() == 1 for here in warehouse.partitions(TABLE))
        land(warehouse, "m0", f"after-{after_s}")
        warehouse.publish()
        assert ("m0", f"after-{after_s}", ROWS) in published(folder)


def lake_rows(folder: Path, query: str) -> list[tuple[object, ...]]:
    """What any client of DuckLake gets that knows where the catalogue is."""
    from resources.ducklake import Address, Lake

    lake = Lake(Address((folder / LAKE).read_text(), folder / "lake"))
    try:
        return lake.rows(query)
    finally:
        lake.close()
