"""Cells of the report: numbers, intervals, and characters that a reader would not see."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.exports.report_parts import DASH, Grid, estimate, harmless, number, shown


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.914, False, "0.91"),
        (0.5, True, "+0.50"),
        (-0.008, True, "−0.01"),
        (-0.004, True, "0.00"),
        (0.0, True, "0.00"),
        (54.321, False, "54.3"),
        (-1234.5, False, "−1,234"),
        (float("nan"), False, DASH),
        (None, True, DASH),
    ],
)
def test_numbers_are_short_and_zero_has_no_sign(value: float | None, signed: bool, text: str) -> None:
    assert number(value, signed=signed) == text


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6), st.booleans())
def test_a_number_reads_back_to_its_last_place(value: float, signed: bool) -> None:
    read = float(number(value, signed=signed).replace("−", "-").replace(",", ""))
    places = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    assert abs(read - value) <= 0.5 * 10**-places + 1e-9 * abs(value)


def test_an_interval_without_ends_is_a_value_and_without_a_value_a_dash() -> None:
    assert estimate(0.5, 0.25, 1.0) == "0.50 [0.25, 1.00]"
    assert estimate(0.5, -0.25, 1.0, signed=True) == "+0.50 [−0.25, +1.00]"
    assert estimate(0.5, None, 1.0) == "0.50"
    assert estimate(None, 0.1, 0.2) == estimate(float("nan"), 0.1, 0.2) == DASH


@given(st.text())
def test_every_character_of_a_cell_is_one_that_is_seen(text: str) -> None:
    told = harmless(text)
    assert all(char in "\n\t" or unicodedata.category(char)[0] != "C" for char in told)
    assert harmless(told) == told
    if all(unicodedata.category(char)[0] != "C" for char in text):
        assert told == text
    told.encode()


@given(st.lists(st.tuples(*[st.sampled_from("ab")] * 2, st.integers()), max_size=12), st.integers(0, 2))
def test_grouped_rows_leave_out_what_the_row_above_says_and_nothing_else(
    rows: list[tuple[str, str, int]], n_columns: int
) -> None:
    grid = Grid.of("", ("x", "y", "z"), rows, text=2)
    above = ("",) * 3
    for row, grouped in zip(grid.rows, grid.grouped_by(n_columns).rows, strict=True):
        n_empty = next((place for place, cell in enumerate(grouped) if cell), 3)
        assert n_empty <= n_columns
        assert row[:n_empty] == above[:n_empty]
        assert grouped[n_empty:] == row[n_empty:]
        above = row


def test_values_of_every_kind_are_words() -> None:
    assert [shown(one) for one in (None, True, False, 12345, 0.125, "a\x07")] == [
        DASH,
        "yes",
        "no",
        "12,345",
        "0.12",
        "a\\x07",
    ]
