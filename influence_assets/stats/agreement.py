"""How far raters agree beyond chance: Krippendorff's alpha and Cohen's kappa, with intervals over clusters of items.

Alpha is 1 - D_o / D_e with D_o the mean squared distance between ratings of one item and D_e that between any two
ratings (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"). Each level of measurement is a way to place
values as points: interval values where they are, ordinal ones at their mid-ranks (which is his ordinal metric), nominal
ones at the corners of a simplex. Then, with SS sums of squares around the mean, m_u ratings of item u and n in all,

    alpha = 1 - (n - 1) / n * sum_u [m_u / (m_u - 1) * SS_u] / SS.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from influence_assets.stats.intervals import LEVEL, Interval, percentile
from influence_assets.stats.resampling import counts

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
Weights = Literal["none", "linear", "quadratic"]

_NAN = float("nan")


class Measurement(StrEnum):
    """What may be said of two ratings: the same or not, more or less, or how far apart."""

    NOMINAL = "nominal"
    ORDINAL = "ordinal"
    INTERVAL = "interval"


def krippendorff_alpha(ratings_J_N: Floats, measurement: Measurement) -> float:
    """Alpha of J raters over N items; nan is a missing rating, and items with fewer than two ratings say nothing.

    nan where it is undefined: fewer than two ratings that pair, or no rating unlike another.
    """
    ratings_J_N = _pairable(_two_dimensional(ratings_J_N))
    return _alpha(ratings_J_N, np.ones(ratings_J_N.shape[1]), measurement)


def alpha_interval(
    ratings_J_N: Floats,
    clusters_N: Integers,
    measurement: Measurement,
    *,
    draws: int,
    seed: int,
    level: float = LEVEL,
) -> Interval:
    """Alpha with its bootstrap interval; whole clusters of items (conversations) are resampled.

    Resamples in which alpha is undefined are left out. The ends are nan with fewer than two clusters.
    """
    ratings_J_N = _two_dimensional(ratings_J_N)
    if clusters_N.shape != ratings_J_N.shape[1:]:
        raise ValueError(f"{clusters_N.shape} clusters for {ratings_J_N.shape[1]} items")
    kept_N = np.isfinite(ratings_J_N).sum(axis=0) >= 2
    ratings_J_N, clusters_N = ratings_J_N[:, kept_N], clusters_N[kept_N]
    value = _alpha(ratings_J_N, np.ones(ratings_J_N.shape[1]), measurement)
    drawn = _draws_of_clusters(clusters_N, draws, seed)
    if drawn is None:
        return Interval(value, _NAN, _NAN)
    alphas_B = np.array([_alpha(ratings_J_N, weights_N, measurement) for weights_N in drawn])
    return _interval(value, alphas_B, clusters_N, level)


def cohen_kappa(first_N: Integers, second_N: Integers, categories: int, weights: Weights = "none") -> float:
    """Agreement of two raters over N items rated by both, as category numbers 0 .. categories - 1.

    kappa = 1 - sum w_ij p_ij / sum w_ij p_i. p_.j with w the disagreement: 1 off the diagonal, |i - j| or (i - j)^2
    (Cohen 1960, 1968). nan without items, or where both raters always give one and the same category.
    """
    _check_categories(first_N, second_N, categories)
    return float(_kappas(first_N, second_N, np.ones((1, first_N.size)), categories, weights)[0])


def kappa_interval(
    first_N: Integers,
    second_N: Integers,
    clusters_N: Integers,
    categories: int,
    weights: Weights = "none",
    *,
    draws: int,
    seed: int,
    level: float = LEVEL,
) -> Interval:
    """Kappa with its bootstrap interval, clusters of items resampled whole; see `alpha_interval`."""
    if clusters_N.shape != first_N.shape:
        raise ValueError(f"{clusters_N.shape} clusters for {first_N.size} items")
    value = cohen_kappa(first_N, second_N, categories, weights)
    drawn = _draws_of_clusters(clusters_N, draws, seed)
    if drawn is None:
        return Interval(value, _NAN, _NAN)
    return _interval(value, _kappas(first_N, second_N, drawn, categories, weights), clusters_N, level)


def _alpha(ratings_J_N: Floats, weights_N: Floats, measurement: Measurement) -> float:
    """Alpha when item u stands `weights_N[u]` times among the items; every item has two ratings or more."""
    known_J_N = np.isfinite(ratings_J_N)
    m_N = known_J_N.sum(axis=0)
    n = float(weights_N @ m_N)
    if n < 2:
        return _NAN
    points_J_N_D = _points(ratings_J_N, known_J_N, weights_N, measurement)
    sums_N_D = points_J_N_D.sum(axis=0)
    squares_N = np.einsum("jnd,jnd->n", points_J_N_D, points_J_N_D)
    within_N = squares_N - np.einsum("nd,nd->n", sums_N_D, sums_N_D) / m_N
    total_D = weights_N @ sums_N_D
    around_mean = float(weights_N @ squares_N) - float(total_D @ total_D) / n
    if around_mean <= 1e-12 * max(1.0, float(weights_N @ squares_N)):
        return _NAN
    observed = float(weights_N @ (m_N / (m_N - 1) * np.maximum(within_N, 0.0)))
    return 1.0 - (n - 1) / n * observed / around_mean


def _points(
    ratings_J_N: Floats, known_J_N: NDArray[np.bool_], weights_N: Floats, measurement: Measurement
) -> NDArray[np.float64]:
    """[J, N, D]: where each rating lies; missing ones at the origin, where they add nothing to a sum."""
    known = ratings_J_N[known_J_N].astype(np.float64)
    values_V, place = np.unique(known, return_inverse=True)
    if measurement is Measurement.INTERVAL:
        points = (known - known.mean())[:, None]  # centred, so that squares keep their digits
    else:
        often = np.broadcast_to(weights_N, ratings_J_N.shape)[known_J_N]
        count_V = np.bincount(place, weights=often, minlength=values_V.size)
        rank_V = np.cumsum(count_V) - count_V / 2 - count_V.sum() / 2
        points = rank_V[place][:, None] if measurement is Measurement.ORDINAL else np.eye(values_V.size)[place]
    result_J_N_D = np.zeros((*ratings_J_N.shape, points.shape[1]))
    result_J_N_D[known_J_N] = points
    return result_J_N_D


def _kappas(
    first_N: Integers, second_N: Integers, weights_B_N: Floats, categories: int, weights: Weights
) -> NDArray[np.float64]:
    """[B]: kappa of each weighting of the items."""
    pairs, pair_N = np.unique(first_N * categories + second_N, return_inverse=True)
    p_B_K = np.zeros((len(weights_B_N), categories**2))
    p_B_K[:, pairs] = weights_B_N @ (pair_N[:, None] == np.arange(pairs.size))
    p_B_C_C = p_B_K.reshape(-1, categories, categories)
    distance_C_C = np.abs(np.subtract.outer(np.arange(categories), np.arange(categories))).astype(np.float64)
    if weights == "none":
        distance_C_C = np.minimum(distance_C_C, 1.0)
    elif weights == "quadratic":
        distance_C_C = distance_C_C**2
    with np.errstate(invalid="ignore", divide="ignore"):
        p_B_C_C /= p_B_C_C.sum(axis=(1, 2), keepdims=True)
        expected_B = np.einsum("bi,ij,bj->b", p_B_C_C.sum(axis=2), distance_C_C, p_B_C_C.sum(axis=1))
        observed_B = np.einsum("bij,ij->b", p_B_C_C, distance_C_C)
        return np.where(expected_B > 1e-15, 1.0 - observed_B / expected_B, _NAN)


def _draws_of_clusters(clusters_N: Integers, draws: int, seed: int) -> NDArray[np.float64] | None:
    """[draws, N]: how often each item's cluster is drawn; None with fewer than two clusters."""
    names, index_N = np.unique(clusters_N, return_inverse=True)
    if names.size < 2:
        return None
    drawn: NDArray[np.float64] = counts(names.size, draws, np.random.default_rng(seed)).astype(np.float64)[:, index_N]
    return drawn


def _interval(value: float, draws_B: NDArray[np.float64], clusters_N: Integers, level: float) -> Interval:
    if not np.isfinite(draws_B).any():
        return Interval(value, _NAN, _NAN)
    low, high = percentile(draws_B, level, n_units=int(np.unique(clusters_N).size))
    return Interval(value, float(low), float(high))


def _two_dimensional(ratings_J_N: Floats) -> Floats:
    if ratings_J_N.ndim != 2:
        raise ValueError(f"ratings of shape {ratings_J_N.shape}; raters by items are two dimensions")
    if np.isinf(ratings_J_N).any():
        raise ValueError("a rating is infinite")
    return ratings_J_N


def _pairable(ratings_J_N: Floats) -> Floats:
    return ratings_J_N[:, np.isfinite(ratings_J_N).sum(axis=0) >= 2]


def _check_categories(first_N: Integers, second_N: Integers, categories: int) -> None:
    if first_N.shape != second_N.shape or first_N.ndim != 1:
        raise ValueError(f"{first_N.shape} and {second_N.shape} ratings do not pair")
    for ratings_N in (first_N, second_N):
        if ratings_N.size and not (ratings_N.min() >= 0 and ratings_N.max() < categories):
            raise ValueError(f"a category lies outside of 0 .. {categories - 1}")
