"""The planner: every sequence can be read back from its path, and nothing is computed twice that is worth sharing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.local.prefix import MIN_SAVED, Segment, plan

sequences = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=25)


def read_back(roots: list[Segment]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}

    def walk(segment: Segment, above: list[int]) -> None:
        for offset, number in segment.ends:
            assert number not in found
            found[number] = above + segment.tokens[: offset + 1]
        for child in segment.children:
            walk(child, above + segment.tokens)

    for root in roots:
        walk(root, [])
    return found


def computed(roots: list[Segment]) -> int:
    return sum(len(root.tokens) + computed(root.children) for root in roots)


@settings(deadline=None)
@given(sequences)
def test_every_sequence_is_a_path(items: list[list[int]]) -> None:
    assert read_back(plan(items).roots) == dict(enumerate(items))
    assert read_back(plan(items, share=False).roots) == dict(enumerate(items))


@settings(deadline=None)
@given(sequences)
def test_counts_are_those_of_a_trie(items: list[list[int]]) -> None:
    made = plan(items)
    trie = {tuple(item[:n]) for item in items for n in range(1, len(item) + 1)}
    assert made.unique_tokens == len(trie)
    assert made.total_tokens == sum(map(len, items))
    assert made.unique_tokens <= computed(made.roots) <= made.total_tokens


def test_a_long_prefix_is_computed_once_and_a_short_one_is_not_a_level() -> None:
    long = [[1] * 50 + [i] for i in range(2, 30)]
    assert computed(plan(long).roots) == 50 + 28
    short = [[1, 2], [1, 3]]
    assert len(plan(short).roots) == 2, f"saves 1 of {MIN_SAVED} tokens"


def test_a_thousand_nested_prefixes_do_not_deepen_the_plan_without_bound() -> None:
    caterpillar = [[1] * n + [2, n] for n in range(1, 1500)]
    made = plan(caterpillar)
    assert read_back(made.roots) == dict(enumerate(caterpillar))
