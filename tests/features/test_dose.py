"""Dose responses: figures of public code, laws, and the checks that tell steering from damage."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from trait_oracle import DOSE

from influence_assets.features.dose import (
    CLIP,
    dose_response,
    logit,
    slope,
    spearman,
    specificity,
    wrong_way,
    z_against_null,
)
from influence_assets.features.dose_checks import frontier, regresses_to_chance, toward_chance
from influence_assets.stats.resampling import bootstrap_mean

BOOT = {"draws": 300, "seed": 5}
NAN = float("nan")
COEFFICIENTS = np.array([-2.0, -1, -0.5, 0, 0.5, 1, 2])


def expit(x):
    return 1 / (1 + np.exp(-np.asarray(x)))


def steered(n=40, strength=0.8, seed=0):
    """P(high) of items that all move by the same logits per coefficient."""
    base = np.random.default_rng(seed).normal(0, 1, n)
    return expit(base + strength * COEFFICIENTS[:, None])


def test_figures_of_public_code():
    coefficients = np.array(DOSE["coefficients"])
    scores = np.array(DOSE["scores"])
    found = dose_response(coefficients, np.tile(scores[:, None], (1, 3)), **BOOT)
    assert found.spearman == pytest.approx(DOSE["spearman"])
    assert found.slope == pytest.approx(DOSE["slope"])
    assert found.level_C == pytest.approx(scores)
    assert found.shift_at(1).value == pytest.approx(0.4)
    assert found.slope_logits == pytest.approx(stats.linregress(coefficients, logit(scores)).slope)


def test_true_steering():
    found = dose_response(COEFFICIENTS, steered(), **BOOT)
    assert found.spearman == pytest.approx(1)
    assert found.wrong_way == 0
    assert found.shift_at(0) == (0, 0, 0)
    assert found.shift_at(2).low > 0 > found.shift_at(-2).high
    assert found.n_C == (40,) * 7
    with pytest.raises(ValueError, match=r"3 is none of the coefficients"):
        found.shift_at(3)


@given(st.permutations(range(7)), st.floats(-2, 2))
def test_the_order_of_coefficients_does_not_matter_and_a_sign_turns_the_curve(order, strength):
    p_high = steered(n=12, strength=strength)
    found = dose_response(COEFFICIENTS, p_high, **BOOT)
    shuffled = dose_response(COEFFICIENTS[list(order)], p_high[list(order)], **BOOT)
    assert shuffled.shift_C == found.shift_C
    assert shuffled.slope_logits == found.slope_logits
    turned = dose_response(-COEFFICIENTS, p_high, **BOOT)
    assert turned.slope == pytest.approx(-found.slope)
    assert turned.spearman == pytest.approx(-found.spearman, nan_ok=True)


@given(hnp.arrays(float, (3, 8), elements=st.floats(0, 1)), hnp.arrays(bool, (3, 8)))
def test_shifts_are_paired_over_the_items_valid_at_both(p_high, void):
    p_high[void] = NAN
    found = dose_response(np.array([-1.0, 0, 1]), p_high, **BOOT)
    for row in (0, 2):
        both = np.isfinite(p_high[row]) & np.isfinite(p_high[1])
        assert found.n_C[row] == both.sum()
        if both.any():
            expected = bootstrap_mean(p_high[row, both] - p_high[1, both], **BOOT)
            assert found.shift_C[row] == pytest.approx(expected, nan_ok=True)
        else:
            assert all(map(math.isnan, found.shift_C[row]))


def test_a_coefficient_that_voids_everything_leaves_the_rest():
    p_high = steered()
    p_high[-1] = NAN
    found = dose_response(COEFFICIENTS, p_high, **BOOT)
    assert math.isnan(found.shift_at(2).value)
    assert found.n_C[-1] == 0
    assert found.spearman == pytest.approx(1)
    nothing = dose_response(COEFFICIENTS, np.full((7, 4), NAN), **BOOT)
    assert math.isnan(nothing.spearman)
    assert math.isnan(nothing.slope)
    assert math.isnan(nothing.wrong_way)


def test_void_items_do_not_move_the_level():
    p_high = np.array([[0.2, 0.8], [0.2, NAN]])
    found = dose_response(np.array([0.0, 1]), p_high, **BOOT)
    assert found.level_C == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("coefficients", "message"),
    [([1.0, 2.0], "0.0 is none"), ([0.0, 0.0], "stand once"), ([0.0, NAN], "finite"), ([0.0], "1,"), ([], "0,")],
)
def test_a_curve_needs_coefficient_zero_once(coefficients, message):
    with pytest.raises(ValueError, match=message):
        dose_response(np.array(coefficients), np.full((2, 3), 0.5), **BOOT)


@given(hnp.arrays(float, 6, elements=st.floats(0, 1)))
def test_slope_agrees_with_scipy(y):
    x = np.arange(6.0)
    assert slope(x, y) == pytest.approx(stats.linregress(x, y).slope, abs=1e-12)


def test_logits_are_cut():
    assert logit(np.array([0.0, 0.5, 1.0, NAN])) == pytest.approx(
        [-math.log(1 / CLIP - 1), 0, math.log(1 / CLIP - 1), NAN], nan_ok=True
    )


def test_a_flat_curve_has_no_rank_correlation():
    assert math.isnan(spearman(np.arange(4.0), np.ones(4)))
    assert slope(np.arange(4.0), np.ones(4)) == 0
    assert math.isnan(slope(np.array([1.0, NAN]), np.ones(2)))


def test_wrong_way_counts_both_ends():
    shift = np.array([[0.1, -0.1, 0.0, NAN], [0, 0, 0, 0], [0.3, -0.2, NAN, 0.1]])
    assert wrong_way(np.array([-1.0, 0, 2]), shift) == pytest.approx(2 / 6)
    assert wrong_way(np.array([0.0, 1, 2]), shift) == pytest.approx(1 / 3)
    assert math.isnan(wrong_way(np.zeros(1), shift[:1]))


def test_z_against_random_directions():
    null = np.array([-0.1, 0.0, 0.1, NAN])
    assert z_against_null(0.3, null) == pytest.approx(3.0)
    assert math.isnan(z_against_null(0.3, np.zeros(5)))
    assert math.isnan(z_against_null(0.3, null[:1]))
    assert math.isnan(z_against_null(NAN, null))


@given(hnp.arrays(float, 8, elements=st.floats(-1, 1)), st.floats(-1, 1), st.floats(0.1, 5), st.floats(-3, 3))
def test_z_knows_no_scale_and_no_origin(null, shift, scale, origin):
    assume(np.ptp(null) > 1e-3)
    assert z_against_null(scale * shift + origin, scale * null + origin) == pytest.approx(
        z_against_null(shift, null), rel=1e-6, abs=1e-6
    )


def test_specificity():
    shift = np.array([[0.4, 0.1, -0.1], [0.0, 0.2, 0.0], [NAN, 0.3, -0.6]])
    assert specificity(shift).tolist() == pytest.approx([4.0, math.inf, 2.0])
    assert np.isnan(specificity(np.zeros((2, 2)))).all()
    assert np.isnan(specificity(np.array([[0.5]]))).all()
    assert np.isnan(specificity(np.array([[0.5, NAN], [0.1, NAN]]))).all()
    with pytest.raises(ValueError, match="must be a square"):
        specificity(np.zeros((2, 3)))


@given(hnp.arrays(float, (4, 4), elements=st.floats(0.01, 1)), st.floats(0.1, 9), st.permutations(range(4)))
def test_specificity_knows_no_scale_and_no_order_of_traits(shift, scale, order):
    assert specificity(scale * shift) == pytest.approx(specificity(shift))
    order = list(order)
    assert specificity(shift[np.ix_(order, order)]) == pytest.approx(specificity(shift)[order])


def test_the_frontier_is_interpolated():
    found = frontier(np.array([0.0, 1, 2]), np.array([0.0, 0.2, 0.4]), np.array([0.0, 0.05, 0.25]))
    assert found == pytest.approx((1.25, 0.25, 0.1))
    left = frontier(np.array([2.0, 0, -2]), np.array([0.1, 0, -0.5]), np.array([0.05, 0, 0.2]))
    assert left == pytest.approx((-1, -0.25, 0.1))
    hump = frontier(np.array([0.0, 1, 2]), np.array([0.0, 0.5, 0.1]), np.array([0.0, 0.02, 0.03]))
    assert hump == (1, 0.5, 0.02)


def test_the_frontier_never_crosses_a_void_point():
    found = frontier(np.array([0.0, 1, 2]), np.array([0.0, NAN, 0.4]), np.array([0.0, 0.05, 0.25]))
    assert found == (0, 0, 0)
    assert all(map(math.isnan, frontier(np.array([1.0]), np.array([0.3]), np.array([0.4]))))
    with pytest.raises(ValueError, match="one of each"):
        frontier(np.zeros(2), np.zeros(3), np.zeros(2))


@given(
    hnp.arrays(float, 7, elements=st.floats(-1, 1)),
    hnp.arrays(float, 7, elements=st.floats(0, 1)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_wider_bound_never_lowers_the_frontier(shift, kl, first, second):
    kl[3] = shift[3] = 0.0
    small, large = (frontier(COEFFICIENTS, shift, kl, bound=bound) for bound in sorted((first, second)))
    assert abs(small.shift) <= abs(large.shift) + 1e-12
    assert small.kl <= min(first, second) + 1e-12
    assert abs(frontier(COEFFICIENTS, shift, kl, bound=2.0).shift) == np.abs(shift).max()
    fine = np.linspace(-2, 2, 801)
    within = np.interp(fine, COEFFICIENTS, kl) <= min(first, second)
    assert np.abs(np.interp(fine, COEFFICIENTS, shift)[within]).max() <= abs(small.shift) + 1e-9


def test_damage_is_flagged_and_steering_is_not():
    rng = np.random.default_rng(1)
    base = rng.normal(0, 1.2, 60)
    noise = rng.normal(0, 0.1, (2, 60))
    damaged = [toward_chance(expit(base), expit(0.4 * base + one), **BOOT) for one in noise]
    assert regresses_to_chance(*damaged)
    moved = [
        toward_chance(expit(base), expit(base + sign + one), **BOOT) for sign, one in zip((1, -1), noise, strict=True)
    ]
    assert not regresses_to_chance(*moved)
    # Which is why the flag stands on logits: on the scale of scores true steering looks like damage.
    assert all(one.scores.low > 0 for one in moved)
    assert not regresses_to_chance(damaged[0], moved[1])


def test_the_correlation_agrees_with_scipy():
    rng = np.random.default_rng(2)
    base, steered_scores = rng.random((2, 30))
    found = toward_chance(base, steered_scores, **BOOT).scores
    assert found.value == pytest.approx(stats.pearsonr(steered_scores - base, 0.5 - base).statistic)
    assert -1 <= found.low < found.value < found.high <= 1
    gaps = np.append(base, NAN), np.append(steered_scores, 0.5)
    assert toward_chance(*gaps, **BOOT).scores == found


def test_no_correlation_where_nothing_varies():
    base = np.linspace(0.2, 0.8, 9)
    unmoved = toward_chance(base, base, **BOOT)
    assert math.isnan(unmoved.scores.value)
    assert not unmoved.toward
    equal = toward_chance(base, expit(logit(base, 1e-4) + 0.7), **BOOT)
    assert not equal.toward
    assert math.isnan(toward_chance(base[:2], base[:2] / 2, **BOOT).scores.value)
    with pytest.raises(ValueError, match="do not pair"):
        toward_chance(base, base[:3], **BOOT)
