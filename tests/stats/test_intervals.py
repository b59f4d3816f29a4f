"""Intervals against statsmodels and scipy, and what holds for all of them."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from influence_assets.stats.intervals import bca, centred, percentile, tail, wilson


@given(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.95, 0.99])
)
def test_wilson_is_that_of_statsmodels(counts, level):
    successes, n = counts
    got = wilson(successes, n, level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert got.value == successes / n
    assert (got.low, got.high) == pytest.approx((low, high), abs=1e-9)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_encloses_its_share_within_zero_and_one(counts):
    value, low, high = wilson(*counts)
    assert 0 <= low <= value <= high <= 1


def test_wilson_has_no_ends_without_data_and_refuses_impossible_counts():
    assert all(math.isnan(part) for part in wilson(0, 0))
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


def test_the_expanded_tail_is_that_of_student():
    n = 7
    assert stats.norm.ppf(tail(0.95, n)) == pytest.approx(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
    assert tail(0.95) == pytest.approx(0.025)
    assert tail(0.95, 10**6) == pytest.approx(0.025, abs=1e-5)


def test_percentile_leaves_nan_draws_out():
    draws = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, np.nan], [3.0, np.nan]])
    low, high = percentile(draws)
    assert low[0] == pytest.approx(np.quantile([1, 2, 3], 0.025))
    assert high[0] == pytest.approx(np.quantile([1, 2, 3], 0.975))
    assert np.isnan([low[1], high[1]]).all()


@given(st.floats(-5, 5), st.floats(-3, 3), st.integers(0, 10**6))
def test_centred_takes_a_shift_out_and_encloses_the_value(value, shift, seed):
    draws = np.random.default_rng(seed).normal(size=400)
    draws -= draws.mean()
    low, high = centred(value, draws + value + shift)
    plain_low, plain_high = percentile(draws + value)
    assert (float(low), float(high)) == pytest.approx((float(plain_low), float(plain_high)))
    assert low <= value <= high


@given(st.integers(0, 10**6))
def test_centred_stays_within_its_bounds(seed):
    draws = np.random.default_rng(seed).normal(0.9, 0.3, size=200)
    low, high = centred(0.95, draws, bounds=(0.0, 1.0))
    assert 0 <= low <= 0.95 <= high <= 1


@given(st.integers(0, 10**6))
def test_bca_is_that_of_scipy_on_the_same_draws(seed):
    sample = np.random.default_rng(seed).exponential(size=25)
    theirs = stats.bootstrap((sample,), np.mean, n_resamples=1000, method="BCa", rng=np.random.default_rng(seed))
    jackknife = (sample.sum() - sample) / 24
    got = bca(float(sample.mean()), theirs.bootstrap_distribution, jackknife)
    ends = theirs.confidence_interval
    assert (got.low, got.high) == pytest.approx((ends.low, ends.high), rel=1e-6)


@given(st.floats(0.1, 10), st.floats(-10, 10), st.integers(0, 10**6))
def test_bca_moves_with_a_change_of_unit(scale, shift, seed):
    rng = np.random.default_rng(seed)
    sample = rng.normal(size=20)
    assume(sample.std() > 0)
    draws = rng.choice(sample, size=(500, 20)).mean(axis=1)
    jackknife = (sample.sum() - sample) / 19
    one = bca(float(sample.mean()), draws, jackknife)
    other = bca(float(sample.mean()) * scale + shift, draws * scale + shift, jackknife * scale + shift)
    assert other.low == pytest.approx(one.low * scale + shift, abs=1e-6 * (1 + abs(shift)) * scale)
    assert other.high == pytest.approx(one.high * scale + shift, abs=1e-6 * (1 + abs(shift)) * scale)


def test_bca_has_no_ends_without_draws():
    assert math.isnan(bca(0.3, np.array([np.nan]), np.array([0.1, 0.2])).low)
