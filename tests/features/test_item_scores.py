"""Scores of items by condition, out of rows of answers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.item_scores import ItemTable
from influence_assets.features.orders import Orders, option_orders, order_name
from influence_assets.features.trait_tables import TraitAnswer

ORDERS = [order_name(order) for order in option_orders(Orders.CYCLIC)]


def answer(
    condition: str, item: str, order: str, high: float | None, *, trait: str = "warmth", mass: float | None = 0.9
) -> TraitAnswer:
    """An answer with that much on the two high options, unevenly; None is no answer."""
    shares = [None] * 4 if high is None else [0.7 * high, 0.3 * high, 0.4 * (1 - high), 0.6 * (1 - high)]
    status = "refusal" if high is None else "ok"
    mass = None if high is None else mass
    return TraitAnswer("m", 0, condition, None, trait, item, "heldout", order, *shares, mass, status, "r")


def answers(condition: str, highs_N: Sequence[float | None], trait: str = "warmth") -> list[TraitAnswer]:
    """Items 0, 1, ... with the same P(high) in every order."""
    return [
        answer(condition, f"{trait}{n:02d}", order, high, trait=trait)
        for n, high in enumerate(highs_N)
        for order in ORDERS
    ]


@settings(deadline=None)
@given(highs=st.lists(st.floats(0, 1), min_size=1, max_size=6), data=st.data())
def test_scores_do_not_depend_on_the_order_of_rows(highs: list[float], data: st.DataObject) -> None:
    rows = answers("a", highs) + answers("b", highs[::-1])
    table = ItemTable.of(data.draw(st.permutations(rows)), min_mass=0.5)
    np.testing.assert_allclose(table.p_high("a", "warmth"), highs, atol=1e-12)
    np.testing.assert_allclose(table.p_high("b", "warmth"), highs[::-1], atol=1e-12)
    assert table.item_ids["warmth"] == tuple(f"warmth{n:02d}" for n in range(len(highs)))


def test_a_score_is_the_mean_over_orders_and_void_below_the_mass() -> None:
    rows = [answer("a", "x", order, high) for order, high in zip(ORDERS, (0.1, 0.2, 0.3, 1.0), strict=True)]
    rows += [answer("a", "y", order, 0.5, mass=mass) for order, mass in zip(ORDERS, (0.9, 0.1, 0.1, 0.1), strict=True)]
    rows += [answer("a", "z", order, None) for order in ORDERS]
    table = ItemTable.of(rows, min_mass=0.5)
    x, y, z = table.p_high("a", "warmth")
    assert x == pytest.approx(0.4)
    assert math.isnan(y)
    assert math.isnan(z)
    assert table.mass("a", "warmth") == pytest.approx((0.9 + 0.3) / 2), "of the void item too, not of the refused one"
    loose = ItemTable.of(rows, min_mass=0.2)
    assert loose.p_high("a", "warmth")[1] == pytest.approx(0.5)


def test_what_was_not_asked_is_nan() -> None:
    table = ItemTable.of(answers("a", [0.2, 0.4]) + answers("a", [0.5], "pride"), min_mass=0.5)
    assert table.has("a", "pride")
    assert not table.has("b", "warmth")
    assert np.isnan(table.p_high("b", "warmth")).tolist() == [True, True]
    assert math.isnan(table.mass("b", "warmth"))


@pytest.mark.parametrize("left_out", ["item", "order"])
def test_conditions_must_have_been_asked_the_same(left_out: str) -> None:
    rows = answers("a", [0.2, 0.4]) + answers("b", [0.2, 0.4])
    gone = (lambda one: one.item_id == "warmth01") if left_out == "item" else (lambda one: one.order == ORDERS[0])
    with pytest.raises(ValueError, match="b: not the items and orders of warmth"):
        ItemTable.of([one for one in rows if one.condition == "a" or not gone(one)], min_mass=0.5)
