"""Reading answers: laws for distributions, and the tokens that real tokenizers produce."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from resources.answers import (
    Draw,
    TokenLogprob,
    apply_threshold,
    check_options,
    estimate_from_draws,
    must_draw,
    needs_draws,
    parse_option,
    read_first_token,
)
from resources.errors import InputError
from resources.messages import Estimator, Status, Usage
from resources.providers import Chosen

RATINGS = tuple(str(rating) for rating in range(1, 11))
YES_NO = ("yes", "no")


def top(**probabilities: float) -> list[TokenLogprob]:
    return tokens(probabilities)


def tokens(probabilities: dict[str, float]) -> list[TokenLogprob]:
    return [TokenLogprob(token, math.log(p) if p > 0 else -9999.0) for token, p in probabilities.items()]


pieces = st.sampled_from(
    [*RATINGS, *(f" {rating}" for rating in RATINGS), "▁7", "Ġ3", "the", " I", "\n", "8\n", "Sure"]
)


@given(st.dictionaries(pieces, st.floats(1e-9, 1.0), min_size=1, max_size=20), st.floats(0.01, 1.0))
def test_probabilities_sum_to_one_or_there_are_none(weights: dict[str, float], share: float) -> None:
    total = sum(weights.values())
    reading = read_first_token(RATINGS, tokens({token: share * w / total for token, w in weights.items()}))
    assert all(p >= 0 for p in reading.probabilities)
    if reading.status is Status.OK:
        assert math.isclose(sum(reading.probabilities), 1.0)
        assert 0.0 < reading.mass <= 1.0
    else:
        assert (reading.status, reading.probabilities, reading.mass) == (Status.VOID, (), 0.0)


@given(st.lists(st.floats(0.001, 1.0), min_size=10, max_size=10), st.lists(st.booleans(), min_size=10, max_size=10))
def test_variants_are_summed_and_order_does_not_matter(weights: list[float], split: list[bool]) -> None:
    total = sum(weights) / 0.9
    whole = {rating: w / total for rating, w in zip(RATINGS, weights, strict=True)}
    parts: dict[str, float] = {}
    for (rating, p), halve in zip(whole.items(), split, strict=True):
        parts |= {rating: p / 2, f" {rating}": p / 2} if halve else {rating: p}
    one, other = read_first_token(RATINGS, tokens(whole)), read_first_token(RATINGS, list(reversed(tokens(parts))))
    assert one.decidable
    assert other.decidable
    assert math.isclose(one.mass, 0.9)
    assert math.isclose(other.mass, 0.9)
    assert all(math.isclose(a, b) for a, b in zip(one.probabilities, other.probabilities, strict=True))


def test_case_variants_are_one_answer_only_where_the_options_stay_distinct() -> None:
    reading = read_first_token(YES_NO, tokens({"Yes": 0.3, " yes": 0.2, "YES": 0.1, "No": 0.2}))
    assert math.isclose(reading.mass, 0.8)
    assert math.isclose(reading.probabilities[0], 0.75)
    distinct = read_first_token(("a", "A"), tokens({"a": 0.3, "A": 0.6}))
    assert [round(p, 9) for p in distinct.probabilities] == [round(1 / 3, 9), round(2 / 3, 9)]


def test_split_digits_are_never_guessed() -> None:
    assert not read_first_token(RATINGS, top(**{"1": 0.5, "7": 0.4})).decidable
    assert read_first_token(RATINGS, top(**{"1": 0.5, "10": 0.01, "7": 0.4})).decidable, "10 is a token of its own"
    assert read_first_token(RATINGS, top(**{"8": 0.9, "7": 0.09})).decidable, "no token begins 10"
    assert read_first_token(RATINGS, top(**{"8": 0.9, "1": 0.0005})).decidable, "what it could change is too small"


def test_the_beginning_of_an_answer_and_a_bare_space_are_never_guessed() -> None:
    agree = ("strongly agree", "agree", "disagree")
    assert not read_first_token(agree, top(strongly=0.6, agree=0.3)).decidable
    assert not read_first_token(RATINGS, tokens({"▁": 0.9, "8": 0.05})).decidable


@given(st.dictionaries(pieces, st.floats(0.001, 0.05), min_size=1, max_size=15), st.integers(1, 3))
def test_the_same_token_twice_counts_once(weights: dict[str, float], times: int) -> None:
    once, often = read_first_token(RATINGS, tokens(weights)), read_first_token(RATINGS, tokens(weights) * times)
    assert once.mass == often.mass
    assert once.probabilities == often.probabilities


@pytest.mark.parametrize("bad", [math.nan, 0.5, math.inf])
def test_one_number_that_is_none_makes_the_position_unparsable(bad: float) -> None:
    reading = read_first_token(RATINGS, [*tokens({"8": 0.9}), TokenLogprob("zebra", bad)])
    assert (reading.status, reading.probabilities) == (Status.UNPARSABLE, ())
    assert math.isnan(reading.mass)


def test_more_mass_than_there_is_makes_the_position_unparsable() -> None:
    assert read_first_token(RATINGS, tokens({"8": 0.9, "7": 0.9})).status is Status.UNPARSABLE


def test_minus_infinity_is_a_probability_of_zero() -> None:
    reading = read_first_token(YES_NO, [TokenLogprob("yes", -0.1), TokenLogprob("no", -math.inf)])
    assert reading.probabilities == (1.0, 0.0)


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_below_the_threshold_an_answer_is_void_and_keeps_its_mass(mass: float, threshold: float) -> None:
    raw = Chosen((0.5, 0.5), mass, Status.OK, Estimator.LOGPROBS, Usage())
    seen = apply_threshold(raw, threshold)
    assert seen.mass == mass
    assert (seen.status is Status.VOID) == (mass < threshold) == (seen.probabilities == ())


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("8", "8"),
        (" 8 \n", "8"),
        ("8.", "8"),
        ("**8**", "8"),
        ('"10"', "10"),
        ("10\nbecause it is good", "10"),
        ("8/10", None),
        ("I say 8", None),
        ("88", None),
        ("", None),
        ("\n\n", None),
    ],
)
def test_a_written_rating_is_read_strictly(text: str, option: str | None) -> None:
    assert parse_option(text, RATINGS) == option


def test_written_words_are_read_whatever_their_case() -> None:
    assert parse_option("YES.", YES_NO) == "yes"
    assert parse_option("Yes", ("yes", "YES", "no")) is None


@given(st.lists(st.sampled_from(["yes", "No", "maybe", ""]), min_size=1, max_size=12))
def test_an_estimate_is_the_share_among_valid_draws(texts: list[str]) -> None:
    draws = [Draw(text, Status.OK, Usage(10, 1, 2)) for text in texts]
    chosen = estimate_from_draws(YES_NO, draws)
    yes, no = texts.count("yes"), texts.count("No")
    assert chosen.estimator is Estimator.SAMPLED
    assert chosen.usage == Usage(10 * len(texts), len(texts), 2 * len(texts))
    assert math.isclose(chosen.mass, (yes + no) / len(texts))
    if yes + no:
        assert chosen.probabilities == (yes / (yes + no), no / (yes + no))
    else:
        assert (chosen.status, chosen.probabilities) == (Status.VOID, ())


def test_draws_that_all_refuse_are_a_refusal_and_a_mixture_is_void() -> None:
    refused, blank = Draw("I cannot", Status.REFUSAL, Usage()), Draw("hm", Status.OK, Usage())
    assert estimate_from_draws(YES_NO, [refused] * 5).status is Status.REFUSAL
    assert estimate_from_draws(YES_NO, [refused, blank]).status is Status.VOID


@given(st.lists(st.text(max_size=4), max_size=4))
def test_options_are_distinct_and_not_blank(options: list[str]) -> None:
    stripped = [option.strip() for option in options]
    valid = len(stripped) > 1 and all(stripped) and len(set(stripped)) == len(stripped)
    assume(options)
    if valid:
        assert check_options(options) == tuple(stripped)
    else:
        with pytest.raises(InputError, match="options"):
            check_options(options)


def test_only_a_request_for_draws_asks_for_draws() -> None:
    assert must_draw(needs_draws(Usage()))
    assert not must_draw(estimate_from_draws(YES_NO, [Draw("x", Status.OK, Usage())]))
