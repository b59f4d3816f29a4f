"""Permutation tests of means, paired and of two groups; whole clusters change places where values hang together.

Where there are no more arrangements than `draws`, every one is counted and p is exact. Otherwise they are drawn, and
the observed one counts as one of them, so that p is never 0 (Phipson and Smyth 2010, "Permutation p-values should never
be zero"). All tests are two-sided: how often is the difference at least as far from 0 as the one that was observed?
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def paired_permutation(
    first_N: Floats, second_N: Floats, clusters_N: Integers | None = None, *, draws: int, seed: int
) -> float:
    """p of "the sign of each difference is a coin toss" for the mean difference; one toss per cluster of pairs.

    The smallest p that C clusters can give is 2 / 2^C. `ValueError` for nan, or values that do not pair.
    """
    if first_N.shape != second_N.shape or not first_N.size:
        raise ValueError(f"{first_N.shape} and {second_N.shape} values do not pair")
    sums_C, _ = _by_cluster(first_N - second_N, clusters_N)
    exact = 2**sums_C.size <= draws
    signs_A_C = _all_signs(sums_C.size) if exact else _drawn_signs(sums_C.size, draws, seed)
    return _p(np.abs(signs_A_C @ sums_C), abs(float(sums_C.sum())), exact)


def permutation(
    first_N: Floats,
    second_M: Floats,
    first_clusters_N: Integers | None = None,
    second_clusters_M: Integers | None = None,
    *,
    draws: int,
    seed: int,
) -> float:
    """p of "which group a value (or a cluster of values) stands in means nothing" for the difference of means.

    The two groups share no cluster: equal numbers in both name different ones. `ValueError` for nan or an empty group.
    """
    if not first_N.size or not second_M.size:
        raise ValueError("a group is empty; a permutation test needs a value in each")
    (sums_C, sizes_C), (sums_D, sizes_D) = (
        _by_cluster(first_N, first_clusters_N),
        _by_cluster(second_M, second_clusters_M),
    )
    sums_E, sizes_E = np.concatenate([sums_C, sums_D]), np.concatenate([sizes_C, sizes_D])
    exact = math.comb(sums_E.size, sums_C.size) <= draws
    arrange = _all_groupings if exact else _drawn_groupings
    chosen_A_E = arrange(sums_E.size, sums_C.size, draws, seed).astype(np.float64)
    sums_A, sizes_A = chosen_A_E @ sums_E, chosen_A_E @ sizes_E
    differences_A = sums_A / sizes_A - (sums_E.sum() - sums_A) / (sizes_E.sum() - sizes_A)
    return _p(np.abs(differences_A), abs(float(first_N.mean() - second_M.mean())), exact)


def _by_cluster(values_N: Floats, clusters_N: Integers | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the values of each cluster; every value is its own where no clusters are given."""
    values = np.asarray(values_N, dtype=np.float64)
    if np.isnan(values).any():
        raise ValueError("nan among the values; leave missing values out before testing")
    if clusters_N is None:
        return values, np.ones(values.size)
    if clusters_N.shape != values.shape:
        raise ValueError(f"{values.shape} values with {clusters_N.shape} clusters")
    _, index_N = np.unique(clusters_N, return_inverse=True)
    sums_C = np.bincount(index_N, weights=values).astype(np.float64)
    return sums_C, np.bincount(index_N).astype(np.float64)


def _all_signs(n: int) -> NDArray[np.float64]:
    """[2^(n-1), n]: the first sign stays, since turning all of them over leaves the distance from 0 as it is."""
    bits_A_C = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
    return (1 - 2 * bits_A_C).astype(np.float64)


def _drawn_signs(n: int, draws: int, seed: int) -> NDArray[np.float64]:
    return (np.random.default_rng(seed).integers(0, 2, size=(draws, n)) * 2 - 1).astype(np.float64)


def _all_groupings(n: int, first: int, _draws: int, _seed: int) -> NDArray[np.bool_]:
    """[arrangements, n]: which units stand in the first group."""
    places_A_K = np.array(list(combinations(range(n), first)))
    chosen_A_E = np.zeros((len(places_A_K), n), dtype=bool)
    np.put_along_axis(chosen_A_E, places_A_K, True, axis=1)
    return chosen_A_E


def _drawn_groupings(n: int, first: int, draws: int, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).permuted(np.broadcast_to(np.arange(n) < first, (draws, n)), axis=1)


def _p(distances_A: NDArray[np.float64], observed: float, exact: bool) -> float:
    slack = 1e-12 * max(1.0, abs(observed))  # equal sums added in another order are still equal
    as_far = float((distances_A >= observed - slack).sum())
    return as_far / distances_A.size if exact else (1.0 + as_far) / (1.0 + distances_A.size)
