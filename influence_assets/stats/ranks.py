"""Rank statistics of one value among others.

Two conventions for ties, and they differ a lot: the mid-rank counts a tie as half a win (so a constant system scores
exactly one half), the maximum rank counts it as a win (so a constant system scores one).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]


def auc(positive_N: Floats, negative_M: Floats) -> float:
    """Probability that a random positive lies above a random negative, ties counting half (Mann-Whitney U / NM).

    nan when either side is empty; nan among the values is refused with `ValueError`.
    """
    if not positive_N.size or not negative_M.size:
        return float("nan")
    if np.isnan(positive_N).any() or np.isnan(negative_M).any():
        raise ValueError("nan has no rank; leave missing values out before ranking")
    ordered_M = np.sort(negative_M)
    below_N = np.searchsorted(ordered_M, positive_N, side="left")
    not_above_N = np.searchsorted(ordered_M, positive_N, side="right")
    return float((below_N + not_above_N).sum() / (2.0 * positive_N.size * negative_M.size))


def mid_rank_share(own: Floats, others_N: Floats, weights_N: Floats) -> Floats:
    """Weighted share of the others that lie below `own`, ties counting half.

    `own` has shape [...], `others_N` and `weights_N` broadcast to [..., N]. Others that are nan (not measured) have no
    weight. The result, of shape [...], is nan where `own` is nan or nothing is left to compare with.
    """
    difference_N = own[..., None] - others_N
    wins_N = np.sign(difference_N) * 0.5 + 0.5
    return _weighted_mean(wins_N, weights_N)


def max_rank_share(own: Floats, others_N: Floats, weights_N: Floats) -> Floats:
    """Weighted share of the others (`own` itself among them) that are not above it: pandas' `rank(pct, "max")`.

    Shapes and missing values as in `mid_rank_share`.
    """
    difference_N = own[..., None] - others_N
    wins_N = np.where(np.isnan(difference_N), np.nan, (difference_N >= 0).astype(difference_N.dtype))
    return _weighted_mean(wins_N, weights_N)


def _weighted_mean(values_N: Floats, weights_N: Floats) -> Floats:
    missing_N = np.isnan(values_N)
    if missing_N.any():
        weights_N = np.where(missing_N, 0.0, weights_N)
        values_N = np.where(missing_N, 0.0, values_N)
    total = np.broadcast_to(weights_N, values_N.shape).sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.where(total > 0, (values_N * weights_N).sum(axis=-1) / total, np.nan)
    return mean
