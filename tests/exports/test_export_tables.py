"""Chosen tables as CSV and Parquet files, from Python and from the command line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from influence_assets.cli import main
from influence_assets.exports.tables import chosen, export_chosen
from resources.errors import InputError
from tests.exports.exported_world import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_chosen_tables_are_written_with_all_their_rows(world: World, tmp_path: Path, form: str) -> None:
    folder = export_chosen(world.project.warehouse, tmp_path / "out", form, ["influence.turns", "steerability"])  # type: ignore[arg-type]
    names = {path.name for path in folder.iterdir()}
    wanted = [table.name for table in world.project.warehouse.tables if table.schema == "steerability"]
    assert names == {f"{name}.{form}" for name in ("influence.turns", *wanted)}
    read = pl.read_csv if form == "csv" else pl.read_parquet
    turns = read(folder / f"influence.turns.{form}")
    assert turns.height == len(world.turns)
    key = ["conversation_id", "position"]
    assert (
        turns.sort(key)["content"].to_list()
        == world.project.warehouse.read("influence.turns").sort(key)["content"].to_list()
    )


def test_names_choose_in_the_declared_order_and_none_means_all(world: World) -> None:
    tables = world.project.warehouse.tables
    assert chosen(tables, ()) == tuple(table.name for table in tables)
    assert chosen(tables, ["influence.turns", "ledger", "influence.turns"]) == (
        "influence.turns",
        "ledger.materializations",
        "ledger.requests",
    )


@pytest.mark.parametrize("name", ["turns", "influence.", "", "influence.turns; DROP TABLE x", "../influence.turns"])
def test_an_unknown_name_is_refused_and_nothing_is_written(world: World, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no such table or schema"):
        export_chosen(world.project.warehouse, tmp_path / "out", "csv", [name])
    assert not (tmp_path / "out").exists()


def test_the_commands_write_into_a_new_folder_alone(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFLUENCE_ROOT", str(world.project.root))
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["export", "parquet", str(out), "steerability.summary"])
    assert done.exit_code == 0, done.output
    assert [path.name for path in out.iterdir()] == ["steerability.summary.parquet"]
    again = CliRunner().invoke(main, ["export", "csv", str(out)])
    assert again.exit_code == 2
    assert "already holds something" in again.output
    unknown = CliRunner().invoke(main, ["export", "csv", str(tmp_path / "other"), "nothing"])
    assert unknown.exit_code == 2
    assert "steerability.summary" in unknown.output
