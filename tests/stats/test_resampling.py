"""Bootstrap and permutation: counts, agreement with scipy, p-values, and coverage on simulated data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from influence_assets.stats.resampling import (
    bootstrap_mean,
    cluster_bootstrap,
    counts,
    paired_difference,
    paired_permutation,
    permutation,
    ragged_counts,
)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 10**6))
def test_counts_sum_to_the_number_of_units(n, draws, seed):
    drawn = counts(n, draws, np.random.default_rng(seed))
    assert drawn.shape == (draws, n)
    assert (drawn.sum(axis=1) == n).all()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=6), st.integers(1, 10), st.integers(0, 10**6))
def test_ragged_counts_stay_within_their_group(sizes, draws, seed):
    drawn = ragged_counts(np.array(sizes), 12, draws, np.random.default_rng(seed))
    for group, size in enumerate(sizes):
        assert (drawn[group].sum(axis=1) == size).all()
        assert (drawn[group, :, size:] == 0).all()


def test_counts_have_the_moments_of_draws_with_replacement():
    drawn = counts(10, 40_000, np.random.default_rng(0))
    assert drawn.mean(axis=0) == pytest.approx(np.ones(10), abs=0.02)
    assert drawn.var(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_the_bootstrap_of_a_mean_is_that_of_scipy_up_to_its_widening(seed):
    sample = np.random.default_rng(seed).normal(size=60)
    got = bootstrap_mean(sample, draws=4000, seed=seed)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(seed))
    widening = math.sqrt(60 / 59) * stats.t.ppf(0.975, 59) / stats.norm.ppf(0.975)
    theirs_half = (theirs.confidence_interval.high - theirs.confidence_interval.low) / 2
    assert got.value == pytest.approx(sample.mean())
    assert (got.high - got.low) / 2 == pytest.approx(theirs_half * widening, rel=0.12)


@given(st.integers(2, 8), st.integers(1, 5), st.floats(-3, 3), st.integers(0, 10**6))
def test_the_cluster_bootstrap_moves_with_the_data(clusters, size, shift, seed):
    values = np.random.default_rng(seed).normal(size=clusters * size)
    groups = np.repeat(np.arange(clusters), size)
    one = cluster_bootstrap(values, groups, draws=200, seed=1)
    other = cluster_bootstrap(values + shift, groups, draws=200, seed=1)
    assert np.array(other) == pytest.approx(np.array(one) + shift)
    assert one.low <= one.high


def test_identical_values_have_an_interval_of_no_width_and_one_cluster_has_none():
    assert tuple(cluster_bootstrap(np.full(6, 0.4), np.arange(6) // 2, draws=100, seed=0)) == pytest.approx((0.4,) * 3)
    assert math.isnan(cluster_bootstrap(np.array([1.0, 2.0]), np.array([0, 0]), draws=100, seed=0).low)


def test_missing_values_are_refused():
    with pytest.raises(ValueError, match="nan among the values"):
        bootstrap_mean(np.array([1.0, np.nan]), draws=10, seed=0)
    with pytest.raises(ValueError, match="do not pair"):
        paired_difference(np.zeros(3), np.zeros(2), np.zeros(3, dtype=int), draws=10, seed=0)


def test_a_paired_difference_is_tighter_than_the_parts():
    rng = np.random.default_rng(0)
    shared, groups = rng.normal(0, 3, size=50), np.arange(50)
    got = paired_difference(shared + 0.5 + rng.normal(0, 0.1, 50), shared, groups, draws=500, seed=0)
    assert got.low < 0.5 < got.high
    assert got.high - got.low < 0.12


@pytest.mark.parametrize("n_clusters", [20, 50, 200])
def test_coverage_of_the_mean_of_clustered_values(n_clusters):
    """Clusters of 4 with a shared part: 2,000 data sets, 95 % intervals, coverage within 93 to 97 %."""
    rng = np.random.default_rng(n_clusters)
    groups = np.repeat(np.arange(n_clusters), 4)
    covered = 0
    for trial in range(2000):
        values = rng.normal(size=n_clusters).repeat(4) + rng.normal(size=4 * n_clusters)
        interval = cluster_bootstrap(values, groups, draws=300, seed=trial)
        covered += interval.low <= 0 <= interval.high
    assert 0.93 <= covered / 2000 <= 0.97


@given(st.integers(0, 10**6))
def test_permutation_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0.4, 1, size=9), rng.normal(size=7)
    theirs = stats.permutation_test(
        (first, second), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), n_resamples=2000, rng=rng
    )
    assert permutation(first, second, draws=2000, seed=seed) == pytest.approx(theirs.pvalue, abs=0.07)


@given(st.integers(0, 10**6))
def test_paired_permutation_agrees_with_every_sign_counted(seed):
    difference = np.random.default_rng(seed).normal(0.5, 1, size=8)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 8)).reshape(8, -1)
    exact = (np.abs(difference @ signs) >= abs(difference.sum()) - 1e-9).mean()
    assert paired_permutation(difference, np.zeros(8), draws=4000, seed=seed) == pytest.approx(exact, abs=0.05)


def test_p_values_are_level_under_the_null():
    rng = np.random.default_rng(3)
    p = [permutation(rng.normal(size=8), rng.normal(size=8), draws=199, seed=i) for i in range(400)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08
    assert min(p) > 0
