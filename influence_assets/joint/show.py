"""What the UI shows of the joint assets: tables, the picture of the drift, and checks that notice silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from influence_assets.joint import plots, tables
from influence_assets.joint.probe_stages import why_no_probes, why_no_projections
from influence_assets.joint.profile_stages import why_no_drift
from influence_assets.landing import preview
from influence_assets.pictures import picture
from influence_assets.step import Step

PROBE_CHECKS = ("probes_are_answered",)
PROFILE_CHECKS = ("iterations_have_the_same_measures",)
DRIFT_CHECKS = ("changes_have_intervals",)
MAX_VOID = 0.2

Shown = Mapping[str, dg.MetadataValue]


def probes(step: Step, k: int) -> Shown:
    """How much was asked and read, and why nothing where nothing was."""
    reason = why_no_probes(step, k)
    if reason:
        return {"why_no_rows": dg.MetadataValue.text(reason)}
    read = step.read(tables.PROJECTIONS, iteration=k)
    if read.is_empty():
        return {"why_no_projections": dg.MetadataValue.text(why_no_projections(step, k))}
    counted = read.group_by("text_set", "method").agg(
        texts=pl.col("text_id").n_unique(),
        directions=pl.col("direction_id").n_unique(),
        mean=pl.col("projection").mean(),
    )
    return {"projections": dg.MetadataValue.md(preview(counted.sort("text_set", "method"), rows=20))}


def probe_checks(step: Step, k: int) -> Sequence[dg.AssetCheckResult]:
    """Void answers are no measurement."""
    responses, items = (step.read(table, iteration=k) for table in (tables.RESPONSES, tables.TRAIT_ANSWERS))
    low = pl.col("status") != "ok"
    light = low | (pl.col("mass").fill_null(0.0) < step.study.features.min_mass)
    void = pl.concat(
        [
            responses.filter(low).select(probe=pl.lit("statement"), id="statement_id"),
            items.filter(light).select(probe=pl.lit("trait item"), id="item_id"),
        ]
    )
    n = responses.height + items.height
    text = f"{void.height} of {n} answers are void; more than {MAX_VOID:.0%} leave little to compare"
    return [_result(step, PROBE_CHECKS[0], void.group_by("probe", "id").len(), text, void.height <= MAX_VOID * n)]


def profile(step: Step) -> Shown:
    """Every measure, its iterations side by side."""
    rows = step.read(tables.CHECKPOINT_PROFILE)
    if rows.is_empty():
        return {"why_no_rows": dg.MetadataValue.text(why_no_probes(step, 0))}
    wide = rows.with_columns(pl.col("value").round(3)).pivot(
        "iteration", index=["measure", "subject", "user_kind", "unit"], values="value", sort_columns=True
    )
    return {"values by iteration": dg.MetadataValue.md(preview(wide, rows=100))}


def profile_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """A measure that only some checkpoints have cannot be compared."""
    rows = step.read(tables.CHECKPOINT_PROFILE).drop_nulls("value")
    n = rows["iteration"].n_unique()
    found = rows.group_by("measure", "subject", "user_kind").agg(iterations=pl.col("iteration").sort())
    lacking = found.filter(pl.col("iterations").list.len() < n).sort("measure", "subject", "user_kind")
    text = f"{lacking.height} of {found.height} measures are not there for each of {n} checkpoints"
    return [_result(step, PROFILE_CHECKS[0], lacking, text, lacking.is_empty())]


def drift(step: Step) -> Shown:
    """The drift as a picture and a table, and what moves with harm."""
    rows, moves = step.read(tables.DRIFT), step.read(tables.MOVES_WITH_HARM)
    if rows.is_empty():
        return {"why_no_rows": dg.MetadataValue.text(why_no_drift(step))}
    names = ("iteration", "measure", "subject", "user_kind", "change", "ci_low", "ci_high", "p_adjusted", "effect", "n")
    image = plots.drift(rows, title=f"{step.partition}: change from the untouched model")
    return {
        "drift": picture(image, "standardized change of every measure with its interval"),
        "changes": dg.MetadataValue.md(preview(_rounded(rows.select(names)), rows=120)),
        "moves with harm": dg.MetadataValue.md(preview(_rounded(moves.drop("model")), rows=60)),
    }


def drift_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """A change of a single persona, item or state has no interval."""
    rows = step.read(tables.DRIFT)
    lacking = rows.filter(pl.col("ci_low").is_null()).select("iteration", "measure", "subject", "user_kind", "n")
    text = f"{lacking.height} of {rows.height} changes have no interval, since fewer than two units pair"
    return [_result(step, DRIFT_CHECKS[0], lacking, text, lacking.is_empty())]


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.float().round(3))


def _result(step: Step, name: str, faulty: pl.DataFrame, text: str, passed: bool) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=step.key,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"rows": dg.MetadataValue.md(preview(faulty, rows=10))} if faulty.height else {},
    )
