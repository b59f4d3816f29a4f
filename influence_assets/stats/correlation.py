"""Rank correlation with an interval that draws whole clusters."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import LEVEL, Interval, percentile
from influence_assets.stats.resampling import counts

Floats = NDArray[np.floating]

FEWEST = 3
"""Clusters below which there is no interval: two points always lie on a line."""


def cluster_spearman(
    first_N: Floats,
    second_N: Floats,
    clusters_N: NDArray[np.integer],
    *,
    draws: int,
    seed: int,
    level: float = LEVEL,
) -> Interval:
    """Spearman's rank correlation of pairs, ties at mid-ranks, with an expanded percentile interval over clusters.

    Pairs are ranked anew in every resample. A resample in which either side is constant has no correlation and is left
    out. nan throughout where either side is constant, an interval of nan with fewer than `FEWEST` clusters;
    `ValueError` for nan among the values, or shapes that do not pair.
    """
    if first_N.shape != second_N.shape or first_N.ndim != 1 or clusters_N.shape != first_N.shape:
        raise ValueError(f"{first_N.shape} and {second_N.shape} values with {clusters_N.shape} clusters do not pair")
    if np.isnan(first_N).any() or np.isnan(second_N).any():
        raise ValueError("nan among the values; leave missing pairs out before ranking")
    if not first_N.size:
        return Interval(math.nan, math.nan, math.nan)
    once_1_N = np.ones((1, first_N.size))
    value = float(_weighted_spearman(first_N, second_N, once_1_N)[0])
    _, cluster_N = np.unique(clusters_N, return_inverse=True)
    c = int(cluster_N.max()) + 1
    if c < FEWEST or math.isnan(value):
        return Interval(value, math.nan, math.nan)
    counts_B_C = counts(c, draws, np.random.default_rng(seed)).astype(np.float64)
    low, high = (
        float(end)
        for end in percentile(_weighted_spearman(first_N, second_N, counts_B_C[:, cluster_N]), level, n_units=c)
    )
    return Interval(value, min(low, value), max(high, value))


def _weighted_spearman(first_N: Floats, second_N: Floats, weights_B_N: Floats) -> NDArray[np.float64]:
    """[B]: the correlation of mid-ranks when pair n stands `weights_B_N[b, n]` times in draw b; nan if constant."""
    x_B_N, y_B_N = _mid_ranks(first_N, weights_B_N), _mid_ranks(second_N, weights_B_N)
    # Mid-ranks of a draw of n pairs are around (n + 1) / 2, whatever the ties; here they count from 0.
    centre_B_1 = weights_B_N.sum(axis=1, keepdims=True) / 2
    x_B_N, y_B_N = x_B_N - centre_B_1, y_B_N - centre_B_1
    both_B = (weights_B_N * x_B_N * y_B_N).sum(axis=1)
    squares_B = (weights_B_N * x_B_N**2).sum(axis=1) * (weights_B_N * y_B_N**2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(squares_B > 0, np.clip(both_B / np.sqrt(squares_B), -1.0, 1.0), np.nan)


def _mid_ranks(values_N: Floats, weights_B_N: Floats) -> NDArray[np.float64]:
    """How much of a draw lies below each value, its equals counting half."""
    below_N_N = (values_N[:, None] < values_N) + 0.5 * (values_N[:, None] == values_N)
    ranks: NDArray[np.float64] = weights_B_N @ below_N_N
    return ranks
