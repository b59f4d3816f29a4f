"""What must be noticed in answers of steered models, as plain findings; `show.py` makes asset checks of them."""

from __future__ import annotations

import polars as pl

from influence_assets.findings import ROWS_SHOWN, Finding

MAX_VOID_SHARE = 0.02
STOP_VOID_SHARE = 0.20
"""Share of void answers above which nothing is built on them; fewer warn."""


def void_share(responses: pl.DataFrame) -> Finding:
    """Answers that are void, refused or given up, and the methods where they stand. References are not answers."""
    asked = _asked(responses)
    bad = pl.col("status") != "ok"
    share = float(asked.select(bad.mean()).item() or 0.0) if asked.height else 0.0
    worst = (
        asked.filter(bad)
        .group_by("method", "n_steer", "status")
        .agg(rows=pl.len(), mass=pl.col("mass").mean().round(4), example=pl.col("statement_id").min())
        .sort("rows", "method", "n_steer", "status", descending=[True, False, False, False])
    )
    return Finding(
        "void_share",
        share <= MAX_VOID_SHARE,
        f"{share:.2%} of the answers are void, refused or given up (at most {MAX_VOID_SHARE:.0%}; above "
        f"{STOP_VOID_SHARE:.0%} nothing is built on them)",
        share,
        worst.head(ROWS_SHOWN),
    )


def answers_differ(responses: pl.DataFrame) -> Finding:
    """Methods that gave every statement the same answer: nothing was measured."""
    constant = (
        _asked(responses)
        .drop_nulls("p_agree")
        .group_by("method", "n_steer")
        .agg(answers=pl.col("p_agree").round(6).n_unique(), p_agree=pl.col("p_agree").first(), rows=pl.len())
        .filter(pl.col("answers") < 2)
        .sort("method", "n_steer")
    )
    return Finding(
        "answers_differ",
        constant.is_empty(),
        f"methods that gave every statement the same answer: {', '.join(constant['method'].to_list()) or 'none'}",
        float(constant.height),
        constant.select("method", "n_steer", "p_agree", "rows").head(ROWS_SHOWN),
    )


def short_personas(sets: pl.DataFrame) -> Finding:
    """Personas that take no part since they have too few statements to steer and to test with."""
    short = sets.filter(pl.col("part") == "short").group_by("framework", "persona_id", "n_steer")
    rows = short.agg(statements=pl.col("statement_id").n_unique()).sort("framework", "persona_id", "n_steer")
    return Finding(
        "personas_take_part",
        rows.is_empty(),
        f"{rows['persona_id'].n_unique()} of {sets['persona_id'].n_unique()} personas have too few statements and take "
        "no part",
        float(rows["persona_id"].n_unique()),
        rows.head(ROWS_SHOWN),
    )


def _asked(responses: pl.DataFrame) -> pl.DataFrame:
    return responses.filter(pl.col("estimator") != "reference")
