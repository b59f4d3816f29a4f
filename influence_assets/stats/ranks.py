"""Rank statistics of two groups, ties counting half."""

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
