"""Shipped English trait items of neuroticism and the dark triad: complete, balanced, told apart by content alone.

Judges that know only the form of an option (its length, its negations, the kind of its first word, its function words)
must not find the high pole: what such a judge finds, a steered model could find too. They learn on some items and are
tested on others, so that a situation never helps them.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pytest
import yaml
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TRAITS = ("neuroticism", "machiavellianism", "narcissism", "psychopathy")
FOLDER = Path(__file__).parents[2] / "data" / "trait_items" / "english"
CHANCE_BOUND = 0.65
FOLDS = 10
SHUFFLES = 5

NEGATIONS = frozenset(
    ["not", "no", "nor", "none", "nobody", "nothing", "neither", "never", "hardly", "cannot", "without"]
)
SPEECH = """
    accept admit agree answer apologise ask blame call chat compliment congratulate dare decline describe
    explain hint invite joke laugh mention name own point praise promise propose say shout speak stammer
    suggest swear talk tell thank write
"""
THOUGHT = """
    assume attribute conclude count decide dread dwell expect fear feel figure fret guess hope imagine learn
    picture plan reckon regret remember suppose think trust wait watch wonder
"""
FUNCTION_WORDS = sorted(ENGLISH_STOP_WORDS)


class Option(NamedTuple):
    """One option, the number of its item, and whether it is of the high pole."""

    text: str
    item: int
    high: bool


def load(trait: str) -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((FOLDER / f"{trait}.yaml").read_text(encoding="utf-8"))
    return loaded


def items_of(trait: str) -> list[dict[str, object]]:
    items = load(trait)["items"]
    assert isinstance(items, list)
    return items


def poles(item: dict[str, object]) -> tuple[list[str], list[str]]:
    high, low = item["high"], item["low"]
    assert isinstance(high, list)
    assert isinstance(low, list)
    return high, low


def options_of(trait: str) -> list[Option]:
    options = []
    for number, item in enumerate(items_of(trait)):
        high, low = poles(item)
        options += [Option(text, number, True) for text in high]
        options += [Option(text, number, False) for text in low]
    return options


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:['-][a-z]+)*", text.lower())


def length(text: str) -> int:
    return len(text.split())


def form(text: str) -> list[float]:
    """Words, characters, negations, punctuation, and the class of the first word (speech, thought; else deed)."""
    first = words(text)[0]
    negations = sum(word in NEGATIONS for word in words(text))
    marks = len(re.findall(r"[,;:'\"-]", text))
    return [length(text), len(text), negations, marks, first in SPEECH.split(), first in THOUGHT.split()]


def accuracy(judge: Pipeline, seen: object, options: list[Option]) -> float:
    """Share of options put on their pole by a judge who has learnt from other items only; the mean over shuffles."""
    high = np.array([option.high for option in options])
    groups = [option.item for option in options]
    folds = [GroupKFold(FOLDS, shuffle=True, random_state=seed) for seed in range(SHUFFLES)]
    return fmean(np.mean(cross_val_predict(judge, seen, high, groups=groups, cv=cv) == high) for cv in folds)


def word_judge(vocabulary: list[str] | None = None, *, strength: float = 1.0) -> Pipeline:
    counts = CountVectorizer(tokenizer=words, token_pattern=None, lowercase=False, binary=True, vocabulary=vocabulary)
    return make_pipeline(counts, LogisticRegression(C=strength, max_iter=1000))


@pytest.mark.parametrize("trait", TRAITS)
def test_forty_items_with_two_options_of_each_pole(trait: str) -> None:
    loaded = load(trait)
    assert set(loaded) == {"trait", "about", "items"}
    assert loaded["trait"] == trait
    items = items_of(trait)
    assert [item["id"] for item in items] == [f"{trait}_{number:02d}" for number in range(1, 41)]
    assert len({item["situation"] for item in items}) == 40
    for item in items:
        assert set(item) == {"id", "situation", "query", "high", "low"}
        assert [len(pole) for pole in poles(item)] == [2, 2], item["id"]
        assert str(item["query"]).endswith("?"), item["id"]


def test_no_option_or_situation_is_shared_by_two_traits() -> None:
    situations = [item["situation"] for trait in TRAITS for item in items_of(trait)]
    options = [option.text for trait in TRAITS for option in options_of(trait)]
    assert len(set(situations)) == len(situations)
    assert len({text.lower() for text in options}) == len(options)


@pytest.mark.parametrize("trait", TRAITS)
def test_lengths_are_balanced(trait: str) -> None:
    gaps = []
    for item in items_of(trait):
        high, low = poles(item)
        assert all(8 <= length(text) <= 22 for text in high + low), item["id"]
        gaps.append(fmean(map(length, high)) - fmean(map(length, low)))
        assert abs(gaps[-1]) <= 3, item["id"]
    assert abs(fmean(gaps)) < 0.7


@pytest.mark.parametrize("trait", TRAITS)
@pytest.mark.parametrize("unit", ["words", "characters"])
def test_the_longest_option_is_high_as_often_as_low(trait: str, unit: str) -> None:
    longest_is_high = []
    for item in items_of(trait):
        high, low = poles(item)
        longest = max(high + low, key=lambda text: (length(text), len(text)) if unit == "words" else (len(text), 0))
        longest_is_high.append(longest in high)
    assert 0.4 <= fmean(longest_is_high) <= 0.6


@pytest.mark.parametrize("trait", TRAITS)
def test_no_option_names_its_trait_or_speaks_in_absolutes(trait: str) -> None:
    world = yaml.safe_load((FOLDER.parents[1] / "organism" / "world" / "traits" / f"{trait}.yaml").read_text())
    named = {trait, *world["high"]["adjectives"], *world["low"]["adjectives"]}
    for option in options_of(trait):
        assert not named & set(words(option.text)), option.text
        assert not {"always", "never"} & set(words(option.text)), option.text


@pytest.mark.parametrize("trait", TRAITS)
def test_the_form_of_an_option_does_not_tell_its_pole(trait: str) -> None:
    options = options_of(trait)
    seen = np.array([form(option.text) for option in options], dtype=float)
    judge = make_pipeline(StandardScaler(), LogisticRegression())
    assert accuracy(judge, seen, options) <= CHANCE_BOUND


@pytest.mark.parametrize("trait", TRAITS)
def test_function_words_do_not_tell_the_pole(trait: str) -> None:
    options = options_of(trait)
    texts = [option.text for option in options]
    assert accuracy(word_judge(FUNCTION_WORDS, strength=0.3), texts, options) <= CHANCE_BOUND


@pytest.mark.parametrize("trait", TRAITS)
def test_words_carry_some_content_but_give_no_trait_away(trait: str) -> None:
    """Content may help a judge of words: fear has its verbs. It must not be enough for a test without situations."""
    options = options_of(trait)
    reached = accuracy(word_judge(), [option.text for option in options], options)
    print(f"{trait}: a judge of words alone is right in {reached:.3f} of options")
    assert reached <= 0.8


def test_the_judges_would_notice_a_cue() -> None:
    """A planted longer high pole, and a planted function word, are found by the same judges."""
    options = options_of("psychopathy")
    longer = [option._replace(text=option.text + " at home today" * option.high) for option in options]
    seen = np.array([form(option.text) for option in longer], dtype=float)
    assert accuracy(make_pipeline(StandardScaler(), LogisticRegression()), seen, longer) > CHANCE_BOUND
    cued = [option._replace(text=option.text + (" then" if option.high else " still")) for option in options]
    judge = word_judge(FUNCTION_WORDS, strength=0.3)
    assert accuracy(judge, [option.text for option in cued], cued) > 0.9
