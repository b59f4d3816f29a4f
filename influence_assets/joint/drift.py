"""`joint.drift`: every measure's change from the untouched model, in pairs, with all tests of a model adjusted as one
family; and `joint.moves_with_harm`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from influence_assets.features.sweep import NULLS
from influence_assets.influence.metrics import ALL
from influence_assets.joint.changes import Change
from influence_assets.joint.gathered import Gathered
from influence_assets.joint.harm_moves import moves_with_harm
from influence_assets.joint.projections import projection_changes
from influence_assets.joint.records import OF_REPLIES, DriftRow, HarmMove, Measure, known
from influence_assets.joint.steerability import steerability_changes
from influence_assets.joint.talk import talk_changes
from influence_assets.joint.traits import trait_changes
from influence_assets.stats.multiple import benjamini_hochberg


def drift_rows(gathered: Gathered) -> list[DriftRow]:
    """Rows of `joint.drift` of one model; none when it has the untouched checkpoint alone."""
    rows = [row for k in gathered.iterations if k > 0 for row in _of_checkpoint(gathered, k)]
    adjusted = benjamini_hochberg(np.array([math.nan if row.p is None else row.p for row in rows]))
    return [replace(row, p_adjusted=known(p)) for row, p in zip(rows, adjusted.tolist(), strict=True)]


def harm_moves(gathered: Gathered) -> list[HarmMove]:
    """Rows of `joint.moves_with_harm` of one model: conversations' measures, and projections on traits' directions."""
    traits = gathered.directions.filter(~pl.col("method").is_in(NULLS)).select(subject="direction_id", trait="factor")
    of_replies = pl.col("measure").is_in([measure.value for measure in OF_REPLIES.values()])
    read = gathered.values.filter(of_replies).join(traits, on="subject").with_columns(subject="trait").drop("trait")
    values = pl.concat([gathered.values.filter(~of_replies), read.select(gathered.values.columns)])
    return list(moves_with_harm(values, model=gathered.model, draws=gathered.draws, seed=gathered.seed))


def _of_checkpoint(gathered: Gathered, k: int) -> Iterator[DriftRow]:
    draws, seed = gathered.draws, gathered.seed
    responses, answers = gathered.responses, gathered.answers
    for score, method, change in steerability_changes(responses[0], responses[k], draws=draws, seed=seed):
        yield _row(gathered.model, k, score, change, subject=method)
    changes = trait_changes(answers[0], answers[k], min_mass=gathered.min_mass, draws=draws, seed=seed)
    for trait, change in changes:
        yield _row(gathered.model, k, Measure.TRAIT_SCORE, change, subject=trait)
    for measure, kind, texts in gathered.texts(k):
        for moved in projection_changes(texts, draws=draws, seed=seed):
            row = _row(gathered.model, k, measure, moved.change, subject=moved.factor, user_kind=kind)
            yield replace(row, z_random=known(moved.z_random), z_shuffled=known(moved.z_shuffled))
    for metric, change in talk_changes(gathered.metrics, gathered.values, k):
        yield _row(gathered.model, k, Measure(metric.measure), change, user_kind=metric.user_kind)


def _row(model: str, k: int, measure: Measure, change: Change, *, subject: str = "", user_kind: str = ALL) -> DriftRow:
    return DriftRow(
        model=model,
        iteration=k,
        measure=measure.value,
        subject=subject,
        user_kind=user_kind,
        change=known(change.interval.value),
        ci_low=known(change.interval.low),
        ci_high=known(change.interval.high),
        p=known(change.p),
        p_adjusted=None,
        n=change.n,
        resampled=change.resampled.value,
        n_resampled=change.n_resampled,
        spread=known(change.spread),
        effect=known(change.effect),
        z_random=None,
        z_shuffled=None,
        unit=measure.unit,
    )
