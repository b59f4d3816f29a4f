"""Permutation tests against scipy's, counted out and drawn, with and without clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from influence_assets.stats.permutation import paired_permutation, permutation

Floats = NDArray[np.float64]
seeds = st.integers(0, 10**6)


def difference(first: Floats, second: Floats, axis: int) -> Floats:
    return np.asarray(first.mean(axis=axis) - second.mean(axis=axis))


def distance(first: Floats, second: Floats, axis: int) -> Floats:
    return np.abs(difference(first, second, axis))


@given(seeds, st.integers(2, 8))
@settings(max_examples=30, deadline=None)
def test_paired_and_exact_is_that_of_scipy(seed: int, n: int) -> None:
    first, second = np.random.default_rng(seed).integers(0, 4, size=(2, n)).astype(float)  # ties are common
    theirs = stats.permutation_test((first, second), difference, permutation_type="samples", n_resamples=np.inf)
    assert paired_permutation(first, second, draws=2**n, seed=0) == pytest.approx(theirs.pvalue)


@given(seeds, st.integers(2, 5), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_two_groups_and_exact_is_that_of_scipy(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 4, size=n).astype(float), rng.integers(0, 4, size=m).astype(float)
    theirs = stats.permutation_test((first, second), distance, alternative="greater", n_resamples=np.inf)
    assert permutation(first, second, draws=1000, seed=0) == pytest.approx(theirs.pvalue)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_drawn_arrangements_come_near_all_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.5, 1, size=9), rng.normal(size=9)
    every, drawn = (paired_permutation(first, second, draws=draws, seed=seed) for draws in (512, 511))
    assert drawn == pytest.approx(every, abs=0.11)  # five standard errors at p = .5
    every, drawn = (permutation(first, second, draws=draws, seed=seed) for draws in (48_620, 4_000))
    assert drawn == pytest.approx(every, abs=0.04)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_clusters_of_equal_size_count_like_their_means(seed: int) -> None:
    first, second = np.random.default_rng(seed).normal(size=(2, 12))
    clusters = np.repeat(np.arange(6), 2)
    means = first.reshape(6, 2).mean(axis=1), second.reshape(6, 2).mean(axis=1)
    assert paired_permutation(first, second, clusters, draws=100, seed=0) == paired_permutation(
        *means, draws=100, seed=0
    )
    assert permutation(first, second, clusters, clusters, draws=1000, seed=0) == permutation(*means, draws=1000, seed=0)


def test_the_mean_of_unequal_clusters_is_over_values() -> None:
    first, second = np.array([9.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0])
    # Means of first: 2.25; with the three zeros and one of the ones: .25, 2.75; with the nine and the ones: 3.67.
    p = permutation(first, second, np.array([0, 1, 1, 1]), np.array([0, 1]), draws=100, seed=0)
    by_hand = [abs(2.25 - 1), *[abs(0.25 - 5)] * 2, *[abs(5 - 0.25)] * 2, abs(1 - 2.25)]
    assert p == np.mean(np.array(by_hand) >= 1.25)


def test_the_smallest_p_is_one_arrangement_and_its_mirror() -> None:
    assert paired_permutation(np.ones(6), np.zeros(6), draws=64, seed=0) == 2 / 64
    assert paired_permutation(np.ones(40), np.zeros(40), draws=199, seed=0) == 1 / 200
    assert paired_permutation(np.zeros(6), np.zeros(6), draws=64, seed=0) == 1


def clustered(rng: np.random.Generator, n: int) -> tuple[Floats, NDArray[np.int64]]:
    clusters = np.repeat(np.arange(n), rng.integers(1, 7, size=n))
    return rng.normal(size=n)[clusters] + rng.normal(size=clusters.size), clusters


def test_clustered_tests_hold_their_level_where_unclustered_ones_do_not() -> None:
    """2,000 data sets without an effect; the two bounds are four standard errors around .05."""
    rng, p = np.random.default_rng(3), []
    for trial in range(2000):
        (one, groups), (other, others) = clustered(rng, 12), clustered(rng, 12)
        still, zeros = np.arange(one.size), np.zeros_like(one)
        p.append(
            (
                paired_permutation(one, zeros, groups, draws=199, seed=trial),
                permutation(one, other, groups, others, draws=199, seed=trial),
                paired_permutation(one, zeros, still, draws=199, seed=trial),
                permutation(one, other, draws=199, seed=trial),
            )
        )
    paired, two, paired_wrong, two_wrong = (np.array(p) <= 0.05).mean(axis=0)
    assert 0.03 <= paired <= 0.07
    assert 0.03 <= two <= 0.07
    assert min(paired_wrong, two_wrong) > 0.15


def test_what_cannot_be_tested_is_refused() -> None:
    with pytest.raises(ValueError, match="do not pair"):
        paired_permutation(np.zeros(3), np.zeros(2), draws=10, seed=0)
    with pytest.raises(ValueError, match="a group is empty"):
        permutation(np.zeros(0), np.zeros(2), draws=10, seed=0)
    with pytest.raises(ValueError, match="nan among the values"):
        permutation(np.array([np.nan]), np.zeros(2), draws=10, seed=0)
    with pytest.raises(ValueError, match=r"values with \(2,\) clusters"):
        paired_permutation(np.zeros(3), np.zeros(3), np.array([0, 1]), draws=10, seed=0)
