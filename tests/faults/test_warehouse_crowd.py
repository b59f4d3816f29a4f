"""8 writers x 50 partitions against 4 readers: nothing torn, nothing refused, nothing lost."""

from __future__ import annotations

from pathlib import Path

from test_warehouse_kill import published, start
from warehouse_process import ROWS, TABLE, land

from resources.warehouse import Warehouse

WRITERS, PARTITIONS = 8, 50


def test_many_write_while_many_read(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,))
    land(warehouse, "contended", "first")
    warehouse.publish()
    readers = [start("reader", tmp_path, mode) for mode in ("hold", "hold", "reconnect", "reconnect")]
    writers = [start("writer", tmp_path, f"w{number}", str(PARTITIONS)) for number in range(WRITERS)]
    try:
        for process in writers:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
        (tmp_path / "done").touch()
        seen = []
        for process in readers:
            out, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            seen.append(tuple(map(int, out.split())))
    finally:
        for process in (*readers, *writers):
            process.kill()
    expected = [f"w{w}-{p:02d}" for w in range(WRITERS) for p in range(PARTITIONS)]
    assert [model for model, _, rows in published(tmp_path) if rows == ROWS] == ["contended", *expected]
    assert warehouse.read(TABLE).height == ROWS * (WRITERS * PARTITIONS + 1)
    assert all(reads >= 3 for reads, _ in seen), seen
    assert [partitions for _, partitions in seen[2:]] == [len(expected) + 1] * 2
