"""Answers as token trees: exact probabilities, against brute force over a random next-token model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.errors import InputError
from resources.local.variants import tokenise, written_forms

LETTERS = "0123 ab"


def encode(text: str) -> list[int]:
    return [LETTERS.find(letter) for letter in text.lower() if letter != "\n"]


def decode(tokens: object) -> str:
    return "".join(LETTERS[token] for token in tokens if token >= 0)  # type: ignore[attr-defined]


def next_token(path: tuple[int, ...], seed: int) -> np.ndarray:
    """log P over the letters after a path: any fixed function of the path will do."""
    logits = np.random.default_rng([seed, *path]).normal(size=len(LETTERS))
    return np.asarray(logits - np.log(np.exp(logits).sum()))


def test_case_variants_go_to_nobody_when_two_options_want_them() -> None:
    forms = written_forms(("yes", "Yes"))
    assert forms == {"yes": ("yes", " yes"), "Yes": ("Yes", " Yes")}
    assert set(written_forms(("yes", "no"))["yes"]) == {"yes", " yes", "Yes", " Yes", "YES", " YES"}
    assert written_forms(("A", "B"))["A"] == ("A", " A", "a", " a")


@pytest.mark.parametrize("options", [(), ("1", "1"), ("1", " ")])
def test_options_must_be_distinct_and_there(options: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="options"):
        written_forms(options)


def test_options_that_the_tokenizer_cannot_write_or_tell_apart_are_refused() -> None:
    with pytest.raises(InputError, match="cannot write"):
        tokenise(("1", "zz"), encode, decode)
    with pytest.raises(InputError, match="like 'a'"):
        tokenise(("a", "A"), encode, decode)


def test_one_and_ten_share_no_mass() -> None:
    """P("1") = p(1) (1 - p(0|1)) and P("10") = p(1) p(0|1), likewise after a space."""
    answers = tokenise(("1", "10"), encode, decode)
    logp = [
        next_token(branch, 7)[list(tokens)] for branch, tokens in zip(answers.branches, answers.tokens, strict=True)
    ]
    p = {path: np.exp(next_token(path, 7)) for path in answers.branches}
    one, zero, space = 1, 0, 4
    starts = [(p[()][one], p[(one,)]), (p[()][space] * p[(space,)][one], p[(space, one)])]
    expected = [sum(a * (1 - b[zero]) for a, b in starts), sum(a * b[zero] for a, b in starts)]
    np.testing.assert_allclose(answers.mass_per_option(logp), expected, rtol=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text("012ab", min_size=1, max_size=3), min_size=1, max_size=6, unique_by=str.lower),
    st.integers(0, 1000),
)
def test_mass_is_that_of_the_disjoint_events(options: list[str], seed: int) -> None:
    """Brute force: walk all letter strings; the answer is the longest option path reached before leaving the tree."""
    answers = tokenise(tuple(options), encode, decode)
    logp = [next_token(b, seed)[list(tokens)] for b, tokens in zip(answers.branches, answers.tokens, strict=True)]
    got_O = answers.mass_per_option(logp)
    expected_O = np.zeros(len(options))

    def walk(path: tuple[int, ...], p: float) -> None:
        inner = [branch for branch in answers.branches if branch == path]
        if not inner:
            expected_O[answers.ends[path]] += p
            return
        children = answers.tokens[answers.branches.index(path)]
        for token, logp_t in enumerate(next_token(path, seed)):
            if token in children:
                walk((*path, token), p * float(np.exp(logp_t)))
            elif path in answers.ends:
                expected_O[answers.ends[path]] += p * float(np.exp(logp_t))

    walk((), 1.0)
    np.testing.assert_allclose(got_O, expected_O, atol=1e-12)
    assert got_O.sum() <= 1 + 1e-12
