"""Laws of keyword sets: distinct, balanced, seeded, and not in step."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.backgrounds import Factor, Kind, load_backgrounds
from influence_assets.features.keyword_sets import KeywordSet, keyword_sets
from resources.errors import InputError
from tests.features.stimulus_files import DATA, factor

LONG_TERM = load_backgrounds(DATA, ["long_term"])


def factors_of(sizes: list[int]) -> list[Factor]:
    return [factor(f"f{i}", [f"c{j}" for j in range(size)]) for i, size in enumerate(sizes)]


@given(st.lists(st.integers(2, 4), min_size=1, max_size=4), st.data(), st.integers(0, 2**40))
@settings(max_examples=150, deadline=None)
def test_sets_are_distinct_complete_and_balanced(sizes: list[int], data: st.DataObject, seed: int) -> None:
    factors = factors_of(sizes)
    n = data.draw(st.integers(1, math.prod(sizes)))
    sets = keyword_sets(factors, n, seed)
    assert len(sets) == len(set(sets)) == n
    for i, item in enumerate(factors):
        assert {keywords[i].factor for keywords in sets} == {item.name}
        counts = Counter(keywords[i].category for keywords in sets)
        assert set(counts) <= set(item.categories)
        every = [counts[category] for category in item.categories]
        assert max(every) - min(every) <= 1
    assert keyword_sets(factors, n, seed) == sets


def test_seed_and_names_alone_decide() -> None:
    sets = keyword_sets(LONG_TERM, 30, 1)
    assert sets != keyword_sets(LONG_TERM, 30, 2)
    retold = [item.model_copy(update={"about": "something else"}) for item in LONG_TERM]
    assert keyword_sets(retold, 30, 1) == sets


def cramers_v(sets: tuple[KeywordSet, ...], a: int, b: int) -> float:
    """Association of two factors, 0 to 1 (Cramer 1946)."""
    rows, columns = (sorted({keywords[i] for keywords in sets}) for i in (a, b))
    table = np.zeros((len(rows), len(columns)))
    for keywords in sets:
        table[rows.index(keywords[a]), columns.index(keywords[b])] += 1
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    return float(np.sqrt(((table - expected) ** 2 / expected).sum() / table.sum() / (min(table.shape) - 1)))


def test_factors_do_not_move_together() -> None:
    # Independent draws have a mean of .09 here; the design before the swaps has .25.
    sets = keyword_sets(LONG_TERM, 200, 5)
    associations = [cramers_v(sets, a, b) for a, b in combinations(range(9), 2)]
    assert float(np.mean(associations)) < 0.12
    assert max(associations) < 0.3


def test_all_sets_are_the_whole_product() -> None:
    assert len(set(keyword_sets(factors_of([3, 2, 2]), 12, 0))) == 12


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(InputError, match=r"n: cannot have that many .* \(got 13\); ask for 1 to 12"):
        keyword_sets(factors_of([3, 2, 2]), 13, 0)
    with pytest.raises(InputError, match="got 0"):
        keyword_sets(factors_of([3]), 0, 0)
    with pytest.raises(InputError, match="of one kind"):
        keyword_sets([], 1, 0)
    mixed = [factor("a", ["x", "y"]), factor("b", ["x", "y"], kind=Kind.SHORT_TERM)]
    with pytest.raises(InputError, match=r"long_term.*short_term"):
        keyword_sets(mixed, 1, 0)
