"""Simulated data sets with a known answer, and how often an interval holds it.

`python -m tests.stats.coverage_cases` prints the table of docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.agreement import Measurement, alpha_interval, kappa_interval
from influence_assets.stats.intervals import Interval
from influence_assets.stats.resampling import cluster_bootstrap, difference_of_means, paired_difference

SIZES = (20, 50, 200)
DATA_SETS = 2000
Rng = np.random.Generator
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sizes = Callable[[Rng, int], Integers]


@dataclass(frozen=True)
class Case:
    """`interval(rng, n, seed, draws)` makes one data set of n units, and its 95 % interval for `truth`."""

    name: str
    truth: float
    interval: Callable[[Rng, int, int, int], Interval]
    draws: int = 1000


@dataclass(frozen=True)
class Coverage:
    """The share of data sets whose interval held the truth, and of those that it lay below and above of."""

    held: float
    too_high: float
    too_low: float

    @property
    def error(self) -> float:
        """Monte Carlo standard error of `held`."""
        return math.sqrt(self.held * (1 - self.held) / DATA_SETS)


def coverage(case: Case, n: int) -> Coverage:
    """Over `DATA_SETS` data sets of n units, seeded by n."""
    rng = np.random.default_rng(n)
    ends = np.array([case.interval(rng, n, trial, case.draws)[1:] for trial in range(DATA_SETS)])
    too_high, too_low = (ends[:, 0] > case.truth).mean(), (ends[:, 1] < case.truth).mean()
    return Coverage(float(1 - too_high - too_low), float(too_high), float(too_low))


def fours(_rng: Rng, n: int) -> Integers:
    return np.full(n, 4)


def one_to_twelve(rng: Rng, n: int) -> Integers:
    return rng.integers(1, 13, size=n)


def geometric(rng: Rng, n: int) -> Integers:
    """Mean 5, a few very large."""
    return rng.geometric(0.2, size=n)


def normal(rng: Rng, n: int) -> Floats:
    return rng.normal(size=n)


def skewed(rng: Rng, n: int) -> Floats:
    return rng.exponential(size=n) - 1


def clustered(rng: Rng, n: int, sizes: Sizes, effects: Callable[[Rng, int], Floats]) -> tuple[Floats, Integers]:
    """Half of the variance is shared by the values of a cluster."""
    clusters_N = np.repeat(np.arange(n), sizes(rng, n))
    return effects(rng, n)[clusters_N] + rng.normal(size=clusters_N.size), clusters_N


def mean_of(values: Callable[[Rng, int], Floats], rng: Rng, n: int, seed: int, draws: int) -> Interval:
    return cluster_bootstrap(values(rng, n), np.arange(n), draws=draws, seed=seed)


def clustered_mean(
    sizes: Sizes, effects: Callable[[Rng, int], Floats], rng: Rng, n: int, seed: int, draws: int
) -> Interval:
    return cluster_bootstrap(*clustered(rng, n, sizes, effects), draws=draws, seed=seed)


def paired(rng: Rng, n: int, seed: int, draws: int) -> Interval:
    """A shift of .5 that differs between clusters, on values that share most of their variance."""
    before_N, clusters_N = clustered(rng, n, one_to_twelve, normal)
    shift_N = 0.5 + 0.5 * rng.normal(size=n)[clusters_N] + 0.7 * rng.normal(size=clusters_N.size)
    return paired_difference(before_N + shift_N, before_N, clusters_N, draws=draws, seed=seed)


def gap(rng: Rng, n: int, seed: int, draws: int) -> Interval:
    """n clusters against half as many that vary twice as much."""
    first_N, clusters_N = clustered(rng, n, one_to_twelve, normal)
    second_M, clusters_M = clustered(rng, n // 2, one_to_twelve, normal)
    return difference_of_means(first_N, clusters_N, 2 * second_M, clusters_M, draws=draws, seed=seed)


def raters(rng: Rng, n: int, same: float = 0.7) -> tuple[Integers, Integers]:
    """Two raters over three categories, who both see the item with probability `same`, and else guess: kappa `same`."""
    item_N = rng.integers(0, 3, size=n)
    guesses_2_N = rng.integers(0, 3, size=(2, n))
    seen_N = rng.random(n) < same
    return np.where(seen_N, item_N, guesses_2_N[0]), np.where(seen_N, item_N, guesses_2_N[1])


def kappa(rng: Rng, n: int, seed: int, draws: int) -> Interval:
    return kappa_interval(*raters(rng, n), np.arange(n), 3, draws=draws, seed=seed)


def alpha(rng: Rng, n: int, seed: int, draws: int) -> Interval:
    ratings_J_N = np.stack(raters(rng, n)).astype(float)
    return alpha_interval(ratings_J_N, np.arange(n), Measurement.NOMINAL, draws=draws, seed=seed)


def ones(p: float, rng: Rng, n: int) -> Floats:
    return (rng.random(n) < p).astype(float)


MEANS = (
    Case("mean, normal", 0.0, partial(mean_of, normal)),
    Case("mean, exponential", 0.0, partial(mean_of, skewed)),
    Case("mean, beta(.2, 2): shares near 0", 0.2 / 2.2, partial(mean_of, lambda rng, n: rng.beta(0.2, 2, size=n))),
    Case("mean, clusters of 4", 0.0, partial(clustered_mean, fours, normal)),
    Case("mean, clusters of 1 to 12", 0.0, partial(clustered_mean, one_to_twelve, normal)),
    Case("mean, clusters of geometric size", 0.0, partial(clustered_mean, geometric, normal)),
    Case("mean, clusters of 1 to 12, skewed", 0.0, partial(clustered_mean, one_to_twelve, skewed)),
    Case("paired difference, clusters of 1 to 12", 0.5, paired),
    Case("difference of means, n and n/2 clusters", 0.0, gap),
)
AGREEMENTS = (Case("kappa .7", 0.7, kappa), Case("alpha .7, nominal", 0.7, alpha, draws=200))
HARD = (
    Case("mean, lognormal", math.exp(0.5), partial(mean_of, lambda rng, n: rng.lognormal(size=n))),
    Case("mean of zeros and ones, .9", 0.9, partial(mean_of, partial(ones, 0.9))),
    Case("mean of zeros and ones, .95", 0.95, partial(mean_of, partial(ones, 0.95))),
)


def print_markdown(cases: Sequence[Case], sizes: Sequence[int]) -> None:
    """Coverage in per cent with its Monte Carlo error; in brackets how often the interval lay too high and too low."""
    print("| interval | " + " | ".join(f"n = {n}" for n in sizes) + " |\n|---|" + "---|" * len(sizes))
    for case in cases:
        found = [coverage(case, n) for n in sizes]
        cells = [
            f"{100 * one.held:.1f} ± {100 * one.error:.1f} ({100 * one.too_high:.1f}, {100 * one.too_low:.1f})"
            for one in found
        ]
        print(f"| {case.name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    print_markdown((*MEANS, *AGREEMENTS, *HARD), SIZES)
    print_markdown(MEANS, (6, 8, 10))
