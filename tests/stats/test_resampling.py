"""The bootstrap: counts, agreement with scipy, and what holds for every interval. test_coverage.py has the coverage."""

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
    difference_of_means,
    paired_difference,
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


def test_skewed_values_have_an_interval_that_reaches_farther_on_the_long_side():
    sample = np.random.default_rng(0).exponential(size=30)
    got = bootstrap_mean(sample, draws=2000, seed=0)
    turned = bootstrap_mean(-sample, draws=2000, seed=0)
    assert got.high - got.value > 1.2 * (got.value - got.low)
    assert (turned.low, turned.high) == pytest.approx((-got.high, -got.low))


def test_bounds_cut_the_interval():
    values = np.array([0.0, 0.0, 0.0, 0.02, 0.9])
    assert bootstrap_mean(values, draws=500, seed=0).high > 1
    cut = cluster_bootstrap(values, np.arange(5), draws=500, seed=0, bounds=(0.0, 1.0))
    assert 0 <= cut.low < cut.value < cut.high == 1


def test_a_difference_of_means_turns_over_with_its_sides():
    rng = np.random.default_rng(1)
    one, other, groups = rng.normal(1, 1, size=40), rng.normal(size=40), np.repeat(np.arange(10), 4)
    there = difference_of_means(one, groups, other, groups, draws=4000, seed=0)
    back = difference_of_means(other, groups, one, groups, draws=4000, seed=0)
    assert there.value == pytest.approx(one.mean() - other.mean()) == -back.value
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.1)
    assert math.isnan(difference_of_means(one, groups, other, np.zeros(40, dtype=int), draws=50, seed=0).low)
