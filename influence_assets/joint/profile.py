"""`joint.checkpoint_profile`: everything that is measured of every checkpoint, with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from influence_assets.features.items import Half
from influence_assets.features.trait_rows import score_rows
from influence_assets.influence.metrics import ALL
from influence_assets.joint.gathered import Gathered
from influence_assets.joint.projections import projection_values
from influence_assets.joint.records import Measure, ProfileRow, known
from influence_assets.joint.steerability import steerability_scores
from influence_assets.joint.talk import in_profile
from influence_assets.stats.intervals import Interval


def profile_rows(gathered: Gathered) -> list[ProfileRow]:
    """Rows of `joint.checkpoint_profile` of one model."""
    return [row for k in gathered.iterations for row in _of_checkpoint(gathered, k)]


def _of_checkpoint(gathered: Gathered, k: int) -> Iterator[ProfileRow]:
    draws, seed = gathered.draws, gathered.seed
    for score, method, estimate in steerability_scores(gathered.responses[k], draws=draws, seed=seed):
        yield _row(gathered.model, k, score, method, estimate.overall, estimate.n)
    yield from _traits(gathered, k)
    for measure, kind, texts in gathered.texts(k):
        for factor, interval, n in projection_values(texts, draws=draws, seed=seed):
            yield replace(_row(gathered.model, k, measure, factor, interval, n), user_kind=kind)
    for metric in in_profile(gathered.metrics, k):
        yield ProfileRow(
            model=gathered.model,
            iteration=k,
            measure=metric.measure,
            subject="",
            user_kind=metric.user_kind,
            value=metric.value,
            ci_low=metric.ci_low,
            ci_high=metric.ci_high,
            n=metric.n,
            unit=Measure(metric.measure).unit,
        )


def _traits(gathered: Gathered, k: int) -> Iterator[ProfileRow]:
    """The trait test's own scores, of the held-out items."""
    scores = score_rows(gathered.answers[k], draws=gathered.draws, seed=gathered.seed, min_mass=gathered.min_mass)
    for row in scores:
        if row.half == Half.HELDOUT.value:
            yield ProfileRow(
                model=gathered.model,
                iteration=k,
                measure=Measure.TRAIT_SCORE.value,
                subject=row.trait,
                user_kind=ALL,
                value=row.score,
                ci_low=row.ci_low,
                ci_high=row.ci_high,
                n=row.n,
                unit=Measure.TRAIT_SCORE.unit,
            )


def _row(model: str, k: int, measure: Measure, subject: str, interval: Interval, n: int) -> ProfileRow:
    return ProfileRow(
        model=model,
        iteration=k,
        measure=measure.value,
        subject=subject,
        user_kind=ALL,
        value=known(interval.value),
        ci_low=known(interval.low),
        ci_high=known(interval.high),
        n=n,
        unit=measure.unit,
    )
