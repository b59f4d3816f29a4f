"""Names are data: hostile partition keys and texts are stored and read back exactly, and nothing appears elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import sql
from resources.errors import WarehouseError
from resources.tables import Column, Table
from resources.warehouse import Provenance, Warehouse

TABLE = Table(
    "lab.names",
    "One row per model.",
    (Column("model", "VARCHAR", 'the model; it\'s "quoted"; --'), Column("text", "VARCHAR", "any text")),
    partition=("model",),
    key=("model", "text"),
)
HOSTILE = (
    "it's",
    'say "hi"',
    "'); COPY (SELECT 1) TO '/tmp/gone.csv'; --",
    "a\0b",
    "x" * 4096,
    "\u202egnp.exe\u202c",
    "\N{PILE OF POO}\N{ZERO WIDTH JOINER}\N{CHERRY BLOSSOM}",
    "../../../../etc/passwd",
    "/absolute",
    "con",
    "NUL.txt",
    "*?[a-z]{b,c}",
    "model=other/part",
    "$HOME `id` \\ %s {0}",
    " spaces\tand\r\nlines ",
    ".",
    "e\u0301",
    "\u00e9",
    "\u0001\u001b[2J",
    "null",
)


def provenance(run_id: str = "run") -> Provenance:
    return Provenance(run_id, "code", "inputs", datetime(2026, 1, 1, tzinfo=UTC))


def test_hostile_names_are_stored_and_read_back_exactly(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "data", (TABLE,))
    for name in HOSTILE:
        rows = [{"model": name, "text": text} for text in HOSTILE]
        warehouse.write(TABLE, {"model": name}, warehouse.frame(TABLE, rows), provenance(name))
    assert {found["model"] for found in warehouse.partitions(TABLE)} == set(HOSTILE)
    for name in HOSTILE:
        assert set(warehouse.read(TABLE, {"model": name})["text"]) == set(HOSTILE)
    warehouse.publish()
    seen = warehouse.query(
        "SELECT model, count(DISTINCT text) AS texts, any_value(run_id) AS run FROM lab.names GROUP BY 1"
    )
    assert dict(zip(seen["model"], seen["texts"], strict=True)) == dict.fromkeys(HOSTILE, len(HOSTILE))
    assert seen["model"].to_list() == seen["run"].to_list()
    partitions = warehouse.query("SELECT partition['model'] AS model FROM _catalog.files")
    assert set(partitions["model"]) == set(HOSTILE)
    for name in HOSTILE:
        bound = warehouse.query("SELECT count(*) AS n FROM lab.names WHERE model = $name", {"name": name})
        assert bound["n"][0] == len(HOSTILE)
    assert _outside(tmp_path) == []
    for name in HOSTILE:
        assert warehouse.drop(TABLE, {"model": name})
    assert warehouse.read(TABLE).height == 0


def _outside(folder: Path) -> list[Path]:
    """Files whose names are not hashes, scratch names or ours."""
    allowed = {"influence.duckdb", "publish.lock", "gate.lock", "published.json", "superseded.json", "turns"}
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in allowed
        and not (len(path.stem) == 64 and set(path.stem) <= set("0123456789abcdef"))
    ]


def test_names_without_a_utf8_form_are_refused(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,))
    for lone in ("\ud800", "a\udfffb"):
        for use in (warehouse.pointer, warehouse.read, warehouse.drop):
            with pytest.raises(WarehouseError, match=r"lab.names: model=.*UTF-8") as caught:
                use(TABLE, {"model": lone})
            assert str(caught.value).isascii()
        with pytest.raises(WarehouseError, match="UTF-8"):
            warehouse.write(TABLE, {"model": lone}, pl.DataFrame({"model": ["a"], "text": ["b"]}), provenance())
        with pytest.raises(WarehouseError, match=r"lab\.names\.text"):
            warehouse.frame(TABLE, [{"model": "a", "text": lone}])
        with pytest.raises(WarehouseError, match="run_id"):
            provenance(lone)


def test_wrong_partition_columns_are_named(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, (TABLE,))
    with pytest.raises(WarehouseError, match="'modle'"):
        warehouse.read(TABLE, {"modle": "a"})
    with pytest.raises(WarehouseError, match=r"\['model'\]"):
        warehouse.pointer(TABLE, {})


@given(text=st.text())
def test_quoting_gives_back_the_text_or_refuses(text: str) -> None:
    import duckdb

    if "\0" in text:
        for quote in (sql.literal, sql.identifier):
            with pytest.raises(WarehouseError):
                quote(text)
        return
    assert duckdb.execute(f"SELECT {sql.literal(text)}").fetchone() == (text,)
    if text:
        assert duckdb.execute(f"SELECT 1 AS {sql.identifier(text)}").description[0][0] == text
