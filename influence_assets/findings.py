"""What was looked for in landed rows and what was found, as plain values; and as the asset checks that the UI shows."""

from __future__ import annotations

from typing import NamedTuple

import dagster as dg
import polars as pl

from influence_assets.landing import preview
from influence_assets.step import Step

ROWS_SHOWN = 10
"""Rows at fault that a check shows."""


class Finding(NamedTuple):
    """One thing that was looked for: whether all is well, a sentence, the figure, and the rows at fault."""

    name: str
    passed: bool
    text: str
    value: float
    rows: pl.DataFrame


def check_result(step: Step, finding: Finding, *, error: bool = False) -> dg.AssetCheckResult:
    """The finding as a check of the step's asset. An `error` of a blocking check stops what is downstream."""
    return dg.AssetCheckResult(
        check_name=finding.name,
        asset_key=step.key,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN,
        description=finding.text,
        metadata={
            "value": finding.value,
            "rows": dg.MetadataValue.md(preview(finding.rows, rows=ROWS_SHOWN) if finding.rows.height else "none"),
        },
    )
