"""Bootstrap, vectorised. Draws are counts: how often each unit stands in each resample.

Counts turn every bootstrap of a mean into one matrix product, and the same counts used for two quantities pair them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import LEVEL, Interval, percentile

Floats = NDArray[np.floating]

FARTHEST_T = 2.0
"""A bootstrap t interval reaches at most this many times as far as Student's."""


def counts(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """[draws, n]: how often each of n units is drawn in n draws with replacement; rows sum to n."""
    if n < 1 or draws < 1:
        raise ValueError(f"cannot resample {n} units {draws} times; both must be at least 1")
    drawn_B_N: NDArray[np.float32] = ragged_counts(np.array([n]), n, draws, rng)[0]
    return drawn_B_N


def ragged_counts(
    sizes_G: NDArray[np.integer], width: int, draws: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """[G, draws, width]: counts within each of G groups of `sizes_G` units, padded with zeros to `width`."""
    result_G_B_N = np.zeros((len(sizes_G), draws, width), dtype=np.float32)
    offsets_B = np.arange(draws)[:, None] * width
    for group, size in enumerate(sizes_G.tolist()):
        if size:
            picks_B_N = rng.integers(0, size, size=(draws, size))
            flat = np.bincount((picks_B_N + offsets_B).ravel(), minlength=draws * width)
            result_G_B_N[group] = flat.reshape(draws, width)
    return result_G_B_N


def bootstrap_mean(values_N: Floats, *, draws: int, seed: int, level: float = LEVEL) -> Interval:
    """Mean of independent values with its interval; see `cluster_bootstrap`."""
    return cluster_bootstrap(values_N, np.arange(len(values_N)), draws=draws, seed=seed, level=level)


def cluster_bootstrap(
    values_N: Floats,
    clusters_N: NDArray[np.integer],
    *,
    draws: int,
    seed: int,
    level: float = LEVEL,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Mean over all values; whole clusters are resampled, so values of one cluster may depend on one another.

    Each end is the farther one of two intervals: the expanded percentile interval (`intervals.tail`), which lumpy
    values such as zeros and ones need, and the bootstrap t interval (Efron and Tibshirani 1993, section 12.5), which
    skewed values need; docs/statistics.md has the coverage of both. That of few clusters is now and then far too wide,
    so it counts up to `FARTHEST_T` times Student's. Cut to `bounds`, the range that a mean can have.
    nan values are refused with `ValueError`. With fewer than two clusters the interval is nan.
    """
    means = _means(values_N, clusters_N, draws=draws, seed=seed)
    return _interval(means, means.clusters, level, bounds)


def difference_of_means(
    first_N: Floats,
    first_clusters_N: NDArray[np.integer],
    second_M: Floats,
    second_clusters_M: NDArray[np.integer],
    *,
    draws: int,
    seed: int,
    level: float = LEVEL,
) -> Interval:
    """Mean of the first sample minus that of the second; clusters are resampled within each sample.

    Ends as in `cluster_bootstrap`, as wide as the sample with fewer clusters asks for; nan with fewer than two clusters
    in either.
    """
    one = _means(first_N, first_clusters_N, draws=draws, seed=seed)
    two = _means(second_M, second_clusters_M, draws=draws, seed=seed + 1)
    difference = _Means(
        one.value - two.value,
        math.hypot(one.error, two.error),
        one.draws_B - two.draws_B,
        np.hypot(one.errors_B, two.errors_B),
        one.clusters + two.clusters,
    )
    return _interval(difference, min(one.clusters, two.clusters), level)


def paired_difference(
    first_N: Floats, second_N: Floats, clusters_N: NDArray[np.integer], *, draws: int, seed: int, level: float = LEVEL
) -> Interval:
    """Mean of first minus second over pairs, clusters of pairs resampled together."""
    if first_N.shape != second_N.shape:
        raise ValueError(f"{first_N.shape} and {second_N.shape} values do not pair")
    return cluster_bootstrap(first_N - second_N, clusters_N, draws=draws, seed=seed, level=level)


class _Means(NamedTuple):
    """A mean with its standard error, and the same of every resample; nan with fewer than two clusters."""

    value: float
    error: float
    draws_B: NDArray[np.float64]
    errors_B: NDArray[np.float64]
    clusters: int


def _means(values_N: Floats, clusters_N: NDArray[np.integer], *, draws: int, seed: int) -> _Means:
    """Errors are those of a ratio of sums over clusters, linearised (Cochran 1977, "Sampling Techniques", 2.11)."""
    if values_N.shape != clusters_N.shape or values_N.ndim != 1 or not values_N.size:
        raise ValueError(f"{values_N.shape} values with {clusters_N.shape} clusters; both must be one equal dimension")
    if np.isnan(values_N).any():
        raise ValueError("nan among the values; leave missing values out before resampling")
    _, index_N = np.unique(clusters_N, return_inverse=True)
    value = float(np.mean(values_N, dtype=np.float64))
    sums_C = np.bincount(index_N, weights=values_N - value)  # around the mean, so that squares keep their digits
    sizes_C = np.bincount(index_N).astype(np.float64)
    c = sizes_C.size
    if c < 2:
        none_B = np.full(draws, math.nan)
        return _Means(value, math.nan, none_B, none_B, c)
    counts_B_C = counts(c, draws, np.random.default_rng(seed)).astype(np.float64)
    parts_C_5 = np.stack([sums_C, sizes_C, sums_C**2, sums_C * sizes_C, sizes_C**2], axis=1)
    sum_B, n_B, square_B, product_B, size_square_B = (counts_B_C @ parts_C_5).T
    moved_B = sum_B / n_B
    around_B = np.maximum(square_B - 2 * moved_B * product_B + moved_B**2 * size_square_B, 0.0)
    small = c / (c - 1)
    error = math.sqrt(small * float(sums_C @ sums_C)) / float(sizes_C.sum())
    return _Means(value, error, value + moved_B, np.sqrt(small * around_B) / n_B, c)


def _interval(
    means: _Means, n_units: int, level: float, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    from scipy.special import stdtrit

    if math.isnan(means.error):
        return Interval(means.value, math.nan, math.nan)
    low, high = (float(end) for end in percentile(means.draws_B, level, n_units=n_units))
    # A resample of equal values has no error, and so no t; what is left of its error is rounding.
    usable_B = means.errors_B > 1e-6 * means.error
    if means.error > 0 and usable_B.any():
        t_B = (means.draws_B[usable_B] - means.value) / means.errors_B[usable_B]
        farthest = FARTHEST_T * float(stdtrit(n_units - 1, (1 + level) / 2))
        low_t, high_t = (min(max(float(end), -farthest), farthest) for end in percentile(t_B, level))
        low, high = min(low, means.value - high_t * means.error), max(high, means.value - low_t * means.error)
    # Resampled means of one and the same value differ from it in the last digit; an interval holds its own value.
    low, high = min(low, means.value), max(high, means.value)
    return Interval(means.value, max(low, bounds[0]), min(high, bounds[1]))
