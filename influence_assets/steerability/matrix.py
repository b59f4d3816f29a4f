"""From responses to the matrix: one cell per steered and test persona."""

from __future__ import annotations

import math

import polars as pl

from influence_assets.steerability.tables import SCHEMA_ORDER

MAX_LOG_ODDS = 10.0
"""Nats. A probability of exactly 0 or 1 would make a cell's margin infinite, so each answer counts at most this."""


def matrix(responses: pl.DataFrame) -> pl.DataFrame:
    """Rows of `steerability.matrix` from rows of `steerability.responses`, over all repeats.

    accuracy is the share of right answers among those that count; margin is the mean of +-ln(p / (1 - p)), positive
    toward the right answer, each cut to +-`MAX_LOG_ODDS`. Void answers are counted in n_void and nowhere else.
    """
    least = 1.0 / (1.0 + math.exp(MAX_LOG_ODDS))
    p = pl.col("p_agree").clip(least, 1 - least)
    right = pl.when(pl.col("agree")).then(p).otherwise(1 - p)
    cell = ["model", "iteration", "method", "n_steer", "steered_persona_id", "test_persona_id"]
    return (
        responses.group_by(cell)
        .agg(
            pl.col("correct").count().cast(pl.Int32).alias("n"),
            pl.col("correct").null_count().cast(pl.Int32).alias("n_void"),
            pl.col("correct").mean().alias("accuracy"),
            (right / (1 - right)).log().mean().alias("margin"),
        )
        .sort(cell)
        .select(SCHEMA_ORDER["steerability.matrix"])
    )
