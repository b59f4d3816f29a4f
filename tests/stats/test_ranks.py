"""Rank statistics against scipy and pandas-like definitions, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, rankdata

from influence_assets.stats.ranks import auc, max_rank_share, mid_rank_share

# Few distinct values, so that ties are common.
values = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=st.integers(0, 6).map(float)))


@given(values, values)
def test_auc_is_mann_whitney(positive, negative):
    expected = mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    assert auc(positive, negative) == pytest.approx(expected, abs=1e-12)


@given(values, values)
def test_auc_turns_over_with_its_sides(positive, negative):
    assert auc(positive, negative) + auc(negative, positive) == pytest.approx(1)


@given(values)
def test_auc_against_itself_is_one_half(sample):
    assert auc(sample, sample) == pytest.approx(0.5)


@given(values, values)
def test_auc_keeps_under_any_increasing_change(positive, negative):
    assert auc(np.exp(positive), np.exp(negative)) == auc(positive, negative)


@given(st.integers(0, 6).map(float), values)
def test_mid_rank_share_is_the_auc_of_one(own, others):
    share = mid_rank_share(np.array(own), others, np.ones(len(others)))
    assert float(share) == pytest.approx(auc(np.array([own]), others))


@given(values)
def test_max_rank_share_is_the_highest_percent_rank(sample):
    expected = rankdata(sample, method="max") / len(sample)
    got = [float(max_rank_share(np.array(own), sample, np.ones(len(sample)))) for own in sample]
    assert got == pytest.approx(list(expected))


@given(st.integers(0, 6).map(float), values, st.data())
def test_a_weight_is_a_repetition(own, others, data):
    weights = data.draw(arrays(np.int64, len(others), elements=st.integers(0, 3)))
    repeated = np.repeat(others, weights)
    share = float(mid_rank_share(np.array(own), others, weights.astype(float)))
    if len(repeated):
        assert share == pytest.approx(auc(np.array([own]), repeated))
    else:
        assert np.isnan(share)


def test_missing_others_have_no_weight_and_a_missing_own_value_has_no_rank():
    others = np.array([1.0, np.nan, 3.0])
    assert float(mid_rank_share(np.array(2.0), others, np.ones(3))) == 0.5
    assert np.isnan(mid_rank_share(np.array(np.nan), others, np.ones(3)))
    assert np.isnan(max_rank_share(np.array(np.nan), others, np.ones(3)))


def test_auc_refuses_nan_and_has_no_value_for_an_empty_side():
    with pytest.raises(ValueError, match="nan has no rank"):
        auc(np.array([np.nan]), np.array([1.0]))
    assert np.isnan(auc(np.array([]), np.array([1.0])))
