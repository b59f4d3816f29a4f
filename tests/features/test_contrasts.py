"""Sides of a contrast: rows of either side line up by pair, whatever the order in which they were kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.backgrounds import Half
from influence_assets.features.contrasts import Labelled, contrast_of
from influence_assets.features.text_sets import Label
from tests.features.stimulus_files import factor

TWO = factor("temper", ["hot", "cold"], "trait").model_copy(update={"opposites": (("hot", "cold"),)})
THREE = factor("age", ["young", "middle", "old"])


def labelled(labels: list[Label]) -> Labelled:
    """Row i of the activations is (i, i)."""
    acts_N_D = np.repeat(np.arange(len(labels), dtype=float)[:, None], 2, axis=1)
    return Labelled({0: acts_N_D, 4: 10 + acts_N_D}, labels, {0: 1.0, 4: 1.0})


ROWS = [
    Label("temper", category, half.value, pair)
    for category in ("hot", "cold")
    for half in Half
    for pair in ("a", "b", "c")
] + [Label("age", category, "selection", None) for category in THREE.categories for _ in range(2)]


@settings(deadline=None)
@given(order=st.permutations(range(len(ROWS))), half=st.sampled_from(Half))
def test_pairs_line_up_in_any_order_of_the_rows(order: list[int], half: Half) -> None:
    labels = [ROWS[number] for number in order]
    found = labelled(labels).sides(TWO, "hot", half, 4)
    assert found is not None
    sides, paired = found
    own, other = ([labels[int(row[0]) - 10] for row in side] for side in (sides.positive_N_D, sides.negative_M_D))
    assert paired
    assert [one.pair for one in own] == [one.pair for one in other] == ["a", "b", "c"]
    assert {(one.category, one.half) for one in own} == {("hot", half.value)}
    assert {(one.category, one.half) for one in other} == {("cold", half.value)}


def test_without_an_opposite_the_contrast_is_the_rest_of_the_factor() -> None:
    assert contrast_of(TWO, "cold") == ["hot"]
    assert contrast_of(THREE, "middle") == ["young", "old"]
    found = labelled(ROWS).sides(THREE, "middle", Half.SELECTION, 0)
    assert found is not None
    assert (len(found[0].positive_N_D), len(found[0].negative_M_D), found[1]) == (2, 4, False)


def test_rows_without_a_pair_never_pair() -> None:
    rows = [Label("temper", category, "selection", None) for category in ("hot", "cold") for _ in range(2)]
    found = labelled(rows).sides(TWO, "hot", Half.SELECTION, 0)
    assert found is not None
    assert not found[1]


def test_a_side_with_less_than_two_texts_is_no_contrast() -> None:
    assert labelled(ROWS).sides(THREE, "middle", Half.HELDOUT, 0) is None
    assert labelled(ROWS[:1] + ROWS[6:9]).sides(TWO, "hot", Half.SELECTION, 0) is None


def test_elsewhere_is_every_other_factor_of_the_half() -> None:
    rows = labelled(ROWS).elsewhere("temper", Half.SELECTION, 0)[:, 0].astype(int)
    assert {ROWS[row].factor for row in rows} == {"age"}
    assert len(rows) == 6
    assert len(labelled(ROWS).elsewhere("temper", Half.HELDOUT, 0)) == 0
