"""What a design can detect, from the variance of a pilot: the smallest true difference that a test would find.

Values of one cluster hang together, so a pilot's variance has two parts, between clusters and within them, and a design
that adds values to its clusters is not one that adds clusters. The parts are those of one-way analysis of variance for
clusters of any size (Searle, Casella and McCulloch 1992, "Variance Components", chapter 3), the test is Student's t on
clusters minus one degrees of freedom, as wide as the intervals of `resampling`. A share is a mean of zeros and ones.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]

ALPHA = 0.05
POWER = 0.8


class Pilot(NamedTuple):
    """The variance of a pilot's values, between and within clusters, and how much it rests on."""

    between: float
    within: float
    clusters: int
    n: int


def pilot_variance(values_N: Floats, clusters_N: Integers) -> Pilot:
    """Both parts of the variance of values (paired differences, say); with one value per cluster all is `between`.

    `ValueError` with fewer than two clusters, or nan.
    """
    if values_N.shape != clusters_N.shape or values_N.ndim != 1:
        raise ValueError(f"{values_N.shape} values with {clusters_N.shape} clusters; both must be one equal dimension")
    if np.isnan(values_N).any():
        raise ValueError("nan among the values; leave missing values out of a pilot")
    _, index_N = np.unique(clusters_N, return_inverse=True)
    sizes_C = np.bincount(index_N).astype(np.float64)
    c, n = sizes_C.size, values_N.size
    if c < 2:
        raise ValueError(f"a pilot of {c} clusters has no variance between clusters; it needs two")
    values = values_N.astype(np.float64) - values_N.mean()
    means_C = np.bincount(index_N, weights=values) / sizes_C
    between_square = float(sizes_C @ means_C**2) / (c - 1)
    within = float(((values - means_C[index_N]) ** 2).sum()) / (n - c) if n > c else 0.0
    usual_size = (n - float(sizes_C @ sizes_C) / n) / (c - 1)
    return Pilot(max(0.0, (between_square - within) / usual_size), within, c, n)


def standard_error(pilot: Pilot, sizes_C: Integers) -> float:
    """Of the mean over all values of a design with clusters of `sizes_C` values."""
    n = float(sizes_C.sum())
    return math.sqrt(pilot.between * float((sizes_C / n) @ (sizes_C / n)) + pilot.within / n)


def detectable(pilot: Pilot, sizes_C: Integers, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest true mean that a two-sided test at `alpha` tells from 0 with probability `power`.

    In the unit of the pilot's values. nan for a design of fewer than two clusters, in which there is no test.
    """
    if len(sizes_C) < 2:
        return math.nan
    return shift_in_standard_errors(len(sizes_C) - 1, alpha, power) * standard_error(pilot, sizes_C)


def detectable_gap(
    first: Pilot,
    second: Pilot,
    first_sizes_C: Integers,
    second_sizes_D: Integers,
    *,
    alpha: float = ALPHA,
    power: float = POWER,
) -> float:
    """The smallest true difference between the means of two groups; degrees of freedom are the smaller group's.

    As in `resampling.difference_of_means`, whose interval is as wide. nan where a group has fewer than two clusters.
    """
    fewest = min(len(first_sizes_C), len(second_sizes_D))
    if fewest < 2:
        return math.nan
    error = math.hypot(standard_error(first, first_sizes_C), standard_error(second, second_sizes_D))
    return shift_in_standard_errors(fewest - 1, alpha, power) * error


def shift_in_standard_errors(df: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """The noncentrality at which a two-sided t test on `df` degrees of freedom has that power."""
    from scipy.optimize import brentq
    from scipy.special import nctdtr, stdtrit

    if not 0 < alpha < 0.5 <= power < 1:
        raise ValueError(f"alpha {alpha} and power {power}: expected 0 < alpha < .5 <= power < 1")
    critical = float(stdtrit(df, 1 - alpha / 2))

    def lacking(shift: float) -> float:
        """What the upper tail lacks of `power`; at half or more, the lower tail adds next to nothing to it."""
        return power - 1 + float(nctdtr(df, shift, critical))

    high = 4.0
    while lacking(high) > 0:
        high *= 2
    return float(brentq(lacking, 0.0, high))
