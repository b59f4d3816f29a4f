"""Detectable differences: statsmodels where clusters are single values, laws, and the power that is promised."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower

from influence_assets.stats.power import (
    Pilot,
    detectable,
    detectable_gap,
    pilot_variance,
    shift_in_standard_errors,
    standard_error,
)

ALPHAS, POWERS = st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([0.5, 0.8, 0.95])


def single(n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.ones(n, dtype=np.int64)


@given(st.integers(8, 300), ALPHAS, POWERS, st.floats(0.1, 9))
@settings(max_examples=15, deadline=None)
def test_independent_values_are_the_t_test_of_statsmodels(n: int, alpha: float, power: float, sd: float) -> None:
    # Of a two-sided test the effect of either sign is a solution, and theirs is now and then the negative one.
    theirs = abs(np.asarray(TTestPower().solve_power(nobs=n, alpha=alpha, power=power)).item()) * sd
    # The lower tail, which we leave out, is largest at a power of one half.
    assert detectable(Pilot(sd**2, 0.0, n, n), single(n), alpha=alpha, power=power) == pytest.approx(theirs, rel=2e-3)


def test_three_values_are_simulated_since_statsmodels_solver_fails_there() -> None:
    shift, rng = shift_in_standard_errors(2, alpha=0.01, power=0.5), np.random.default_rng(0)
    t = (rng.normal(size=400_000) + shift) / np.sqrt(rng.chisquare(2, size=400_000) / 2)
    assert (np.abs(t) > stats.t.ppf(0.995, 2)).mean() == pytest.approx(0.5, abs=0.004)


@given(st.integers(60, 400), POWERS)
@settings(max_examples=20, deadline=None)
def test_two_large_groups_are_those_of_statsmodels(n: int, power: float) -> None:
    one = Pilot(1.0, 0.0, n, n)
    theirs = TTestIndPower().solve_power(nobs1=n, alpha=0.05, power=power)
    assert detectable_gap(one, one, single(n), single(n), power=power) == pytest.approx(theirs, rel=0.01)


def test_a_share_is_a_mean_of_zeros_and_ones() -> None:
    n = 2000
    pilot = pilot_variance((np.arange(n) % 10 < 3).astype(float), np.arange(n))
    sd = math.sqrt(0.3 * 0.7)
    theirs = NormalIndPower().solve_power(nobs1=n, alpha=0.05, power=0.8) * sd
    assert detectable_gap(pilot, pilot, single(n), single(n)) == pytest.approx(theirs, rel=0.002)


def test_one_value_per_cluster_has_the_variance_of_the_values() -> None:
    values = np.random.default_rng(0).normal(size=30)
    pilot = pilot_variance(values, np.arange(30))
    assert pilot.between == pytest.approx(values.var(ddof=1))
    assert (pilot.within, pilot.clusters, pilot.n) == (0.0, 30, 30)


@given(st.integers(2, 12), st.integers(1, 6), st.integers(0, 10**6))
def test_the_error_of_equal_clusters_is_that_of_their_means(clusters: int, size: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(clusters, size))
    pilot = pilot_variance(values.ravel(), np.repeat(np.arange(clusters), size))
    of_means = stats.sem(values.mean(axis=1))
    got = standard_error(pilot, np.full(clusters, size))
    if pilot.between > 0:
        assert got == pytest.approx(of_means)
    else:
        assert got >= of_means * (1 - 1e-9)  # cut at 0: values of a cluster are less alike than by chance


def test_the_parts_of_the_variance_are_found_in_unequal_clusters() -> None:
    rng, found = np.random.default_rng(2), []
    for _ in range(400):
        clusters = np.repeat(np.arange(30), rng.integers(1, 9, size=30))
        values = 5 + 2 * rng.normal(size=30)[clusters] + 3 * rng.normal(size=clusters.size)
        found.append(pilot_variance(values, clusters)[:2])
    assert np.mean(found, axis=0) == pytest.approx([4.0, 9.0], abs=0.35)


def test_more_clusters_help_where_more_values_per_cluster_do_not() -> None:
    pilot = Pilot(between=1.0, within=1.0, clusters=10, n=40)
    now = detectable(pilot, np.full(10, 4))
    more_values, more_clusters = detectable(pilot, np.full(10, 8)), detectable(pilot, np.full(20, 4))
    assert 0.94 * now < more_values < now
    assert more_clusters < 0.72 * now


@given(st.integers(1, 200), ALPHAS, st.floats(0.5, 0.97), st.floats(0.001, 0.02))
def test_more_power_takes_a_larger_shift(df: int, alpha: float, power: float, more: float) -> None:
    less = shift_in_standard_errors(df, alpha, power)
    assert less < shift_in_standard_errors(df, alpha, power + more)
    assert less < shift_in_standard_errors(df, alpha / 2, power)


def test_a_difference_of_that_size_is_found_as_often_as_promised() -> None:
    """2,000 clustered data sets with the detectable mean: the t test on clusters finds it in 80 % of them."""
    rng, clusters, size = np.random.default_rng(4), 15, 4
    mean = detectable(Pilot(1.0, 2.0, 100, 400), np.full(clusters, size))
    effects = rng.normal(size=(2000, clusters, 1)) + math.sqrt(2) * rng.normal(size=(2000, clusters, size))
    p = stats.ttest_1samp((mean + effects).mean(axis=2), 0.0, axis=1).pvalue
    assert (p <= 0.05).mean() == pytest.approx(0.8, abs=0.036)  # four standard errors


def test_what_has_no_answer_says_so() -> None:
    assert math.isnan(detectable(Pilot(1.0, 0.0, 9, 9), single(1)))
    assert math.isnan(detectable_gap(Pilot(1.0, 0.0, 9, 9), Pilot(1.0, 0.0, 9, 9), single(5), single(1)))
    with pytest.raises(ValueError, match="a pilot of 1 clusters"):
        pilot_variance(np.zeros(4), np.zeros(4, dtype=int))
    with pytest.raises(ValueError, match="nan among the values"):
        pilot_variance(np.array([1.0, np.nan]), np.arange(2))
    with pytest.raises(ValueError, match=r"expected 0 < alpha"):
        shift_in_standard_errors(5, alpha=0.05, power=0.01)
