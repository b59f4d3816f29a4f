"""Confidence intervals from draws and from counts. Levels are two-sided; .95 unless told otherwise."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

LEVEL = 0.95


class Interval(NamedTuple):
    """A value with the two ends of its confidence interval; nan where it cannot be had."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, level: float = LEVEL) -> Interval:
    """Interval of a share (Wilson 1927, score interval without continuity correction)."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: expected 0 <= successes <= n")
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the ends are 0 and 1 exactly; rounding must not push them past the share.
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def tail(level: float, n_units: int | None = None) -> float:
    """The lower tail probability at which to cut the draws.

    With `n_units` (independent units resampled) it is widened to Student's t and by sqrt(n / (n - 1)), because a
    bootstrap of few units is too narrow: Phi^-1(tail') = -sqrt(n / (n - 1)) t_{n-1}(1 - tail) (Hesterberg 2015, "What
    Teachers Should Know about the Bootstrap", section 5.3, expanded percentile interval).
    """
    plain = (1 - level) / 2
    if n_units is None or n_units < 2:
        return plain
    from scipy.special import stdtrit

    t = float(stdtrit(n_units - 1, 1 - plain))
    return NormalDist().cdf(-math.sqrt(n_units / (n_units - 1)) * t)


def percentile(
    draws_B_: Floats, level: float = LEVEL, n_units: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval over the first axis, nan draws left out: (low, high), each of the remaining shape."""
    lower = tail(level, n_units)
    return _quantiles(draws_B_, lower)


def centred(
    value: Floats | float,
    draws_B_: Floats,
    *,
    level: float = LEVEL,
    n_units: int | None = None,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of draws moved so that their mean is the value, cut to `bounds`.

    Resampled matrices carry the noise of the data twice, which pulls every rank statistic toward its chance level. The
    pull is no property of the estimate, so it is taken out (the additive bias correction of Efron and Tibshirani 1993,
    section 10.6). Shapes as in `percentile`; the ends always enclose the value.
    """
    with np.errstate(invalid="ignore"):
        finite_B = np.isfinite(draws_B_)
        count = finite_B.sum(axis=0)
        total = np.where(finite_B, draws_B_, 0.0).sum(axis=0, dtype=np.float64)
        shift = np.asarray(value, dtype=np.float64) - np.where(count > 0, total / np.maximum(count, 1), np.nan)
    low, high = _quantiles(draws_B_, tail(level, n_units))
    low, high = np.clip(low + shift, *bounds), np.clip(high + shift, *bounds)
    return np.minimum(low, value), np.maximum(high, value)


def bca(value: float, draws_B: Floats, jackknife_N: Floats, level: float = LEVEL) -> Interval:
    """Bias-corrected and accelerated interval (Efron 1987, equations 2.3 and 6.6).

    `jackknife_N` holds the statistic with each unit left out. All nan when fewer than two draws are finite.
    """
    draws_B = draws_B[np.isfinite(draws_B)]
    if draws_B.size < 2 or not math.isfinite(value):
        return Interval(value, math.nan, math.nan)
    normal = NormalDist()
    below = (float((draws_B < value).sum()) + 0.5 * float((draws_B == value).sum())) / draws_B.size
    bias = normal.inv_cdf(min(max(below, 0.5 / draws_B.size), 1 - 0.5 / draws_B.size))
    spread_N = jackknife_N.mean() - jackknife_N
    cubes, squares = float((spread_N**3).sum()), float((spread_N**2).sum())
    acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    ends = []
    for z in (normal.inv_cdf((1 - level) / 2), normal.inv_cdf((1 + level) / 2)):
        moved = bias + (bias + z) / (1 - acceleration * (bias + z))
        ends.append(float(np.quantile(draws_B, normal.cdf(moved))))
    return Interval(value, ends[0], ends[1])


def _quantiles(draws_B_: Floats, lower: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both cuts. nan draws are left out, one column at a time only where there are any."""
    draws = np.asarray(draws_B_, dtype=np.float64)
    cuts = [lower, 1 - lower]
    if not np.isnan(draws).any():
        low, high = np.quantile(draws, cuts, axis=0)
        return low, high
    flat_B_N = draws.reshape(draws.shape[0], -1)
    ends_2_N = np.full((2, flat_B_N.shape[1]), np.nan)
    for column in range(flat_B_N.shape[1]):
        kept = flat_B_N[~np.isnan(flat_B_N[:, column]), column]
        if kept.size:
            ends_2_N[:, column] = np.quantile(kept, cuts)
    low, high = ends_2_N.reshape(2, *draws.shape[1:])
    return low, high
