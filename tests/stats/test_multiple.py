"""Benjamini-Hochberg: agreement with statsmodels, tests that were not made, and the rate that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from influence_assets.stats.multiple import benjamini_hochberg

families = st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.04, 0.3, 1.0, float("nan")]), max_size=12).map(np.array)


@given(families)
def test_it_is_that_of_statsmodels_over_the_tests_that_were_made(
    p: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    got, made = benjamini_hochberg(p), ~np.isnan(p)
    assert np.isnan(got[~made]).all()
    if made.any():
        assert got[made] == pytest.approx(multipletests(p[made], method="fdr_bh")[1])
        assert (got[made] >= p[made]).all()


def test_the_false_discovery_rate_is_kept() -> None:
    """40 tests, 10 of them with an effect: at most .05 x 30 / 40 of the discoveries are false, on average."""
    z = np.random.default_rng(0).normal(size=(2000, 40)) + np.where(np.arange(40) < 10, 3.0, 0.0)
    false_share = []
    for p in 2 * stats.norm.sf(np.abs(z)):
        found = benjamini_hochberg(p) <= 0.05
        false_share.append(found[10:].sum() / max(1, found.sum()))
    assert np.mean(false_share) == pytest.approx(0.0375, abs=0.008)  # more than five standard errors
