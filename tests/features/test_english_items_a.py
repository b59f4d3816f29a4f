"""The shipped items of four traits: their form, and that form alone does not tell the high pole from the low."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import yaml
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

ITEMS = Path(__file__).resolve().parents[2] / "data" / "trait_items" / "english"
TRAITS = ("openness", "conscientiousness", "extraversion", "agreeableness")
WORD = r"[\w'-]+"

TELLING = {
    "openness": r"open\w*|curio\w+|imaginative|inventive|creativ\w+|artistic|original|convention\w*|tradition\w*"
    r"|practical",
    "conscientiousness": r"conscientious\w*|organi[sz]ed|careful\w*|careless\w*|diligent\w*|disciplin\w+|orderly|tidy"
    r"|lazy|reliab\w+|responsib\w+|punctual\w*|messy|sloppy",
    "extraversion": r"extra?[ov]ert\w*|introver\w*|outgoing|sociab\w+|talkative|shy\w*|quiet\w*|reserved|lively"
    r"|energetic|assertive|bold\w*|solitary",
    "agreeableness": r"agreeab\w+|kind\w*|friendly|trusting|cooperative|polite\w*|rude\w*|warm\w*|cold\w*|generous\w*"
    r"|modest\w*|humbl\w+|sympath\w+|selfish\w*|harsh\w*|competitive|stubborn\w*|honest\w*|fair\w*",
}
ABSOLUTES = r"always|never|constantly|forever|at all costs"
NEGATIONS = r"not|no|never|without|nothing|none|neither|nor|nobody|nowhere|cannot|unable|\w+n't"
FUNCTION_WORDS = re.findall(
    r"\w+",
    """
    a an the of to in on at for and or but with from by as that which who what whether where when how if it its is are
    has have had been be would could can should may might will you your yours yourself them they their this these those
    each any some one then until before after since so than up out all every both other others about over there
    """,
)
NO_FIRST_WORDS = {*FUNCTION_WORDS, "i", "she", "he", "we"} - {"have"}


@dataclass(frozen=True)
class Item:
    id: str
    situation: str
    query: str
    high: tuple[str, ...]
    low: tuple[str, ...]

    @property
    def options(self) -> tuple[str, ...]:
        return self.high + self.low


def items_of(trait: str) -> list[Item]:
    content = yaml.safe_load((ITEMS / f"{trait}.yaml").read_text(encoding="utf-8"))
    assert content["trait"] == trait
    return [Item(**{**item, "high": tuple(item["high"]), "low": tuple(item["low"])}) for item in content["items"]]


def words(text: str) -> list[str]:
    return re.findall(WORD, text.lower())


def length(option: str) -> int:
    return len(words(option))


def count(pattern: str, option: str) -> int:
    return len(re.findall(rf"\b(?:{pattern})\b", option.lower()))


def accuracy_by_item(items: list[Item], features: object) -> float:
    """How often logistic regression, fitted to other items only, tells a high option from a low one; chance is .5."""
    options = [option for item in items for option in item.options]
    is_high_N = np.array([option in item.high for item in items for option in item.options])
    item_N = np.array([number for number, item in enumerate(items) for _ in item.options])
    classifier = make_pipeline(features, LogisticRegression(max_iter=1000))
    guesses_N = cross_val_predict(classifier, options, is_high_N, groups=item_N, cv=GroupKFold(10))
    return float(np.mean(guesses_N == is_high_N))


def form_of(options: list[str]) -> np.ndarray:
    """Words, letters, negations and commas of each option."""
    return np.array([[length(o), len(o), count(NEGATIONS, o), o.count(",")] for o in options], dtype=float)


FORM = make_pipeline(FunctionTransformer(form_of), StandardScaler())
FIRST_WORD = CountVectorizer(analyzer=lambda option: words(option)[:1], min_df=3)
FUNCTION_WORDS_ALONE = CountVectorizer(vocabulary=FUNCTION_WORDS, token_pattern=WORD)
ALL_WORDS = CountVectorizer(token_pattern=WORD)

trait = pytest.mark.parametrize("trait", TRAITS)


@trait
def test_a_trait_has_forty_items_of_two_high_and_two_low_options(trait: str) -> None:
    items = items_of(trait)
    assert [item.id for item in items] == [f"{trait}_{number:02d}" for number in range(1, 41)]
    assert {(len(item.high), len(item.low)) for item in items} == {(2, 2)}
    assert all(item.query.endswith("?") and item.situation for item in items)


def test_no_situation_and_no_option_comes_twice() -> None:
    items = [item for trait in TRAITS for item in items_of(trait)]
    situations = [item.situation for item in items]
    assert len(set(situations)) == len(situations)
    options = Counter(option.casefold() for item in items for option in item.options)
    assert options.most_common(1)[0][1] == 1


def test_situations_share_few_of_their_words() -> None:
    common = set(FUNCTION_WORDS)
    told = [set(words(item.situation)) - common for trait in TRAITS for item in items_of(trait)]
    overlaps = [len(one & two) / len(one | two) for at, one in enumerate(told) for two in told[:at]]
    assert max(overlaps) < 0.4


@trait
def test_options_are_of_like_length_at_both_poles(trait: str) -> None:
    items = items_of(trait)
    assert all(8 <= length(option) <= 22 for item in items for option in item.options)
    gaps = [fmean(map(length, item.high)) - fmean(map(length, item.low)) for item in items]
    assert max(map(abs, gaps)) <= 3
    assert abs(fmean(gaps)) < 0.7


@trait
@pytest.mark.parametrize("size", [length, len], ids=["words", "letters"])
def test_the_longest_option_is_as_often_high_as_low(trait: str, size: Callable[[str], int]) -> None:
    shares = []
    for item in items_of(trait):
        longest = max(map(size, item.options))
        holders = [option in item.high for option in item.options if size(option) == longest]
        shares.append(fmean(holders))
    assert 0.4 <= fmean(shares) <= 0.6


@trait
def test_no_option_names_its_trait_or_speaks_in_absolutes(trait: str) -> None:
    named = [o for item in items_of(trait) for o in item.options if count(f"{TELLING[trait]}|{ABSOLUTES}", o)]
    assert named == []


@trait
def test_options_are_bare_verb_phrases_without_final_stops(trait: str) -> None:
    for option in (option for item in items_of(trait) for option in item.options):
        first = words(option)[0]
        assert option[0].isupper()
        assert first not in NO_FIRST_WORDS
        assert not first.endswith("ing") or first in {"bring", "ring", "sing"}
        assert not re.search(r"[.;:!?\"()–—]", option)


@trait
@pytest.mark.parametrize(
    "features", [FORM, FIRST_WORD, FUNCTION_WORDS_ALONE], ids=["length and marks", "first word", "function words"]
)
def test_form_alone_does_not_tell_the_poles_apart(trait: str, features: object) -> None:
    assert accuracy_by_item(items_of(trait), features) <= 0.65


@trait
def test_single_words_tell_little_of_the_pole(trait: str, record_property: Callable[[str, object], None]) -> None:
    accuracy = accuracy_by_item(items_of(trait), ALL_WORDS)
    record_property("accuracy_of_words", accuracy)
    assert accuracy < 0.7, f"words alone tell the pole of {accuracy:.2f} of the options of {trait}"


@pytest.mark.parametrize("features", [FORM, ALL_WORDS], ids=["length and marks", "all words"])
def test_a_planted_tell_is_found(features: object) -> None:
    items = [Item(str(n), "s", "q", (f"Go to {n} now, at once", "Go, then"), (f"Go to {n}", "Go")) for n in range(20)]
    assert accuracy_by_item(items, features) > 0.9
