"""Rank correlation over clusters: scipy's value, laws of its interval, and how often it holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from influence_assets.stats.correlation import cluster_spearman

VALUES = st.integers(-3, 3).map(float)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=3, max_size=20))
def test_the_value_is_scipys_ties_and_all(pairs: list[tuple[float, float]]) -> None:
    first, second = np.array(pairs).T
    found = cluster_spearman(first, second, np.arange(len(pairs)), draws=50, seed=0)
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert math.isnan(found.value)
    else:
        assert found.value == pytest.approx(float(spearmanr(first, second).statistic))
        assert -1 <= found.low <= found.value <= found.high <= 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 8))
def test_order_is_all_that_counts_and_turning_one_side_turns_the_interval(seed: int, clusters: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, 3 * clusters))
    numbers = np.repeat(np.arange(clusters), 3)
    found, monotone, turned, swapped = (
        cluster_spearman(x, y, numbers, draws=200, seed=1)
        for x, y in ((first, second), (np.exp(first), second**3), (-first, second), (second, first))
    )
    assert monotone == pytest.approx(found)
    assert turned == pytest.approx((-found.value, -found.high, -found.low))
    assert swapped == pytest.approx(found)


def test_clusters_are_drawn_whole() -> None:
    """Six clusters of ten equal pairs say as much as six pairs."""
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 6))
    alone = cluster_spearman(first, second, np.arange(6), draws=300, seed=4)
    tenfold = cluster_spearman(
        np.repeat(first, 10), np.repeat(second, 10), np.repeat(np.arange(6), 10), draws=300, seed=4
    )
    assert tenfold == pytest.approx(alone)


def test_two_clusters_have_no_interval_and_nan_is_refused() -> None:
    found = cluster_spearman(np.arange(4.0), np.arange(4.0), np.array([0, 0, 1, 1]), draws=50, seed=0)
    assert found.value == pytest.approx(1)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    with pytest.raises(ValueError, match="nan"):
        cluster_spearman(np.array([1.0, math.nan]), np.ones(2), np.arange(2), draws=50, seed=0)
    with pytest.raises(ValueError, match="pair"):
        cluster_spearman(np.ones(3), np.ones(2), np.arange(3), draws=50, seed=0)


def test_the_interval_holds_a_correlation_of_zero_and_of_a_half() -> None:
    """300 data sets of 12 clusters of 4 independent pairs each: at least 90 % are held."""
    for pearson in (0.0, 0.5176):  # bivariate normal: Spearman's is 6 / pi * arcsin(pearson / 2)
        truth = 6 / math.pi * math.asin(pearson / 2)
        held = 0
        for trial in range(300):
            rng = np.random.default_rng(trial)
            first, other = rng.normal(size=(2, 48))
            second = pearson * first + math.sqrt(1 - pearson**2) * other
            _, low, high = cluster_spearman(first, second, np.repeat(np.arange(12), 4), draws=150, seed=trial)
            held += low <= truth <= high
        assert 0.90 <= held / 300 <= 0.995, (pearson, held)
