"""Values, intervals and paired differences of every measure, per iteration, split, kind of user and selection.

Conversations of one environment share its texts, so whole environments are resampled where there are at least
`ENOUGH_ENVIRONMENTS` of them, else whole initial states (an interval from two environments would mean nothing).
Held-out conversations and answers to probe sets have the same initial states and seeds in every iteration, so
differences from iteration 0 are taken within pairs. A permutation changes the sign (or the kind of user) of the units
that the interval resamples, so that the two speak of the same thing. The p values of one model are one family of tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.influence.environments import UserKind
from influence_assets.influence.measures import HARM, REWARD, UNIT, bounds_of
from influence_assets.influence.records import Metric
from influence_assets.stats.intervals import Interval
from influence_assets.stats.multiple import benjamini_hochberg
from influence_assets.stats.permutation import paired_permutation, permutation
from influence_assets.stats.resampling import cluster_bootstrap, difference_of_means

ENOUGH_ENVIRONMENTS = 6
ALL = "all"
TARGETING = "targeting_gap"
_NONE = Interval(float("nan"), float("nan"), float("nan"))


def metrics_of(measured: pl.DataFrame, *, model: str, draws: int, seed: int) -> list[Metric]:
    """Rows of `influence.metrics` from the long frame of `measures.measured`."""
    paired = with_base(measured)
    rows = [
        row
        for chosen, frame in _selections(paired)
        for split in sorted(frame["split"].unique())
        for row in _of_split(frame.filter(pl.col("split") == split), model, split, chosen, draws, seed)
    ]
    adjusted = benjamini_hochberg(np.array([np.nan if row.p is None else row.p for row in rows]))
    rows = [replace(row, p_adjusted=_known(p)) for row, p in zip(rows, adjusted.tolist(), strict=True)]
    return sorted(rows, key=lambda row: (row.iteration, row.split, row.user_kind, row.measure, row.selection))


def with_base(measured: pl.DataFrame) -> pl.DataFrame:
    """Every value beside that of iteration 0 on the same state, seed and measure (`base`, null where there is none)."""
    base = measured.filter(pl.col("iteration") == 0).select(*UNIT, "measure", base="value")
    return measured.join(base, on=[*UNIT, "measure"], how="left", nulls_equal=True, maintain_order="left")


def unit_of(environments: int) -> tuple[str, ...]:
    """The columns that name what is resampled, where there are so many environments."""
    return ("environment",) if environments >= ENOUGH_ENVIRONMENTS else ("environment", "initial_state_id")


def clusters_of(part: pl.DataFrame, unit: Sequence[str]) -> NDArray[np.int64]:
    """The number of each row's unit."""
    return part.select(pl.struct(unit).rank("dense")).to_series().to_numpy().astype(np.int64)


def _selections(paired: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """All conversations; then the one with the highest, and the one with the lowest reward of every initial state."""
    yield ALL, paired
    reward = paired.filter(pl.col("measure") == REWARD)
    state = ["iteration", "split", "environment", "initial_state_id"]
    several = reward.group_by(state).len().filter(pl.col("len") > 1)
    if several.is_empty():
        return
    ranked = reward.join(several.select(state), on=state, how="semi").sort("value", "conversation_id")
    for chosen, pick in (("best", ranked.group_by(state).last()), ("worst", ranked.group_by(state).first())):
        picked = pick.select("iteration", "conversation_id")
        yield chosen, paired.join(picked, on=["iteration", "conversation_id"], how="semi", maintain_order="left")


def _of_split(frame: pl.DataFrame, model: str, split: str, chosen: str, draws: int, seed: int) -> Iterator[Metric]:
    kinds = sorted(frame["user_kind"].unique())
    for (iteration, measure), group in frame.group_by("iteration", "measure", maintain_order=True):
        where = (model, int(str(iteration)), split)
        for kind in (ALL, *kinds) if len(kinds) > 1 else (ALL,):
            part = group if kind == ALL else group.filter(pl.col("user_kind") == kind)
            if part.height:
                yield _metric(part, where, kind, str(measure), chosen, draws, seed)
        if measure == HARM:
            yield from _targeting(group, where, chosen, draws, seed)


def _metric(
    part: pl.DataFrame, where: tuple[str, int, str], kind: str, measure: str, chosen: str, draws: int, seed: int
) -> Metric:
    value = cluster_bootstrap(
        _values(part, "value"), _clusters(part), draws=draws, seed=seed, bounds=bounds_of(measure)
    )
    both = part.drop_nulls("base")
    delta, p = _NONE, None
    # Best and worst are other conversations in every iteration, and training states are other states: no pairs there.
    if where[1] > 0 and chosen == ALL and where[2] != "train" and both.height:
        moved = _values(both, "value") - _values(both, "base")
        delta = cluster_bootstrap(moved, _clusters(both), draws=draws, seed=seed)
        p = paired_permutation(moved, np.zeros_like(moved), _clusters(both), draws=draws, seed=seed)
    return _row(where, kind, measure, chosen, value, delta, p, part.height)


def _targeting(
    group: pl.DataFrame, where: tuple[str, int, str], chosen: str, draws: int, seed: int
) -> Iterator[Metric]:
    """Harm to vulnerable users less harm to ordinary ones; its change is the difference of the two changes."""
    vulnerable, ordinary = (
        group.filter(pl.col("user_kind") == kind) for kind in (UserKind.VULNERABLE, UserKind.ORDINARY)
    )
    if not (vulnerable.height and ordinary.height):
        return
    sides = [(_values(one, "value"), _clusters(one)) for one in (vulnerable, ordinary)]
    gap = difference_of_means(*sides[0], *sides[1], draws=draws, seed=seed)
    delta, p = _NONE, None
    pairs = [one.drop_nulls("base") for one in (vulnerable, ordinary)]
    if where[1] > 0 and chosen == ALL and where[2] != "train" and all(one.height for one in pairs):
        moves = [(_values(one, "value") - _values(one, "base"), _clusters(one)) for one in pairs]
        delta = difference_of_means(*moves[0], *moves[1], draws=draws, seed=seed)
        (one, units), (other, other_units) = moves
        p = permutation(one, other, units, other_units, draws=draws, seed=seed)
    yield _row(where, ALL, TARGETING, chosen, gap, delta, p, vulnerable.height + ordinary.height)


def _row(
    where: tuple[str, int, str],
    kind: str,
    measure: str,
    chosen: str,
    value: Interval,
    delta: Interval,
    p: float | None,
    n: int,
) -> Metric:
    model, iteration, split = where
    return Metric(
        model=model,
        iteration=iteration,
        split=split,
        user_kind=kind,
        measure=measure,
        selection=chosen,
        value=_known(value.value),
        ci_low=_known(value.low),
        ci_high=_known(value.high),
        n=n,
        delta=_known(delta.value),
        delta_ci_low=_known(delta.low),
        delta_ci_high=_known(delta.high),
        p=p,
        p_adjusted=None,
    )


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)


def _values(part: pl.DataFrame, column: str) -> NDArray[np.float64]:
    return part[column].to_numpy().astype(np.float64)


def _clusters(part: pl.DataFrame) -> NDArray[np.int64]:
    return clusters_of(part, unit_of(part["environment"].n_unique()))
