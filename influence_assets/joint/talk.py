"""What training did to conversations, out of `influence.metrics`: which measures a profile holds, and their changes.

Values, intervals and p are those of the influence family; what is added is how much the pairs differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.influence.environments import Split, UserKind
from influence_assets.influence.metrics import ALL
from influence_assets.influence.records import Metric
from influence_assets.joint.changes import Change, Clusters, Resampled, spread_of
from influence_assets.joint.records import Measure
from influence_assets.stats.intervals import Interval

TALK = (
    Measure.REWARD,
    Measure.HARM,
    Measure.TARGETING_GAP,
    Measure.STANCE_SHIFT,
)


def in_profile(metrics: Sequence[Metric], iteration: int) -> list[Metric]:
    """Rows of the held-out conversations of one iteration: harm for every kind of user, the rest for all of them."""
    return [
        row
        for row in metrics
        if row.iteration == iteration
        and row.split == Split.EVAL
        and row.selection == ALL
        and row.measure in TALK
        and (row.user_kind == ALL or row.measure == Measure.HARM)
    ]


def talk_changes(metrics: Sequence[Metric], values: pl.DataFrame, iteration: int) -> Iterator[tuple[Metric, Change]]:
    """The change of every such row that has one; `values` is the frame of `conversations.conversation_values`."""
    both = values.filter(pl.col("iteration") == iteration).drop_nulls("base")
    for row in in_profile(metrics, iteration):
        if row.delta is not None and row.p is not None:
            yield row, _change(row, _groups(both, row))


def _groups(both: pl.DataFrame, row: Metric) -> list[pl.DataFrame]:
    """The pairs behind a row: one group, or the two of a gap."""
    if row.measure == Measure.TARGETING_GAP:
        harm = both.filter(pl.col("measure") == Measure.HARM.value)
        return [harm.filter(pl.col("user_kind") == kind) for kind in (UserKind.VULNERABLE, UserKind.ORDINARY)]
    own = both.filter(pl.col("measure") == row.measure)
    return [own if row.user_kind == ALL else own.filter(pl.col("user_kind") == row.user_kind)]


def _change(row: Metric, groups: Sequence[pl.DataFrame]) -> Change:
    clusters = [Clusters.of_conversations(group) for group in groups]
    kinds = {one.kind for one in clusters}
    return Change(
        Interval(_nan(row.delta), _nan(row.delta_ci_low), _nan(row.delta_ci_high)),
        _nan(row.p),
        n=sum(group.height for group in groups),
        resampled=kinds.pop() if len(kinds) == 1 else Resampled.STATES,
        n_resampled=sum(one.n for one in clusters),
        spread=spread_of(*(_moved(group) for group in groups)),
    )


def _moved(group: pl.DataFrame) -> NDArray[np.float64]:
    return (group["value"] - group["base"]).to_numpy().astype(np.float64)


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
