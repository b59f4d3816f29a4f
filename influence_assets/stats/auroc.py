"""AUROC of many columns at once, and intervals that hold with twenty texts a side.

A column is anything that scores texts (a latent, a projection). Ties count half, as in `ranks.auc`; columns are taken
in chunks, so that a matrix of 65,536 latents is never copied whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import LEVEL

Floats = NDArray[np.floating]
Float64s = NDArray[np.float64]
Booleans = NDArray[np.bool_]

CHUNK_VALUES = 4_000_000
_HALVINGS = 40


class Intervals(NamedTuple):
    """One value per column, with the two ends of its confidence interval."""

    value_F: Float64s
    low_F: Float64s
    high_F: Float64s


def chunks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of columns that hold about `CHUNK_VALUES` values each."""
    width = max(1, CHUNK_VALUES // max(rows, 1))
    for start in range(0, columns, width):
        yield slice(start, min(start + width, columns))


def aurocs(values_N_F: Floats, member_C_N: Booleans) -> Float64s:
    """[C, F]: for each class and column, the probability that a random member lies above a random other, ties half.

    `member_C_N` says which of the N rows belong to each class; the rest of the rows are its others, so that one ranking
    of a column serves all classes. nan for a class without members or without others. nan among the values is refused
    with `ValueError`.
    """
    rows, columns = values_N_F.shape
    if member_C_N.ndim != 2 or member_C_N.shape[1] != rows:
        raise ValueError(f"classes of shape {member_C_N.shape} for {rows} rows; expected [classes, {rows}]")
    result_C_F = np.empty((len(member_C_N), columns))
    size_C = member_C_N.sum(axis=1).astype(np.float64)
    lowest_C = size_C * (size_C + 1) / 2
    with np.errstate(invalid="ignore"):
        for part in chunks(rows, columns):
            ranks_F_N = _ranks(values_N_F[:, part].T)
            above_C_F = member_C_N.astype(np.float64) @ ranks_F_N.T - lowest_C[:, None]
            result_C_F[:, part] = above_C_F / (size_C * (rows - size_C))[:, None]
    return result_C_F


def auroc_intervals(positive_N_F: Floats, negative_M_F: Floats, level: float = LEVEL) -> Intervals:
    """AUROC per column with an interval: at either end, the wider of two that fail in different places.

    One solves |theta - value| = z sqrt(V(theta)) with the variance of Hanley and McNeil (1982, equation 2 with their
    exponential approximation of Q1 and Q2), as Newcombe (2006, part 2, method 5) does: it is right at and near 1, where
    DeLong's variance is 0, but too narrow where the two sides spread very unequally. The other is DeLong's (1988) on
    the logit scale, which sees the spread. Together they cover at least the level, and more with many ties
    (tests/stats/test_auroc.py has the figures). nan with fewer than two rows on a side.
    """
    n, m = len(positive_N_F), len(negative_M_F)
    columns = positive_N_F.shape[1]
    if negative_M_F.shape[1] != columns:
        raise ValueError(f"{columns} columns on one side and {negative_M_F.shape[1]} on the other")
    if min(n, m) < 2:
        nothing_F = np.full(columns, np.nan)
        return Intervals(nothing_F, nothing_F.copy(), nothing_F.copy())
    value_F, variance_F = np.empty(columns), np.empty(columns)
    for part in chunks(n + m, columns):
        value_F[part], variance_F[part] = _delong(positive_N_F[:, part], negative_M_F[:, part])
    z = NormalDist().inv_cdf(0.5 + level / 2)
    low_F, high_F = _logit_ends(value_F, variance_F, z)
    return Intervals(
        value_F,
        np.minimum(low_F, _score_end(value_F, np.zeros(columns), n, m, z)),
        np.maximum(high_F, _score_end(value_F, np.ones(columns), n, m, z)),
    )


def _ranks(values_F_N: Floats) -> Float64s:
    """Mid-ranks along the rows; columns that never vary (latents that never fire) are not sorted."""
    if np.isnan(values_F_N).any():
        raise ValueError("nan has no rank; leave missing values out before ranking")
    rows = values_F_N.shape[1]
    ranks_F_N = np.full(values_F_N.shape, (rows + 1) / 2)
    if rows:
        varies_F = (values_F_N != values_F_N[:, :1]).any(axis=1)
        if varies_F.any():
            from scipy.stats import rankdata  # slow to import

            ranks_F_N[varies_F] = rankdata(np.ascontiguousarray(values_F_N[varies_F]), axis=1)
    return ranks_F_N


def _delong(positive_N_F: Floats, negative_M_F: Floats) -> tuple[Float64s, Float64s]:
    """AUROC and DeLong's variance, by ranks among all less ranks among one's own (Sun and Xu 2014)."""
    n, m = len(positive_N_F), len(negative_M_F)
    ranks_F_ = _ranks(np.concatenate([positive_N_F, negative_M_F]).T)
    above_F_N = (ranks_F_[:, :n] - _ranks(positive_N_F.T)) / m
    below_F_M = 1 - (ranks_F_[:, n:] - _ranks(negative_M_F.T)) / n
    return above_F_N.mean(axis=1), above_F_N.var(axis=1, ddof=1) / n + below_F_M.var(axis=1, ddof=1) / m


def _logit_ends(value_F: Float64s, variance_F: Float64s, z: float) -> tuple[Float64s, Float64s]:
    """Ends on the logit scale; the value itself at 0 and 1, which have no logit."""
    inner_F = (value_F > 0) & (value_F < 1)
    theta_F = np.where(inner_F, value_F, 0.5)
    logit_F = np.log(theta_F / (1 - theta_F))
    half_F = z * np.sqrt(variance_F) / (theta_F * (1 - theta_F))
    ends = [1 / (1 + np.exp(-(logit_F + sign * half_F))) for sign in (-1, 1)]
    return np.where(inner_F, ends[0], value_F), np.where(inner_F, ends[1], value_F)


def _score_end(value_F: Float64s, outer_F: Float64s, n: int, m: int, z: float) -> Float64s:
    """The farthest theta between the value and `outer_F` that the value does not contradict, by bisection."""
    inner_F = value_F.copy()
    for _ in range(_HALVINGS):
        middle_F = (inner_F + outer_F) / 2
        far_F = np.abs(value_F - middle_F) > z * np.sqrt(_hanley_mcneil(middle_F, n, m))
        inner_F, outer_F = np.where(far_F, inner_F, middle_F), np.where(far_F, middle_F, outer_F)
    # At 0 and 1 the variance is 0 and nothing is nearer than the value itself.
    return inner_F


def _hanley_mcneil(theta_F: Float64s, n: int, m: int) -> Float64s:
    q1_F, q2_F = theta_F / (2 - theta_F), 2 * theta_F**2 / (1 + theta_F)
    square_F = theta_F**2
    variance_F = theta_F * (1 - theta_F) + (n - 1) * (q1_F - square_F) + (m - 1) * (q2_F - square_F)
    return np.maximum(variance_F, 0.0) / (n * m)
