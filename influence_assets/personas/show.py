"""What the UI shows of the persona assets: counts, and audits as asset checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from influence_assets.findings import ROWS_SHOWN, check_result
from influence_assets.landing import preview
from influence_assets.personas import checks, tables
from influence_assets.step import Step

STATEMENT_BLOCKING = ("enough_statements",)
AUDITS = ("label_leak", "length_bias", "duplicates_exact", "duplicates_near", "label_balance", "shortfall")


def statements(step: Step) -> Mapping[str, dg.MetadataValue]:
    """Kept statements, contrast pairs, and how many candidates each filter failed and why."""
    kept = step.read(tables.STATEMENTS)
    decisions = step.read(tables.FILTER_DECISIONS)
    failures = (
        decisions.group_by("filter")
        .agg(seen=pl.len(), failed=(~pl.col("passed")).sum(), mean_score=pl.col("score").mean().round(3))
        .sort("seen", descending=True)
    )
    return {
        "kept": dg.MetadataValue.int(kept.height),
        "in_contrast_pairs": dg.MetadataValue.int(kept["pair_id"].drop_nulls().len()),
        "filters": dg.MetadataValue.md(preview(failures, rows=10)),
    }


def statement_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """Every persona has the statements that the study wants; one without any of a label cannot be measured."""
    wanted = step.study.personas.agree_per_persona
    found = checks.enough_statements(step.read(tables.PERSONAS), step.read(tables.STATEMENTS), wanted)
    return [check_result(step, found, error=checks.short_of(found))]


def audit_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """One check per audit: `fail` is an error, `warn` (also: too little to measure) a warning."""
    rows = {row["audit"]: row for row in step.read(tables.STATEMENT_AUDIT).iter_rows(named=True)}
    statements = step.read(tables.STATEMENTS)
    return [_check(step, name, rows.get(name), checks.rows_at_fault(name, statements)) for name in AUDITS]


def _check(step: Step, name: str, row: Mapping[str, object] | None, at_fault: pl.DataFrame) -> dg.AssetCheckResult:
    if row is None:
        return dg.AssetCheckResult(
            check_name=name, asset_key=step.key, passed=True, description="does not apply to an imported benchmark"
        )
    shown = {key: row[key] for key in ("value", "ci_low", "ci_high", "threshold_warn", "threshold_fail", "n")}
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=step.key,
        passed=row["status"] == "pass",
        severity=dg.AssetCheckSeverity.ERROR if row["status"] == "fail" else dg.AssetCheckSeverity.WARN,
        description=str(row["detail"]),
        metadata={key: value for key, value in shown.items() if isinstance(value, int | float)}
        | ({} if row["status"] == "pass" else {"rows": dg.MetadataValue.md(preview(at_fault, rows=ROWS_SHOWN))}),
    )
