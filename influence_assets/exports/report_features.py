"""The report's sections on features and on all measures together; they stand in it where their tables have rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from influence_assets.exports import report_plots as plots
from influence_assets.exports.report_parts import Grid, Picture, estimate
from resources.warehouse import Warehouse

_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True)
class Section:
    """A part of the report that is made of tables and figures alone; `name` says which words stand above it."""

    name: str
    grids: tuple[Grid, ...]
    figures: tuple[Picture, ...]


def feature_sections(warehouse: Warehouse) -> list[Section]:
    """Trait scores, steering and the checkpoints' profile, as far as they have landed."""
    return [section for section in _sections(warehouse) if section.grids]


def _sections(warehouse: Warehouse) -> Iterator[Section]:
    traits = _rows(warehouse, "features.trait_scores", "report_trait_scores")
    if traits is not None:
        yield Section("traits", (_trait_grid(traits),), ())
    steering = _rows(warehouse, "features.steering", "report_steering")
    if steering is not None:
        yield Section("steering", (_steering_grid(steering),), tuple(plots.dose_responses(steering)))
    profile = _rows(warehouse, "joint.checkpoint_profile", "report_profile")
    if profile is not None:
        yield Section("profile", (_profile_grid(profile),), tuple(plots.profiles(profile)))


def _rows(warehouse: Warehouse, table: str, query: str) -> pl.DataFrame | None:
    """The rows of a table that this version may not declare; None without any."""
    if table not in {one.name for one in warehouse.tables}:
        return None
    rows = warehouse.query((_SQL / f"{query}.sql").read_text())
    return rows if rows.height else None


def _trait_grid(rows: pl.DataFrame) -> Grid:
    cells = [
        [row["model"], row["iteration"], row["trait"], row["condition"], _of(row, "score"), row["mass"], row["n"]]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("model", "iteration", "trait", "condition", "score", "mass", "n")
    return Grid.of("Trait scores with 95 % intervals; chance is 0.50.", columns, cells, text=4)


def _steering_grid(rows: pl.DataFrame) -> Grid:
    """The strongest push either way of every direction and trait."""
    keys = ["model", "iteration", "direction_id", "positions", "mode", "trait"]
    strongest = rows.filter(
        (pl.col("coefficient") == pl.col("coefficient").max().over(keys))
        | (pl.col("coefficient") == pl.col("coefficient").min().over(keys))
    )
    cells = [
        [*(row[key] for key in keys), row["coefficient"], _of(row, "score"), row["shift"], row["kl"], row["n"]]
        for row in strongest.iter_rows(named=True)
    ]
    columns = ("model", "iteration", "direction", "positions", "mode", "trait", "coefficient", "score", "shift")
    caption = "Trait scores at the strongest push either way, with 95 % intervals."
    return Grid.of(caption, (*columns, "KL (nats)", "n"), cells, text=6)


def _profile_grid(rows: pl.DataFrame) -> Grid:
    cells = [
        [row["model"], row["measure"].replace("_", " "), row["iteration"], _of(row, "value"), row["n"]]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("model", "measure", "iteration", "value", "n")
    return Grid.of("Every measure of every checkpoint with 95 % intervals.", columns, cells, text=2).grouped_by(2)


def _of(row: dict[str, float | None], name: str) -> str:
    return estimate(row[name], row["ci_low"], row["ci_high"])
