"""A persona short of statements is noticed, and the rows at fault are shown."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.personas.checks import enough_statements, rows_at_fault, short_of

PERSONAS = pl.DataFrame({"persona_id": ["a", "b"], "name": ["Arden", "Briar"]})


def statements(*counts: tuple[str, bool, int], origin: str = "generated") -> pl.DataFrame:
    """So many statements of a persona and label, each with a text of its own."""
    rows = [
        {
            "persona_id": persona,
            "agree": agree,
            "origin": origin,
            "text": f"{persona} {agree} {n}",
            "statement_id": str(n),
        }
        for persona, agree, count in counts
        for n in range(count)
    ]
    schema = {"persona_id": pl.String, "agree": pl.Boolean, "origin": pl.String, "text": pl.String}
    return pl.DataFrame(rows, schema=schema | {"statement_id": pl.String})


@given(counts=st.lists(st.integers(0, 6), min_size=4, max_size=4), wanted=st.integers(1, 6))
def test_the_short_halves_are_those_below_what_is_wanted(counts: list[int], wanted: int) -> None:
    halves = [(persona, agree) for persona in ("a", "b") for agree in (True, False)]
    rows = statements(*((*half, count) for half, count in zip(halves, counts, strict=True)))
    found = enough_statements(PERSONAS, rows, wanted)
    assert found.passed == all(count >= wanted for count in counts)
    assert found.rows.height == sum(count < wanted for count in counts)
    assert found.value == min(counts)
    assert short_of(found) == (min(counts) == 0)
    assert found.rows["statements"].to_list() == sorted(count for count in counts if count < wanted)


def test_an_import_brings_what_it_brings() -> None:
    few = statements(("a", True, 1), ("a", False, 1), ("b", True, 1), ("b", False, 1), origin="imported")
    assert enough_statements(PERSONAS, few, 30).passed
    found = enough_statements(PERSONAS, few.filter(pl.col("persona_id") == "a"), 30)
    assert short_of(found)
    assert found.rows["name"].to_list() == ["Briar", "Briar"]


@pytest.mark.parametrize(
    ("audit", "first"),
    [
        ("duplicates_exact", ("a True 0", 2)),
        ("label_balance", ("b", 1, 0)),
        ("length_bias", (False, 1, 3.0)),
    ],
)
def test_rows_at_fault(audit: str, first: tuple[object, ...]) -> None:
    rows = pl.concat([statements(("a", True, 2), ("a", False, 1), ("b", True, 1)), statements(("a", True, 1))])
    found = rows_at_fault(audit, rows)
    assert found.row(0)[: len(first)] == first


def test_an_audit_of_pairs_of_texts_names_them_in_its_own_words() -> None:
    assert rows_at_fault("duplicates_near", statements(("a", True, 2))).is_empty()
