"""The report's section on steerability: scores of every method, a matrix, and each persona's scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from influence_assets.exports.report_parts import DASH, Grid, Picture, estimate, number
from influence_assets.personas import tables as personas
from influence_assets.steerability import plots, tables
from resources.warehouse import Warehouse

SCORES = ("sensitivity", "specificity", "gain", "leakage", "identification")
SIGNED = ("gain", "leakage", "double_centred")


@dataclass(frozen=True)
class SteeringResult:
    """One checkpoint: scores by method, a plot of them, the clearest method's matrix, personas and dimensions."""

    model: str
    iteration: int
    scores: Grid
    figures: tuple[Picture, ...]
    personas: Grid
    dimensions: Grid | None


def steering_results(warehouse: Warehouse) -> list[SteeringResult]:
    """Every checkpoint with scores, in the order of models and iterations."""
    return list(_results(warehouse))


def _results(warehouse: Warehouse) -> Iterator[SteeringResult]:
    people = warehouse.read(personas.PERSONAS).sort("framework", "position")
    for where in warehouse.partitions(tables.SUMMARY):
        summary, matrix = warehouse.read(tables.SUMMARY, where), warehouse.read(tables.MATRIX, where)
        if summary.is_empty() or matrix.is_empty():
            continue
        method, n_steer = plots.clearest_method(matrix)
        chosen = (pl.col("method") == method) & (pl.col("n_steer") == n_steer)
        yield SteeringResult(
            model=where["model"],
            iteration=int(where["iteration"]),
            scores=_scores(summary.filter(pl.col("framework") == "")),
            figures=(_points(summary), _matrix(matrix, people, method, n_steer)),
            personas=_personas(warehouse.read(tables.SCORES, where).filter(chosen), people, method),
            dimensions=_dimensions(summary.filter(chosen & (pl.col("framework") != "")), method),
        )


def _scores(summary: pl.DataFrame) -> Grid:
    """A row per method, the best gain first, and the chance level of each score below."""
    present = [name for name in SCORES if name in summary["score"].to_list()]
    gains = summary.filter(pl.col("score") == "gain").select("method", "n_steer", gain="value")
    runs = summary.select("method", "n_steer").unique().join(gains, on=["method", "n_steer"], how="left")
    ranked = runs.sort("gain", "method", descending=[True, False], nulls_last=True)
    rows: list[list[object]] = []
    for method, n_steer in ranked.select("method", "n_steer").rows():
        of_method = summary.filter((pl.col("method") == method) & (pl.col("n_steer") == n_steer))
        units = of_method.filter(pl.col("score") == "sensitivity")["n"].to_list()
        rows.append([method, n_steer or None, *(_cell(of_method, name) for name in present), *(units or [None])])
    chances = ["chance", None, *(number(_chance(summary, name)) for name in present), None]
    columns = ("method", "statements shown", *present, "personas")
    return Grid.of("Scores over all personas with 95 % intervals.", columns, [*rows, chances])


def _cell(of_method: pl.DataFrame, score: str) -> str:
    found = of_method.filter(pl.col("score") == score).select("value", "ci_low", "ci_high").rows()
    return estimate(*found[0], signed=score in SIGNED) if found else DASH


def _chance(summary: pl.DataFrame, score: str) -> float | None:
    levels = summary.filter(pl.col("score") == score)["chance"].drop_nulls().to_list()
    return float(levels[0]) if levels else None


def _personas(scores: pl.DataFrame, people: pl.DataFrame, method: str) -> Grid:
    present = [name for name in ("accuracy", *SCORES) if name in scores["score"].to_list()]
    rows = [
        [framework, name, *(_cell(scores.filter(pl.col("persona_id") == persona_id), score) for score in present)]
        for framework, name, persona_id in people.select("framework", "name", "persona_id").iter_rows()
        if persona_id in set(scores["persona_id"])
    ]
    return Grid.of(f"Scores of every persona under {method}.", ("framework", "persona", *present), rows, text=2)


def _dimensions(summary: pl.DataFrame, method: str) -> Grid | None:
    """Scores along the frameworks' own dimensions; side effects of one dimension on another are left out."""
    kept = summary.drop_nulls("value").filter(~pl.col("score").str.starts_with("side_effect"))
    if kept.is_empty():
        return None
    rows = [
        [row["framework"], row["score"].replace("_", " "), _of(row), row["chance"], row["n"]]
        for row in kept.sort("framework", "score").iter_rows(named=True)
    ]
    columns = ("framework", "score", "value", "chance", "n")
    return Grid.of(f"Scores along the frameworks' dimensions under {method}.", columns, rows, text=2)


def _of(row: dict[str, float | None]) -> str:
    return estimate(row["value"], row["ci_low"], row["ci_high"])


def _points(summary: pl.DataFrame) -> Picture:
    image = plots.score_plot(summary, score=("sensitivity", "specificity", "gain"), title="")
    return Picture("Scores of each method with 95 % intervals; the dashed line is chance.", image)


def _matrix(matrix: pl.DataFrame, people: pl.DataFrame, method: str, n_steer: int) -> Picture:
    measured = set(matrix["steered_persona_id"])
    order: Sequence[tuple[str, str]] = [
        (persona_id, name)
        for persona_id, name in people.select("persona_id", "name").iter_rows()
        if persona_id in measured
    ]
    image = plots.heat_map(
        matrix,
        method=method,
        n_steer=n_steer,
        title="",
        order=[persona_id for persona_id, _ in order],
        labels=[name for _, name in order],
    )
    return Picture(f"Accuracy under {method}: rows are steered personas, columns the personas tested.", image)
