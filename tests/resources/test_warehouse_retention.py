"""Superseded files: they stay for those who read them, they go in the end, and none goes that is needed."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from resources.tables import Column, Table
from resources.warehouse import Landed, Provenance, Warehouse

TABLE = Table(
    "lab.numbers",
    "Numbers.",
    (Column("model", "VARCHAR", "the model"), Column("n", "BIGINT", "a number")),
    partition=("model",),
    key=("model",),
)


def land(warehouse: Warehouse, n: int, model: str = "m") -> Landed:
    where = Provenance("run", "code", "inputs", datetime.now(UTC))
    return warehouse.write(TABLE, {"model": model}, warehouse.frame(TABLE, [{"model": model, "n": n}]), where)


def test_a_superseded_file_stays_for_the_grace_period_and_then_goes(tmp_path: Path) -> None:
    patient = Warehouse(tmp_path, (TABLE,))
    old, new = land(patient, 1).path, land(patient, 2).path
    patient.publish()
    patient.publish()
    assert old.exists()
    brief = Warehouse(tmp_path, (TABLE,), grace_s=0.3)
    brief.publish()
    assert old.exists()
    time.sleep(0.35)
    brief.publish()
    assert not old.exists()
    assert new.exists()
    assert brief.query("SELECT n FROM lab.numbers")["n"].to_list() == [2]


def test_a_file_that_is_used_again_starts_a_new_grace_period(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,), grace_s=0.3)
    one = land(warehouse, 1).path
    land(warehouse, 2)
    warehouse.publish()
    land(warehouse, 1)
    warehouse.publish()
    time.sleep(0.35)
    land(warehouse, 2)
    warehouse.publish()
    assert one.exists()


@pytest.mark.parametrize("seam", ["mid_write", "before_rename", "after_rename", "after_pointer"])
def test_a_file_is_never_collected_under_a_writer_that_uses_it_again(tmp_path: Path, seam: str) -> None:
    """The writer is held at each seam while another process publishes and collects without any grace."""
    collector = Warehouse(tmp_path, (TABLE,), grace_s=0.0)
    seen = []

    def publish_meanwhile(name: str) -> None:
        if name == seam and not seen:
            seen.append(name)
            thread = threading.Thread(target=collector.publish)
            thread.start()
            thread.join()

    writer = Warehouse(tmp_path, (TABLE,), on_seam=publish_meanwhile)
    first = land(collector, 1)
    land(collector, 2)
    assert first.path.exists()
    again = land(writer, 1)
    assert seen == [seam]
    assert again.path == first.path
    assert collector.read(TABLE)["n"].to_list() == [1]
    collector.publish()
    assert [path.name for path in first.path.parent.iterdir()] == [first.path.name]


def test_files_of_tables_that_this_code_does_not_know_are_kept(tmp_path: Path) -> None:
    both = Warehouse(tmp_path, (TABLE,))
    path = land(both, 1).path
    Warehouse(tmp_path, (), grace_s=0.0).publish()
    assert path.exists()
    assert both.query("SELECT n FROM lab.numbers")["n"].to_list() == [1]


def test_what_dead_writers_left_is_removed_later(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,))
    warehouse.publish()
    old, fresh = tmp_path / "warehouse/scratch/old.parquet", tmp_path / "warehouse/scratch/fresh.parquet"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    warehouse.publish()
    assert (old.exists(), fresh.exists()) == (False, True)
