"""The checks of answers notice what they are for, and show the rows at fault."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.steerability import checks

SCHEMA = {
    "method": pl.String,
    "n_steer": pl.Int32,
    "status": pl.String,
    "estimator": pl.String,
    "p_agree": pl.Float64,
    "mass": pl.Float64,
    "statement_id": pl.String,
}


def answers(*rows: tuple[str, str, float | None], estimator: str = "logprobs") -> pl.DataFrame:
    """Answers as (method, status, p_agree)."""
    full = [(method, 0, status, estimator, p, 0.9, str(n)) for n, (method, status, p) in enumerate(rows)]
    return pl.DataFrame(full, schema=SCHEMA, orient="row")


@given(ok=st.integers(0, 300), void=st.integers(0, 40))
def test_void_answers_are_a_share_of_those_asked(ok: int, void: int) -> None:
    asked = answers(*[("name", "ok", 0.3)] * ok, *[("name", "void", None)] * void)
    references = answers(*[("coin", "ok", 0.5)] * 50, estimator="reference")
    found = checks.void_share(pl.concat([asked, references]))
    share = void / (ok + void) if ok + void else 0.0
    assert found.value == pytest.approx(share)
    assert found.passed == (share <= checks.MAX_VOID_SHARE)
    assert found.rows["rows"].sum() == void


def test_the_worst_method_is_shown_first() -> None:
    found = checks.void_share(
        answers(
            ("name", "void", None), ("examples", "refusal", None), ("examples", "refusal", None), ("name", "ok", 0.1)
        )
    )
    assert found.rows.select("method", "status", "rows").rows() == [("examples", "refusal", 2), ("name", "void", 1)]


@pytest.mark.parametrize(
    ("given_p", "passed"), [([0.5, 0.5], False), ([0.5, 0.5 + 1e-9], False), ([0.5, 0.6], True), ([], True)]
)
def test_a_method_that_answers_always_the_same(given_p: list[float], passed: bool) -> None:
    found = checks.answers_differ(answers(*(("name", "ok", p) for p in given_p)))
    assert found.passed is passed
    assert found.rows["method"].to_list() == ([] if passed else ["name"])


def test_a_persona_that_takes_no_part() -> None:
    sets = pl.DataFrame(
        [("mbti", persona, 4, part, str(n)) for persona, part in (("a", "short"), ("b", "test")) for n in range(2)],
        schema=["framework", "persona_id", "n_steer", "part", "statement_id"],
        orient="row",
    )
    found = checks.short_personas(sets)
    assert (found.passed, found.value) == (False, 1.0)
    assert found.rows.select("persona_id", "statements").rows() == [("a", 2)]
    assert checks.short_personas(sets.filter(pl.col("part") == "test")).passed
