"""The feature map finds planted latents, never looks at the held-out half, and agrees with one-column statistics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.feature_labels import FactorLabels
from influence_assets.features.feature_map import MapSettings, feature_map, ranked, select
from influence_assets.features.stability import top_k_stability
from influence_assets.stats import auroc as auroc_module
from influence_assets.stats.ranks import auc
from resources.errors import InputError

QUICK = MapSettings(keep=5, draws=20)


@dataclass(frozen=True)
class World:
    latents: np.ndarray
    ids: list[str]
    labels: list[FactorLabels]
    heldout: np.ndarray


def world(seed: int = 0, *, latents: int = 60, per_half: int = 8, strength: float = 3.0) -> World:
    """Two factors of three and two categories; latents 0 to 4 are planted, one per category; the rest is noise."""
    rng = np.random.default_rng(seed)
    planted = [("age", "young"), ("age", "middle"), ("age", "old"), ("trust", "high"), ("trust", "low")]
    texts = [name for name in planted for _ in range(2 * per_half)]
    heldout = np.tile(np.repeat([False, True], per_half), len(planted))
    values = np.maximum(rng.normal(-1.0, 1.0, (len(texts), latents)), 0)
    for row, name in enumerate(texts):
        values[row, planted.index(name)] += strength
    labels = [
        FactorLabels(factor, [category if of == factor else None for of, category in texts])
        for factor in ("age", "trust")
    ]
    return World(values.astype(np.float32), [f"t{row}" for row in range(len(texts))], labels, heldout)


def mapped(of: World, options: MapSettings = QUICK):
    return feature_map(of.latents, of.ids, of.labels, of.heldout, options)


def test_planted_latents_come_first_and_hold_up() -> None:
    of = world()
    first = [row for row in mapped(of) if row.rank == 1]
    assert [(row.factor, row.category, row.feature_id) for row in first] == [
        ("age", "middle", 1),
        ("age", "old", 2),
        ("age", "young", 0),
        ("trust", "high", 3),
        ("trust", "low", 4),
    ]
    for row in first:
        assert row.heldout.value > 0.95
        assert 0.7 < row.heldout.low < row.heldout.value <= row.heldout.high
        assert row.selectivity > 0.2
        assert row.mean_difference == pytest.approx(3.0, abs=0.5)
        own = {of.ids[i] for i, name in enumerate(of.labels[0].categories_N) if name == row.category}
        assert row.factor != "age" or set(row.top_texts) <= own
        assert list(row.top_activations) == sorted(row.top_activations, reverse=True)
        assert len(row.top_texts) == 10
    assert [row.n_heldout for row in first] == [24, 24, 24, 16, 16]


def test_every_figure_is_that_of_one_column() -> None:
    of = world(1)
    for row in mapped(of):
        (labels,) = [one for one in of.labels if one.factor == row.factor]
        own = labels.members(row.category)
        others = labels.labelled() & ~own
        column = of.latents[:, row.feature_id].astype(np.float64)
        assert row.auroc == pytest.approx(auc(column[own & ~of.heldout], column[others & ~of.heldout]), abs=1e-12)
        assert row.heldout.value == pytest.approx(auc(column[own & of.heldout], column[others & of.heldout]), abs=1e-12)
        difference = column[own & ~of.heldout].mean() - column[others & ~of.heldout].mean()
        assert row.mean_difference == pytest.approx(difference, abs=1e-9)
        rest = [
            auc(
                column[other.members(name) & ~of.heldout], column[other.labelled() & ~other.members(name) & ~of.heldout]
            )
            for other in of.labels
            for name in other.categories
            if (other.factor, name) != (row.factor, row.category)
        ]
        assert row.selectivity == pytest.approx(row.auroc - max(rest), abs=1e-12)


@given(seed=st.integers(0, 10_000), shuffle=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_heldout_half_decides_nothing(seed: int, shuffle: int) -> None:
    of = world(seed, per_half=4, strength=1.0)
    rng = np.random.default_rng(shuffle)
    labels = []
    for one in of.labels:
        inside = np.flatnonzero(one.labelled() & of.heldout)
        names = list(one.categories_N)
        for row, moved in zip(inside, rng.permutation(inside), strict=True):
            names[row] = one.categories_N[moved]
        labels.append(FactorLabels(one.factor, names))
    garbled = of.latents.copy()
    garbled[of.heldout] = rng.standard_normal(garbled[of.heldout].shape)
    selected = [(r.factor, r.category, r.feature_id, r.auroc, r.selectivity, r.stability) for r in mapped(of)]
    for other in (World(of.latents, of.ids, labels, of.heldout), World(garbled, of.ids, of.labels, of.heldout)):
        again = [(r.factor, r.category, r.feature_id, r.auroc, r.selectivity, r.stability) for r in mapped(other)]
        assert again == selected


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_order_of_texts_and_chunks_change_nothing(seed: int) -> None:
    of = world(seed, per_half=4)
    order = np.random.default_rng(seed).permutation(len(of.ids))
    moved = [FactorLabels(one.factor, [one.categories_N[row] for row in order]) for one in of.labels]
    one = select(of.latents, of.labels, ~of.heldout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auroc_module, "CHUNK_VALUES", 100)
        two = select(of.latents[order], moved, ~of.heldout[order])
    places = [two.names_C.index(name) for name in one.names_C]
    np.testing.assert_allclose(two.auroc_C_F[places], one.auroc_C_F, atol=1e-12)
    np.testing.assert_allclose(two.difference_C_F[places], one.difference_C_F, atol=1e-9)


def test_silent_latents_are_no_rows_and_noise_is_not_certain() -> None:
    of = world(2)
    of.latents[:, 5:] = 0
    assert {row.feature_id for row in mapped(of)} <= set(range(5))
    of.latents[:] = 0
    assert mapped(of) == []
    noise = [row for row in mapped(world(3, strength=0.0)) if row.rank == 1]
    assert all(row.auroc > 0.65 for row in noise)  # the best of sixty by chance
    assert np.mean([row.heldout.value for row in noise]) < 0.7
    assert sum(row.heldout.low <= 0.5 for row in noise) >= 4


def test_equal_aurocs_go_by_difference_then_number() -> None:
    np.testing.assert_array_equal(
        ranked(np.array([0.9, 1.0, 1.0 - 1e-15, 1.0, 0.2]), np.array([9.0, 1.0, 2.0, 2.0, 5.0])), [2, 3, 1, 0, 4]
    )


def test_stability_tells_planted_latents_from_noise() -> None:
    planted = world(4, per_half=20)
    noise = world(4, per_half=20, strength=0.0)
    one = MapSettings(keep=1, draws=60)
    assert all(row.stability > 0.99 for row in mapped(planted, one))
    assert np.mean([row.stability for row in mapped(noise, one)]) < 0.7


def test_stability_is_the_overlap_of_plain_resamples() -> None:
    of = world(5, per_half=6, latents=12, strength=0.5)
    own = of.labels[0].members("young") & ~of.heldout
    others = of.labels[0].labelled() & ~of.labels[0].members("young") & ~of.heldout
    chosen = select(of.latents, of.labels, ~of.heldout)
    number = chosen.names_C.index(("age", "young"))
    order = ranked(chosen.auroc_C_F[number], chosen.difference_C_F[number])
    found = top_k_stability(of.latents, own, others, order, k=3, draws=400, seed=0)
    rng = np.random.default_rng(1)
    overlaps = []
    for _ in range(400):
        first = of.latents[rng.choice(np.flatnonzero(own), own.sum())].astype(np.float64)
        second = of.latents[rng.choice(np.flatnonzero(others), others.sum())].astype(np.float64)
        aurocs = np.array([auc(first[:, f], second[:, f]) for f in range(12)])
        again = set(ranked(aurocs, first.mean(axis=0) - second.mean(axis=0))[:3].tolist())
        overlaps.append(len(again & set(order[:3].tolist())) / len(again | set(order[:3].tolist())))
    assert found == pytest.approx(np.mean(overlaps), abs=5 * np.std(overlaps) * np.sqrt(2 / 400))
    narrow = top_k_stability(of.latents, own, others, order, k=3, draws=50, seed=0, pool=12)
    assert narrow == top_k_stability(of.latents, own, others, order, k=3, draws=50, seed=0, pool=500)


def test_what_does_not_fit_says_both_numbers() -> None:
    of = world(6, per_half=2)
    with pytest.raises(InputError, match=r"latents of shape \(19, 60\) for 20 texts"):
        feature_map(of.latents[1:], of.ids, of.labels, of.heldout)
    with pytest.raises(InputError, match="age: 2 labels for 20 texts"):
        feature_map(of.latents, of.ids, [FactorLabels("age", ["a", "b"])], of.heldout)
    with pytest.raises(InputError, match="age: the factor stands twice"):
        feature_map(of.latents, of.ids, [of.labels[0], of.labels[0]], of.heldout)
    with pytest.raises(InputError, match=r"age\.middle: the held-out half has 0 texts of the category and 0"):
        feature_map(of.latents, of.ids, of.labels, np.zeros(20, dtype=bool))
    alone = FactorLabels("one", ["only"] * 20)
    with pytest.raises(InputError, match=r"one\.only: the selection half has 10 texts of the category and 0 of the"):
        feature_map(of.latents, of.ids, [alone], of.heldout)
    of.latents[7, 3] = np.nan
    with pytest.raises(InputError, match=r"a latent is not finite \(got 't7'\)"):
        feature_map(of.latents, of.ids, of.labels, of.heldout)
