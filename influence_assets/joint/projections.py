"""Projections of checkpoints, and how they changed, text by text, beside how controls changed.

Fine-tuning moves a stream along almost any direction, so a change along a trait's direction is stated in units of what
random directions, and directions of shuffled labels, moved at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.features.sweep import NULLS, RANDOM, SHUFFLED
from influence_assets.joint.changes import Change, Clusters, Resampled, paired_change
from influence_assets.joint.records import Measure, ReadText
from influence_assets.stats.intervals import Interval
from influence_assets.stats.resampling import cluster_bootstrap


class Moved(NamedTuple):
    """How a projection on a trait's direction changed; the z are nan without controls."""

    factor: str
    change: Change
    z_random: float
    z_shuffled: float


def projection_values(texts: pl.DataFrame, *, draws: int, seed: int) -> Iterator[tuple[str, Interval, int]]:
    """Trait, mean projection with interval, and number of texts, of one checkpoint and text set.

    `texts` as `neutral_texts` and `reply_texts` make them.
    """
    own = texts.filter(~pl.col("method").is_in(NULLS))
    for (factor,), part in own.group_by("factor", maintain_order=True):
        clusters = _clusters(part)
        interval = cluster_bootstrap(_column(part, "value"), clusters.number_N, draws=draws, seed=seed)
        yield str(factor), interval, part.height


def projection_changes(texts: pl.DataFrame, *, draws: int, seed: int) -> Iterator[Moved]:
    """How the projection on every trait's direction changed from the untouched model, over texts that pair."""
    both = texts.drop_nulls("base")
    rms = {name: _root_mean_square(both.filter(pl.col("method") == name)) for name in NULLS}
    for (factor,), part in both.filter(~pl.col("method").is_in(NULLS)).group_by("factor", maintain_order=True):
        change = paired_change(_column(part, "value"), _column(part, "base"), _clusters(part), draws=draws, seed=seed)
        z_random, z_shuffled = (_ratio(change.interval.value, rms[name]) for name in (RANDOM, SHUFFLED))
        yield Moved(str(factor), change, z_random, z_shuffled)


def neutral_texts(projections: pl.DataFrame, iteration: int) -> pl.DataFrame:
    """Neutral texts of one checkpoint: text_id, direction_id, factor, method, value, base."""
    neutral = projections.filter(pl.col("text_set") == ReadText.NEUTRAL)
    base = neutral.filter(pl.col("iteration") == 0).select("text_id", "direction_id", base="projection")
    return (
        neutral.filter(pl.col("iteration") == iteration)
        .rename({"projection": "value"})
        .join(base, on=["text_id", "direction_id"], how="left")
        .sort("factor", "direction_id", "text_id")
    )


def reply_texts(values: pl.DataFrame, directions: pl.DataFrame, measure: Measure, iteration: int) -> pl.DataFrame:
    """Replies of one checkpoint in the same form, with the columns of their conversations.

    `values` is the frame of `conversations.conversation_values`, `directions` says factor and method of direction_id.
    """
    return (
        values.filter((pl.col("iteration") == iteration) & (pl.col("measure") == measure.value))
        .rename({"subject": "direction_id"})
        .join(directions, on="direction_id")
        .sort("factor", "direction_id", "environment", "initial_state_id", "sample")
    )


def directions_of(projections: pl.DataFrame) -> pl.DataFrame:
    """direction_id with its factor and method."""
    return projections.select("direction_id", "factor", "method").unique().sort("direction_id")


def _clusters(part: pl.DataFrame) -> Clusters:
    if "environment" in part.columns:
        return Clusters.of_conversations(part)
    return Clusters.single(part.height, Resampled.TEXTS)


def _root_mean_square(controls: pl.DataFrame) -> float:
    """Of the mean changes along control directions; nan without any."""
    moved = (pl.col("value") - pl.col("base")).mean()
    means = controls.group_by("direction_id", maintain_order=True).agg(moved=moved)["moved"]
    return math.sqrt(float((means.to_numpy() ** 2).mean())) if len(means) else math.nan


def _ratio(change: float, rms: float) -> float:
    return change / rms if rms > 0 else math.nan


def _column(part: pl.DataFrame, name: str) -> NDArray[np.float64]:
    return part[name].to_numpy().astype(np.float64)
