"""In a row with branches each token sees the path that leads to it, all of it and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from resources.local.prefix import plan
from resources.local.rows import Branch, Row, lay_out, n_tokens

sequences = st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=12), min_size=1, max_size=30)


def columns(path: tuple[tuple[int, int], ...]) -> list[int]:
    return [column for begin, end in path for column in range(begin, end)]


def seen(row: Row, offset: int) -> list[int]:
    """Columns that the token at an offset sees, as `rows.py` defines it."""
    own = row.before + offset
    new = [row.before + k for k in range(len(row.ids)) if row.before + k <= own < row.ends[k]]
    return [*range(row.before), *new]


@given(sequences, st.integers(1, 40))
def test_a_token_sees_the_path_that_leads_to_it(drawn: list[list[int]], row_tokens: int) -> None:
    rows = list(lay_out([Branch(root) for root in plan(drawn).roots], row_tokens, few=False))
    for row in rows:
        assert len(row.ids) == len(row.positions) == len(row.ends)
        assert len(row.ids) <= row_tokens or row.n_segments == 1
        for offset, number, path in row.reads:
            assert seen(row, offset) == columns(path)
            assert [row.ids[column] for column in columns(path)] == drawn[number]
            assert [row.positions[column] for column in columns(path)] == [*range(len(drawn[number]))]
        for _, path, _ in row.later:
            assert seen(row, path[-1][1] - 1) == columns(path)


@given(sequences, st.integers(1, 40))
def test_every_segment_runs_once_now_or_later(drawn: list[list[int]], row_tokens: int) -> None:
    roots = plan(drawn).roots
    rows = list(lay_out([Branch(root) for root in roots], row_tokens, few=False))
    later = [segment for row in rows for segment, _, _ in row.later]
    assert sum(len(row.ids) for row in rows) + sum(map(n_tokens, later)) == sum(map(n_tokens, roots))
    read = [number for row in rows for _, number, _ in row.reads]
    below = list(later)
    for segment in below:
        below += segment.children
    assert sorted(read + [number for segment in below for _, number in segment.ends]) == [*range(len(drawn))]


@given(sequences)
def test_what_many_stand_on_is_kept_and_all_of_few(drawn: list[list[int]]) -> None:
    stem = [1, 2, 3] * 6
    long = [stem + each for each in drawn]
    for few in (False, True):
        branches = [Branch(root, None, root.tokens) for root in plan(long).roots]
        kept = [whole for row in lay_out(branches, 1000, few=few) for _, whole in row.kept]
        ends = {tuple(whole) for whole in kept}
        assert all(sum(tuple(each[: len(end)]) == end for each in long) >= (1 if few else 4) for end in ends)
        if few:
            assert {tuple(each) for each in long} <= {tuple(whole[:n]) for whole in kept for n in range(len(whole) + 1)}
