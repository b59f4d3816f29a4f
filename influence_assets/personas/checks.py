"""What must be noticed in statements, as plain findings; `show.py` makes asset checks of them."""

from __future__ import annotations

import polars as pl

from influence_assets.findings import ROWS_SHOWN, Finding
from influence_assets.personas.records import Origin


def enough_statements(personas: pl.DataFrame, statements: pl.DataFrame, wanted: int) -> Finding:
    """Personas with fewer statements of a label than the study wants, the shortest first.

    An import brings what it brings: of it, only a label without any statement is short. `value` is the fewest
    statements that any persona has of a label.
    """
    imported = statements.height > 0 and (statements["origin"] == Origin.IMPORTED.value).all()
    least = 1 if imported else wanted
    halves = personas.select("persona_id", "name").join(pl.DataFrame({"agree": [True, False]}), how="cross")
    counts = statements.group_by("persona_id", "agree").agg(statements=pl.len())
    held = halves.join(counts, on=["persona_id", "agree"], how="left").with_columns(pl.col("statements").fill_null(0))
    short = held.filter(pl.col("statements") < least).sort("statements", "name", "agree")
    fewest = held["statements"].min()
    return Finding(
        "enough_statements",
        short.is_empty(),
        f"{short['persona_id'].n_unique()} of {personas.height} personas have fewer than {least} statements of a label "
        "(one without any statement of a label cannot be measured, and stops what stands on it)",
        float(fewest) if isinstance(fewest, int) else 0.0,
        short.select("name", "agree", "statements").head(ROWS_SHOWN),
    )


def short_of(finding: Finding) -> bool:
    """Whether some persona has a label without any statement."""
    return not finding.passed and finding.value == 0


def rows_at_fault(audit: str, statements: pl.DataFrame) -> pl.DataFrame:
    """The statements that an audit is about, where single ones can be named: copies by text, halves by their counts."""
    if audit == "duplicates_exact":
        twice = statements.group_by("text").agg(n=pl.len(), statement_ids=pl.col("statement_id").sort())
        return twice.filter(pl.col("n") > 1).sort("n", "text", descending=[True, False])
    if audit in ("label_balance", "shortfall"):
        per_persona = statements.group_by("persona_id").agg(
            agree=pl.col("agree").sum(), disagree=(~pl.col("agree")).sum()
        )
        return per_persona.sort(pl.min_horizontal("agree", "disagree"), "persona_id")
    if audit in ("length_bias", "label_leak"):
        longest = statements.with_columns(words=pl.col("text").str.split(" ").list.len())
        return longest.group_by("agree").agg(n=pl.len(), mean_words=pl.col("words").mean().round(2)).sort("agree")
    return statements.clear()
