"""A change between pairs: its interval, its p, and how large it is beside how much the pairs differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.influence.metrics import ENOUGH_ENVIRONMENTS, clusters_of, unit_of
from influence_assets.stats.intervals import Interval
from influence_assets.stats.permutation import paired_permutation
from influence_assets.stats.resampling import paired_difference

Floats = NDArray[np.floating]


class Resampled(StrEnum):
    """What an interval draws anew, and what a permutation changes the sign of."""

    ENVIRONMENTS = "environments"
    STATES = "initial states"
    PERSONAS = "personas"
    ITEMS = "items"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Clusters:
    """The number of each value's cluster, and what clusters are."""

    number_N: NDArray[np.int64]
    kind: Resampled

    @classmethod
    def single(cls, n: int, kind: Resampled) -> Clusters:
        """Every value by itself."""
        return cls(np.arange(n), kind)

    @classmethod
    def of_conversations(cls, part: pl.DataFrame) -> Clusters:
        """Environments or initial states of the rows, as the influence family's metrics resample them."""
        environments = part["environment"].n_unique()
        kind = Resampled.ENVIRONMENTS if environments >= ENOUGH_ENVIRONMENTS else Resampled.STATES
        return cls(clusters_of(part, unit_of(environments)), kind)

    @property
    def n(self) -> int:
        """How many clusters there are."""
        return len(np.unique(self.number_N))


@dataclass(frozen=True, slots=True)
class Change:
    """Mean change over `n` pairs. `spread` is the standard deviation of the pairs' changes, nan with fewer than two."""

    interval: Interval
    p: float
    n: int
    resampled: Resampled
    n_resampled: int
    spread: float

    @property
    def effect(self) -> float:
        """The change in spreads (Cohen's d of paired values); nan where all pairs changed alike."""
        return self.interval.value / self.spread if self.spread > 0 else math.nan


def paired_change(then_N: Floats, base_N: Floats, clusters: Clusters, *, draws: int, seed: int) -> Change:
    """Mean of `then` less `base`; clusters of pairs are drawn together, and change their sign together.

    Raises `ValueError` for nan, or values that do not pair. The interval is nan with fewer than two clusters.
    """
    numbers = clusters.number_N
    return Change(
        paired_difference(then_N, base_N, numbers, draws=draws, seed=seed),
        paired_permutation(then_N, base_N, numbers, draws=draws, seed=seed),
        n=then_N.size,
        resampled=clusters.kind,
        n_resampled=clusters.n,
        spread=spread_of(then_N - base_N),
    )


def spread_of(*groups: Floats) -> float:
    """Standard deviation within groups, pooled over them; nan where no group has two values.

    Differences that are equal up to rounding have none.
    """
    degrees = sum(group.size - 1 for group in groups if group.size)
    if degrees < 1:
        return math.nan
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if group.size)
    spread = math.sqrt(squares / degrees)
    largest = max(float(np.abs(group).max()) for group in groups if group.size)
    return spread if spread > 1e-9 * largest else 0.0
