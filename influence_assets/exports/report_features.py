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
    steering = _rows(warehouse, "features.dose_response", "report_steering")
    if steering is not None:
        curves = _rows(warehouse, "features.steering", "report_curves")
        figures = () if curves is None else tuple(plots.dose_responses(curves))
        yield Section("steering", (_steering_grid(steering),), figures)
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
        [
            row["model"],
            row["iteration"],
            row["trait"],
            _of(row, "score"),
            row["mass"],
            row["order_consistency"],
            row["n"],
        ]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("model", "iteration", "trait", "score", "mass", "order consistency", "n")
    return Grid.of("Traits without steering, with 95 % intervals; chance is 0.50.", columns, cells, text=3)


def _steering_grid(rows: pl.DataFrame) -> Grid:
    """Every way of steering at its reference coefficient."""
    keys = ("model", "iteration", "trait", "category", "method")
    numbers = ("z", "specificity", "spearman", "kl", "n")
    cells = [
        [*(row[key] for key in keys), row["reference"], _of(row, "shift"), *(row[name] for name in numbers)]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("model", "iteration", "trait", "pole", "method", "coefficient", "shift", "z", "specificity")
    caption = "Shift of the own pole at the reference coefficient, with 95 % intervals; z is against random directions."
    return Grid.of(caption, (*columns, "rank corr. with dose", "KL (nats)", "n"), cells, text=5)


def _profile_grid(rows: pl.DataFrame) -> Grid:
    cells = [
        [row["model"], row["measure"].replace("_", " "), row["iteration"], _of(row, "value"), row["n"]]
        for row in rows.iter_rows(named=True)
    ]
    columns = ("model", "measure", "iteration", "value", "n")
    return Grid.of("Every measure of every checkpoint with 95 % intervals.", columns, cells, text=2).grouped_by(2)


def _of(row: dict[str, float | None], name: str) -> str:
    return estimate(row[name], row["ci_low"], row["ci_high"])
