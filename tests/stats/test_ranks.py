"""Rank statistics against scipy, and their laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from influence_assets.stats.ranks import auc

# Few distinct values, so that ties are common.
values = st.integers(1, 30).flatmap(lambda n: arrays(np.float64, n, elements=st.integers(0, 6).map(float)))


@given(values, values)
def test_auc_is_mann_whitney(positive, negative):
    expected = mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
    assert auc(positive, negative) == pytest.approx(expected, abs=1e-12)


@given(values, values)
def test_auc_is_that_of_scikit_learn(positive, negative):
    labels = np.r_[np.ones(len(positive)), np.zeros(len(negative))]
    assert auc(positive, negative) == pytest.approx(roc_auc_score(labels, np.r_[positive, negative]))


@given(values, values)
def test_auc_turns_over_with_its_sides(positive, negative):
    assert auc(positive, negative) + auc(negative, positive) == pytest.approx(1)


@given(values)
def test_auc_against_itself_is_one_half(sample):
    assert auc(sample, sample) == pytest.approx(0.5)


@given(values, values)
def test_auc_keeps_under_any_increasing_change(positive, negative):
    assert auc(np.exp(positive), np.exp(negative)) == auc(positive, negative)


def test_auc_refuses_nan_and_has_no_value_for_an_empty_side():
    with pytest.raises(ValueError, match="nan has no rank"):
        auc(np.array([np.nan]), np.array([1.0]))
    assert np.isnan(auc(np.array([]), np.array([1.0])))
