"""Agreement beyond chance: published examples, an independent definition, and laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import cohen_kappa_score

from influence_assets.stats.agreement import (
    Measurement,
    alpha_interval,
    cohen_kappa,
    kappa_interval,
    krippendorff_alpha,
)

NAN = math.nan
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", examples A, B and C.
EXAMPLE_A = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]], dtype=float)
EXAMPLE_B = np.array([[1, 1, 2, 2, 4, 3, 3, 3, 5, 4, 4, 1], [2, 1, 2, 2, 2, 3, 3, 3, 5, 4, 4, 4]], dtype=float)
EXAMPLE_C = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
LEVELS = tuple(Measurement)
tables = arrays.arrays(
    float,
    st.tuples(st.integers(2, 4), st.integers(2, 8)),
    elements=st.sampled_from([1.0, 2.0, 3.0, 5.0, NAN]),
)


@pytest.mark.parametrize(
    ("ratings", "measurement", "published"),
    [
        (EXAMPLE_A, Measurement.NOMINAL, 0.095),
        (EXAMPLE_B, Measurement.NOMINAL, 0.692),
        (EXAMPLE_C, Measurement.NOMINAL, 0.743),
        (EXAMPLE_C, Measurement.ORDINAL, 0.815),
        (EXAMPLE_C, Measurement.INTERVAL, 0.849),
    ],
)
def test_alpha_of_the_published_examples(
    ratings: np.ndarray[tuple[int, int], np.dtype[np.float64]], measurement: Measurement, published: float
) -> None:
    assert round(krippendorff_alpha(ratings, measurement), 3) == published


def alpha_by_definition(ratings: np.ndarray[tuple[int, int], np.dtype[np.float64]], measurement: Measurement) -> float:
    """The coincidence matrix and the three difference functions, pair by pair."""
    units = [[value for value in column if not math.isnan(value)] for column in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    values = sorted({value for unit in units for value in unit})
    often = {value: sum(unit.count(value) for unit in units) for value in values}
    n = sum(often.values())

    def distance(a: float, b: float) -> float:
        if measurement is Measurement.NOMINAL:
            return float(a != b)
        if measurement is Measurement.INTERVAL:
            return (a - b) ** 2
        low, high = sorted((a, b))
        between = sum(count for value, count in often.items() if low <= value <= high)
        return (between - (often[a] + often[b]) / 2) ** 2 if a != b else 0.0

    observed = sum(distance(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2))
    expected = sum(often[a] * often[b] * distance(a, b) for a in values for b in values)
    return 1 - (n - 1) * observed / expected if expected else NAN


@given(tables, st.sampled_from(LEVELS))
def test_alpha_is_its_definition(
    ratings: np.ndarray[tuple[int, int], np.dtype[np.float64]], measurement: Measurement
) -> None:
    assert krippendorff_alpha(ratings, measurement) == pytest.approx(
        alpha_by_definition(ratings, measurement), abs=1e-9, nan_ok=True
    )


@given(tables, st.sampled_from(LEVELS), st.integers(0, 1000))
def test_alpha_knows_no_order_of_raters_or_items(
    ratings: np.ndarray[tuple[int, int], np.dtype[np.float64]], measurement: Measurement, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    moved = ratings[rng.permutation(ratings.shape[0])][:, rng.permutation(ratings.shape[1])]
    assert krippendorff_alpha(moved, measurement) == pytest.approx(
        krippendorff_alpha(ratings, measurement), abs=1e-9, nan_ok=True
    )


def test_alpha_changes_only_as_its_level_allows() -> None:
    stretched = EXAMPLE_C**3
    assert krippendorff_alpha(3 * EXAMPLE_C - 70, Measurement.INTERVAL) == pytest.approx(
        krippendorff_alpha(EXAMPLE_C, Measurement.INTERVAL)
    )
    assert krippendorff_alpha(stretched, Measurement.ORDINAL) == pytest.approx(
        krippendorff_alpha(EXAMPLE_C, Measurement.ORDINAL)
    )
    assert (
        abs(krippendorff_alpha(stretched, Measurement.INTERVAL) - krippendorff_alpha(EXAMPLE_C, Measurement.INTERVAL))
        > 0.01
    )


def test_perfect_agreement_is_one_and_none_is_below_zero() -> None:
    same = np.array([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]])
    opposed = np.array([[1.0, 2.0], [2.0, 1.0]])
    for measurement in LEVELS:
        assert krippendorff_alpha(same, measurement) == pytest.approx(1.0)
        assert krippendorff_alpha(opposed, measurement) < 0


@pytest.mark.parametrize("measurement", LEVELS)
def test_alpha_is_undefined_without_pairs_or_without_variation(measurement: Measurement) -> None:
    assert math.isnan(krippendorff_alpha(np.full((3, 4), 7.0), measurement))
    assert math.isnan(krippendorff_alpha(np.array([[1.0, NAN], [NAN, 2.0]]), measurement))
    assert math.isnan(krippendorff_alpha(np.empty((2, 0)), measurement))


def test_a_single_rating_of_an_item_changes_nothing() -> None:
    lonely = np.hstack([EXAMPLE_C, np.array([[5.0], [NAN], [NAN], [NAN]])])
    for measurement in LEVELS:
        assert krippendorff_alpha(lonely, measurement) == krippendorff_alpha(EXAMPLE_C, measurement)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
    st.sampled_from(["none", "linear", "quadratic"]),
)
@settings(deadline=None)
def test_kappa_is_that_of_scikit_learn(pairs: list[tuple[int, int]], weights: str) -> None:
    first, second = np.array(pairs).T
    ours = cohen_kappa(first, second, 5, weights)  # type: ignore[arg-type]
    if len({*first.tolist(), *second.tolist()}) == 1:
        assert math.isnan(ours)
        return
    theirs = cohen_kappa_score(first, second, labels=list(range(5)), weights=None if weights == "none" else weights)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_kappa_of_a_textbook_table() -> None:
    # 50 grant proposals: both yes 20, both no 15, first yes and second no 5, the other way round 10.
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert cohen_kappa(first, second, 2) == pytest.approx(0.4)


def test_intervals_resample_whole_clusters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 5, 30)
    ratings = np.vstack([truth, np.where(rng.random(30) < 0.7, truth, rng.integers(0, 5, 30))]).astype(float)
    repeated, clusters = np.tile(ratings, 8), np.tile(np.arange(30), 8)
    plain = alpha_interval(ratings, np.arange(30), Measurement.ORDINAL, draws=400, seed=1)
    clustered = alpha_interval(repeated, clusters, Measurement.ORDINAL, draws=400, seed=1)
    naive = alpha_interval(repeated, np.arange(240), Measurement.ORDINAL, draws=400, seed=1)
    assert plain.low < plain.value < plain.high
    assert clustered.high - clustered.low == pytest.approx(plain.high - plain.low, rel=0.1)
    assert naive.high - naive.low < 0.6 * (clustered.high - clustered.low)


def test_intervals_contain_the_truth_about_as_often_as_they_say() -> None:
    # Two raters who name the truth of 3 equal categories with probability .7, else any: kappa = .49.
    inside = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 3, 60)
        first, second = (np.where(rng.random(60) < 0.7, truth, rng.integers(0, 3, 60)) for _ in range(2))
        interval = kappa_interval(first, second, np.arange(60), 3, draws=200, seed=seed)
        inside += interval.low <= 0.49 <= interval.high
    assert 88 <= inside <= 100


def test_one_cluster_has_no_interval() -> None:
    interval = kappa_interval(np.array([0, 1, 1]), np.array([0, 1, 0]), np.zeros(3, dtype=int), 2, draws=50, seed=0)
    assert interval.value == pytest.approx(0.4)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_wrong_shapes_and_categories_are_refused() -> None:
    with pytest.raises(ValueError, match="two dimensions"):
        krippendorff_alpha(np.zeros(3), Measurement.NOMINAL)
    with pytest.raises(ValueError, match="infinite"):
        krippendorff_alpha(np.array([[1.0, np.inf], [1.0, 2.0]]), Measurement.INTERVAL)
    with pytest.raises(ValueError, match="outside"):
        cohen_kappa(np.array([0, 2]), np.array([0, 1]), 2)
    with pytest.raises(ValueError, match="do not pair"):
        cohen_kappa(np.array([0]), np.array([0, 1]), 2)
