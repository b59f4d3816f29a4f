"""Splits: balanced, seeded per persona, nested in n, and free of leaks by text."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steering_world import frames, world

from influence_assets.steerability.cells import design
from influence_assets.steerability.people import people
from influence_assets.steerability.splits import split, steering_sets
from influence_assets.steerability.tables import SCHEMA_ORDER
from resources.errors import InputError


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([(2,), (4,), (0, 4, 8)]), st.integers(1, 3), st.integers(0, 10**6))
def test_sets_are_balanced_disjoint_and_nested(sizes, repeats, seed):
    who = world(6)
    splits = split(who, n_steer=sizes, repeats=repeats, seed=seed)
    for draws in splits.draws:
        for persona, draw in enumerate(draws):
            before = set()
            for n in sizes:
                agree, disagree = (set(part.tolist()) for part in draw.steer(n))
                assert len(agree) == len(disagree) == n // 2
                assert who.agree_S[list(agree)].all()
                assert not who.agree_S[list(disagree)].any()
                assert before <= agree | disagree
                before = agree | disagree
            assert not before & set(draw.test.tolist())
            assert set(draw.test.tolist()) | set(draw.shown.tolist()) == set(who.statements_of(persona).tolist())
            assert who.agree_S[draw.test].mean() == 0.5


def test_draws_differ_per_persona_repeat_and_seed_and_return_with_it():
    who = world(8)
    first = split(who, n_steer=[4], repeats=3, seed=1)
    again = split(who, n_steer=[4], repeats=3, seed=1)
    other = split(who, n_steer=[4], repeats=3, seed=2)
    shown = [[tuple(draw.shown - who.statements_of(p)[0]) for p, draw in enumerate(draws)] for draws in first.draws]
    assert len({places for draws in shown for places in draws}) > 20
    for draws, same, different in zip(first.draws, again.draws, other.draws, strict=True):
        assert all((one.shown == two.shown).all() for one, two in zip(draws, same, strict=True))
        assert any((one.shown != two.shown).any() for one, two in zip(draws, different, strict=True))


def test_a_new_persona_changes_nobody_elses_split():
    few, many = world(6), world(8)
    one, other = (split(who, n_steer=[4], repeats=1, seed=0).draws[0] for who in (few, many))
    for persona in range(6):
        texts = [{who.texts[s] for s in draws[persona].shown} for who, draws in ((few, one), (many, other))]
        assert texts[0] == texts[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([None, 1, 3]))
def test_no_cell_tests_a_text_that_its_steered_persona_was_shown(seed, pairs):
    """Statement texts are shared by neighbours with the opposite label (contrast pairs), once in other capitals."""
    personas, statements = frames(6)
    twin = {f"p{i:02d}": f"p{(i + 1) % 6:02d}" for i in range(6)}
    shared = (
        statements.group_by("persona_id", maintain_order=True)
        .head(4)
        .with_columns(
            pl.col("persona_id").replace_strict(twin),
            ~pl.col("agree"),
            pl.col("text").str.to_uppercase(),
            ("c" + pl.col("statement_id")).alias("statement_id"),
        )
        .select(statements.columns)
    )
    who = people(personas, pl.concat([statements, shared]))
    splits = split(who, n_steer=[4], repeats=2, seed=seed)
    cells = design(who, splits, pairs=pairs, seed=seed)
    for repeat, draws in enumerate(splits.draws):
        for persona, draw in enumerate(draws):
            here = (cells.repeat_R == repeat) & (cells.steered_R == persona)
            asked = {who.texts[s].casefold() for s in cells.statement_R[here]}
            assert not asked & {who.texts[s].casefold() for s in draw.shown}
            assert persona in set(who.persona_S[cells.statement_R[here]].tolist())


def test_a_cell_that_loses_a_leaked_statement_stays_balanced():
    """Else always agreeing would no longer be right half of the time, and would score."""
    personas, statements = frames(6)
    twin = {f"p{i:02d}": f"p{(i + 1) % 6:02d}" for i in range(6)}
    shared = (
        statements.group_by("persona_id", "agree", maintain_order=True)
        .head(4)
        .with_columns(
            pl.col("persona_id").replace_strict(twin),
            ~pl.col("agree"),
            ("c" + pl.col("statement_id")).alias("statement_id"),
        )
        .select(statements.columns)
    )
    who = people(personas, pl.concat([statements, shared]))
    splits = split(who, n_steer=[4], repeats=2, seed=3)
    cells = design(who, splits, pairs=None, seed=3)
    cell_R = (cells.repeat_R * 100 + cells.steered_R) * 100 + who.persona_S[cells.statement_R]
    shares = [who.agree_S[cells.statement_R[cell_R == cell]].mean() for cell in np.unique(cell_R)]
    assert set(shares) == {0.5}
    full = len(splits.draws[0][0].test) * len(who.personas) ** 2 * 2
    assert len(cells) < full, "this world must leak somewhere, or the test shows nothing"


def test_a_doubled_text_of_one_persona_does_not_leak_into_its_own_test():
    personas, statements = frames(2)
    first = statements.filter(pl.col("persona_id") == "p00")
    doubled = first.with_columns(pl.col("text") + " ", ("x" + pl.col("statement_id")).alias("statement_id"))
    who = people(personas, pl.concat([statements, doubled]))
    for seed in range(10):
        draw = split(who, n_steer=[8], repeats=1, seed=seed).draws[0][0]
        assert not {who.texts[s].strip() for s in draw.shown} & {who.texts[s].strip() for s in draw.test}


@pytest.mark.parametrize("n", [3, -2])
def test_odd_and_negative_sizes_are_refused(n):
    with pytest.raises(InputError, match="half agree, half disagree"):
        split(world(4), n_steer=[n], repeats=1, seed=0)


def test_too_few_statements_for_everyone_is_an_error_that_says_both_numbers():
    with pytest.raises(InputError, match="0 of 4 personas have 10 statements of either label"):
        split(world(4, per_label=6), n_steer=[20], repeats=1, seed=0)


def test_a_short_persona_takes_no_part_and_stands_in_the_table():
    personas, statements = frames(4)
    short = statements.filter((pl.col("persona_id") != "p02") | ~pl.col("agree"))
    who = people(personas, short)
    splits = split(who, n_steer=[4], repeats=2, seed=0)
    assert splits.taking_part.tolist() == [0, 1, 3]
    rows = steering_sets(who, splits, model="m")
    assert rows.columns == list(SCHEMA_ORDER["steerability.steering_sets"])
    assert set(rows.filter(pl.col("persona_id") == "p02")["part"]) == {"short"}
    cells = design(who, splits, pairs=None, seed=0)
    assert 2 not in set(cells.steered_R.tolist()) | set(who.persona_S[cells.statement_R].tolist())


def test_rows_say_who_steers_and_who_tests():
    who = world(4)
    rows = steering_sets(who, split(who, n_steer=[2, 6], repeats=2, seed=0), model="m", iteration=3)
    counts = rows.group_by("n_steer", "part").len().sort("n_steer", "part")
    assert counts.rows() == [(2, "steer", 16), (2, "test", 80), (6, "steer", 48), (6, "test", 80)]
    assert rows.select("persona_id", "n_steer", "repeat", "statement_id").is_unique().all()
    assert set(rows["iteration"]) == {3}


def test_test_statements_can_be_bounded_and_stay_balanced():
    who = world(4)
    splits = split(who, n_steer=[4], repeats=1, seed=0, test_per_persona=4)
    assert all(len(draw.test) == 4 and who.agree_S[draw.test].mean() == 0.5 for draw in splits.draws[0])


@pytest.mark.parametrize("pairs", [1, 3, 7, 50])
def test_a_sparse_design_has_the_diagonal_and_k_others(pairs):
    who = world(8)
    cells = design(who, split(who, n_steer=[4], repeats=2, seed=0), pairs=pairs, seed=0)
    for persona in range(8):
        tests = set(who.persona_S[cells.statement_R[cells.steered_R == persona]].tolist())
        assert persona in tests
        assert len(tests) == min(pairs, 7) + 1


def test_no_pairs_at_all_is_refused():
    who = world(4)
    with pytest.raises(InputError, match="needs another"):
        design(who, split(who, n_steer=[4], repeats=1, seed=0), pairs=0, seed=0)


def test_ids_that_stand_twice_and_unknown_levels_are_refused():
    personas, statements = frames(2)
    with pytest.raises(InputError, match="an id stands twice"):
        people(personas, pl.concat([statements, statements.head(1)]))
    strange = personas.with_columns(
        traits=pl.lit([{"key": "order", "value": "sideways"}], dtype=personas["traits"].dtype)
    )
    with pytest.raises(InputError, match="sideways"):
        people(strange, statements)


def test_levels_are_words_or_numbers():
    personas, statements = frames(2)
    traits = [{"key": "order", "value": "0.5"}, {"key": "warmth", "value": "medium"}]
    who = people(personas.with_columns(traits=pl.lit(traits, dtype=personas["traits"].dtype)), statements)
    assert who.personas[0].levels == {"order": 0.5, "warmth": 0.0}
    assert np.array_equal(who.persona_S, np.sort(who.persona_S))
