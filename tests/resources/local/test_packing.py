"""Passes hold every segment once, keep to their bounds, and cost least over all ways to part the lengths."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from resources.local.packing import pack, padded_lengths

sizes = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 50)), max_size=40)


@given(sizes, st.integers(0, 40), st.integers(1, 200), st.integers(1, 2000))
def test_every_segment_is_in_one_pass_within_the_bounds(
    drawn: list[tuple[int, int]], pass_tokens: int, at_most: int, columns: int
) -> None:
    items = list(enumerate(drawn))
    passes = list(pack(items, lambda item: item[1], pass_tokens=pass_tokens, at_most=at_most, at_most_columns=columns))
    assert sorted(item for each in passes for item in each) == items
    for each in passes:
        assert each == sorted(each), "neighbours stay neighbours"
        longest, before = max(length for _, (length, _) in each), max(before for _, (_, before) in each)
        if len(each) > 1:
            assert len(each) * longest <= at_most
            assert len(each) * (longest + before) <= columns


def cost(counts: dict[int, int], ends: list[int], pass_tokens: int, at_most: int) -> int:
    total, lowest = 0, 0
    for end in ends:
        n = sum(count for length, count in counts.items() if lowest < length <= end)
        total += n * end + pass_tokens * ceil(n / max(1, at_most // end))
        lowest = end
    return total


@given(
    st.dictionaries(st.integers(1, 40), st.integers(1, 30), min_size=1, max_size=7),
    st.integers(0, 60),
    st.integers(1, 300),
)
def test_no_other_way_to_part_the_lengths_costs_less(counts: dict[int, int], pass_tokens: int, at_most: int) -> None:
    padded = padded_lengths(counts, pass_tokens, at_most)
    assert set(padded) == set(counts)
    lengths = sorted(counts)
    ways = [[*inner, lengths[-1]] for n in range(len(lengths)) for inner in combinations(lengths[:-1], n)]
    found = cost(counts, sorted(set(padded.values())), pass_tokens, at_most)
    assert found == min(cost(counts, way, pass_tokens, at_most) for way in ways)


def test_one_long_segment_is_not_what_the_short_ones_are_padded_to() -> None:
    lengths = [3] * 24 + [40]
    passes = list(pack(lengths, lambda n: (n, 100), pass_tokens=64, at_most=1024, at_most_columns=1e9))
    assert [Counter(each) for each in passes] == [{3: 24}, {40: 1}]
