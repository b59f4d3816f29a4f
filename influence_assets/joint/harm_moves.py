"""Whether what changed in a conversation goes with the change in harm, over held-out initial states.

Samples of one state are averaged first, since what is asked about is how states differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from influence_assets.joint.changes import Clusters
from influence_assets.joint.records import HarmMove, Measure, known
from influence_assets.stats.correlation import cluster_spearman

_STATE = ("environment", "initial_state_id")


def moves_with_harm(values: pl.DataFrame, *, model: str, draws: int, seed: int) -> Iterator[HarmMove]:
    """Rows of `joint.moves_with_harm` from the frame of `conversations.conversation_values`, subjects named for people.

    One row per trained iteration, measure and subject that has pairs; the correlation is null where either side did
    not change.
    """
    moved = (
        values.drop_nulls("base")
        .filter(pl.col("iteration") > 0)
        .group_by("iteration", "measure", "subject", *_STATE, maintain_order=True)
        .agg(moved=(pl.col("value") - pl.col("base")).mean())
    )
    harm = moved.filter(pl.col("measure") == Measure.HARM.value).select("iteration", *_STATE, harm="moved")
    others = moved.filter(pl.col("measure") != Measure.HARM.value).join(harm, on=["iteration", *_STATE])
    ordered = others.sort("iteration", "measure", "subject", *_STATE)
    for (iteration, measure, subject), part in ordered.group_by("iteration", "measure", "subject", maintain_order=True):
        clusters = Clusters.of_conversations(part)
        first, second = (part[name].to_numpy().astype(np.float64) for name in ("moved", "harm"))
        correlation = cluster_spearman(first, second, clusters.number_N, draws=draws, seed=seed)
        yield HarmMove(
            model=model,
            iteration=int(str(iteration)),
            measure=str(measure),
            subject=str(subject),
            correlation=known(correlation.value),
            ci_low=known(correlation.low),
            ci_high=known(correlation.high),
            n=part.height,
            resampled=clusters.kind.value,
            n_resampled=clusters.n,
        )
