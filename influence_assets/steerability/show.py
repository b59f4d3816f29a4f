"""What the UI shows of the steerability assets: void share, heat map, scores, and checks that notice silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from influence_assets.findings import check_result
from influence_assets.landing import preview
from influence_assets.personas import tables as persona_tables
from influence_assets.personas.audits import Said, steer_test_leakage
from influence_assets.pictures import picture
from influence_assets.steerability import checks, plots, tables
from influence_assets.step import Step

LEAKAGE = ("steer_test_leakage_exact", "steer_test_leakage_near")
SET_CHECKS = ("personas_take_part",)
RESPONSE_BLOCKING = ("void_share",)
RESPONSE_CHECKS = ("answers_differ",)


def responses(step: Step) -> Mapping[str, dg.MetadataValue]:
    """Void share, mean mass and accuracy on the own persona, per method."""
    rows = step.read(tables.RESPONSES)
    own = pl.col("steered_persona_id") == pl.col("test_persona_id")
    per_method = (
        rows.group_by("method", "n_steer")
        .agg(
            rows=pl.len(),
            void=(pl.col("status") != "ok").mean().round(4),
            mass=pl.col("mass").mean().round(4),
            own_accuracy=pl.col("correct").filter(own).mean().round(3),
            other_accuracy=pl.col("correct").filter(~own).mean().round(3),
        )
        .sort("method", "n_steer")
    )
    return {
        "void_share": dg.MetadataValue.float(checks.void_share(rows).value),
        "methods": dg.MetadataValue.md(preview(per_method, rows=40)),
    }


def matrix(step: Step) -> Mapping[str, dg.MetadataValue]:
    """A heat map of the method with the best diagonal, personas in the order of the study."""
    cells = step.read(tables.MATRIX)
    if cells.is_empty():
        return {}
    people = step.read(persona_tables.PERSONAS).sort("framework", "position")
    method, n_steer = plots.clearest_method(cells)
    return {"heat_map": _heat_map(step, cells, method, n_steer, people["persona_id"].to_list())}


def clusters(step: Step) -> Mapping[str, dg.MetadataValue]:
    """The order of the dendrogram with each persona's cluster, for the method with the clearest clusters."""
    rows = step.read(tables.CLUSTERS)
    if rows.is_empty():
        return {}
    names = step.read(persona_tables.PERSONAS).select("persona_id", "name")
    shown = rows.filter(pl.col("scope") == rows["scope"][0]).join(names, on="persona_id", how="left")
    shown = shown.select("scope", "method", "n_steer", "position", "name", "cluster").sort(
        "method", "n_steer", "position"
    )
    return {"clusters": dg.MetadataValue.md(preview(shown, rows=100))}


def metrics(step: Step) -> Mapping[str, dg.MetadataValue]:
    """The summary as a table, and as a plot with intervals and chance levels."""
    summary = step.read(tables.SUMMARY)
    if summary.is_empty():
        return {}
    shown = summary.select(
        "method", "n_steer", "score", *(pl.col(name).round(3) for name in ("value", "ci_low", "ci_high", "chance")), "n"
    ).filter(pl.col("score").is_in(["sensitivity", "specificity", "gain", "leakage", "identification"]))
    return {
        "scores": dg.MetadataValue.md(preview(shown, rows=60)),
        **{
            f"{score}_plot": picture(
                plots.score_plot(summary, score=score, title=f"{score} of {step.partition}"), f"{score} by method"
            )
            for score in ("sensitivity", "gain")
        },
    }


def set_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """No text that steers a persona tests the same system, and every persona takes part."""
    sets = step.read(tables.STEERING_SETS)
    texts = step.read(persona_tables.STATEMENTS).select("statement_id", "text")
    said = sets.join(texts, on="statement_id").with_columns(
        key=pl.format("{} {} {}", "persona_id", "repeat", "n_steer")
    )
    parts = {
        part: [Said(*row) for row in said.filter(pl.col("part") == part).select("key", "text").iter_rows()]
        for part in ("steer", "test")
    }
    rows = steer_test_leakage("all", parts["steer"], parts["test"], threshold=step.study.personas.filters.cross_persona)
    return [
        check_result(step, checks.short_personas(sets)),
        *(
            dg.AssetCheckResult(
                check_name=row.audit,
                asset_key=step.key,
                passed=row.status == "pass",
                severity=dg.AssetCheckSeverity.ERROR if row.status == "fail" else dg.AssetCheckSeverity.WARN,
                description=row.detail,
                metadata={"share": row.value or 0.0, "n": row.n},
            )
            for row in rows
        ),
    ]


def response_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """Too many void answers, or a method that gives every statement the same answer, mean that nothing was measured."""
    rows = step.read(tables.RESPONSES)
    void = checks.void_share(rows)
    return [
        check_result(step, void, error=void.value > checks.STOP_VOID_SHARE),
        check_result(step, checks.answers_differ(rows)),
    ]


def _heat_map(step: Step, cells: pl.DataFrame, method: str, n_steer: int, order: Sequence[str]) -> dg.MetadataValue:
    measured = set(cells["steered_persona_id"])
    names = dict(step.read(persona_tables.PERSONAS).select("persona_id", "name").iter_rows())
    order = [persona_id for persona_id in order if persona_id in measured]
    image = plots.heat_map(
        cells,
        method=method,
        n_steer=n_steer,
        title=f"{step.partition}: {method}",
        order=order,
        labels=[names[persona_id] for persona_id in order],
    )
    return picture(image, "accuracy of steered persona by test persona")
