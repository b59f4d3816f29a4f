"""AUROC of columns against `ranks.auc`, and coverage of its interval at twenty texts a side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from influence_assets.stats import auroc as module
from influence_assets.stats.auroc import auroc_intervals, aurocs
from influence_assets.stats.ranks import auc

# Few distinct values, many of them zero, as latents have.
columns = st.tuples(st.integers(2, 25), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.sampled_from([0, 0, 0, 0.5, 1, 2, 7]))
)


@given(columns, st.data())
def test_every_column_and_class_is_auc(values, data) -> None:
    rows = len(values)
    member = data.draw(arrays(np.bool_, (3, rows), elements=st.booleans()))
    found = aurocs(values, member)
    for index, inside in enumerate(member):
        expected = [auc(values[inside, column], values[~inside, column]) for column in range(values.shape[1])]
        np.testing.assert_allclose(found[index], expected, atol=1e-12)


@given(columns, st.integers(2, 6), st.integers(2, 6))
def test_interval_encloses_auc_and_stays_in_bounds(values, n, m) -> None:
    positive, negative = np.resize(values, (n, values.shape[1])), np.resize(values[::-1], (m, values.shape[1]))
    found = auroc_intervals(positive, negative)
    expected = [auc(positive[:, column], negative[:, column]) for column in range(values.shape[1])]
    np.testing.assert_allclose(found.value_F, expected, atol=1e-12)
    assert (found.low_F <= found.value_F).all()
    assert (found.value_F <= found.high_F).all()
    assert (found.low_F >= 0).all()
    assert (found.high_F <= 1).all()
    turned = auroc_intervals(negative, positive)
    np.testing.assert_allclose(turned.low_F, 1 - found.high_F, atol=1e-9)


def test_chunks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = np.maximum(rng.standard_normal((40, 30)), 0)
    member = np.arange(40)[None] < 17
    whole, interval = aurocs(values, member), auroc_intervals(values[:17], values[17:])
    monkeypatch.setattr(module, "CHUNK_VALUES", 90)
    np.testing.assert_array_equal(aurocs(values, member), whole)
    np.testing.assert_array_equal(auroc_intervals(values[:17], values[17:]).low_F, interval.low_F)


def test_what_has_no_auroc() -> None:
    values = np.arange(6.0)[:, None]
    assert np.isnan(aurocs(values, np.zeros((1, 6), dtype=bool))).all()
    assert np.isnan(aurocs(values, np.ones((1, 6), dtype=bool))).all()
    assert np.isnan(auroc_intervals(values[:1], values[1:]).low_F).all()
    with pytest.raises(ValueError, match="nan has no rank"):
        aurocs(np.array([[np.nan], [1.0]]), np.array([[True, False]]))
    with pytest.raises(ValueError, match="for 6 rows"):
        aurocs(values, np.ones((1, 5), dtype=bool))


def test_perfect_separation_is_not_certain() -> None:
    """With twenty texts a side a population value below 1 is still possible."""
    found = auroc_intervals(np.full((20, 1), 2.0), np.full((20, 1), 1.0))
    assert found.value_F[0] == found.high_F[0] == 1
    assert 0.8 < found.low_F[0] < 0.95


def gaussian(mean: float, spread: float = 1.0, floor: float = -np.inf) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Both sides gaussian, cut from below at `floor` as an SAE's latents are."""

    def draw(rng: np.random.Generator, columns: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
        positive = np.maximum(rng.normal(mean, spread, (n, columns)), floor)
        return positive, np.maximum(rng.standard_normal((m, columns)), floor)

    return draw


# (population, rows of the positive side, of the negative side, what 4,000 data sets gave). Nominal is .95. Monte Carlo
# standard error is .0035; where a population has many ties the interval is wider than it need be, never narrower.
COVERAGE = [
    (gaussian(0.0), 20, 20, 0.955),
    (gaussian(1.0), 20, 20, 0.963),
    (gaussian(1.8), 20, 20, 0.975),
    (gaussian(2.6), 20, 20, 0.977),
    (gaussian(1.0), 20, 160, 0.978),
    (gaussian(2.6), 20, 160, 0.991),
    (gaussian(0.5, spread=3.0), 20, 20, 0.960),
    (gaussian(0.5, spread=3.0), 20, 160, 0.960),
    (gaussian(1.0, floor=1.0), 20, 20, 0.983),
    (gaussian(3.0, floor=2.0), 20, 160, 0.969),
    (gaussian(0.0, floor=1.0), 20, 20, 0.998),
]


@pytest.mark.parametrize(("draw", "n", "m", "expected"), COVERAGE)
def test_coverage_at_twenty_texts(draw, n: int, m: int, expected: float) -> None:
    rng = np.random.default_rng(0)
    far_positive, far_negative = draw(np.random.default_rng(1), 1, 400_000, 400_000)
    true = auc(far_positive[:, 0], far_negative[:, 0])
    found = auroc_intervals(*draw(rng, 4000, n, m))
    covered = float(((found.low_F <= true) & (true <= found.high_F)).mean())
    assert covered == pytest.approx(expected, abs=0.003)
    assert covered >= 0.94
