"""Backgrounds as files: what ships, what is refused, and what is looked up by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from influence_assets.features.backgrounds import Factor, Half, Kind, chosen, load_backgrounds, of_kind
from influence_assets.personas.words import words_of
from resources.errors import InputError
from tests.features.stimulus_files import DATA, TEMPER, write_set

SHIPPED = load_backgrounds(DATA, ["long_term", "short_term", "traits"])
# Words that would tell a gender, a number of people, or point out of the sentence.
PRONOUNS = set(words_of("he she him her his hers they their theirs i me my we our you your"))
# Every shipped `about` begins with a finite verb in the third person singular or the past tense.
BEGINS = re.compile(r"(?:\w+s|left|finished|grew|studied)\b")


def test_the_shipped_sets_have_the_factors_that_the_design_names() -> None:
    long_term = of_kind(SHIPPED, Kind.LONG_TERM)
    assert len(long_term) == 9
    assert sum(len(factor.categories) for factor in long_term) == 23
    short_term, traits = of_kind(SHIPPED, Kind.SHORT_TERM), of_kind(SHIPPED, Kind.TRAIT)
    assert (len(short_term), len(traits)) == (7, 8)
    for factor in (*short_term, *traits):
        assert list(factor.categories) == ["high", "low"]
        assert (factor.opposite("high"), factor.opposite("low")) == ("low", "high")
    assert all(factor.opposites for factor in long_term)


@pytest.mark.parametrize("factor", SHIPPED, ids=lambda factor: factor.name)
def test_every_shipped_phrase_fits_into_its_sentences(factor: Factor) -> None:
    for category in factor.categories.values():
        assert BEGINS.match(category.about), category.about
        assert not PRONOUNS & set(words_of(category.about)), category.about
        assert not category.keyword.startswith(("a ", "an ", "the ", "is ", "has "))


@pytest.mark.parametrize("factor", of_kind(SHIPPED, Kind.TRAIT), ids=lambda factor: factor.name)
def test_texts_of_both_poles_are_as_many_and_as_long(factor: Factor) -> None:
    high, low = (factor.categories[pole].texts.either for pole in ("high", "low"))
    assert len(high) == len(low) == 12
    differences = [len(words_of(h)) - len(words_of(lo)) for h, lo in zip(high, low, strict=True)]
    assert max(map(abs, differences)) <= 2
    assert abs(sum(differences)) <= 3
    assert abs(sum(map(len, high)) - sum(map(len, low))) <= 48
    for text in (*high, *low):
        assert {"i", "me", "my", "mine"} & set(words_of(text)), text
        assert text.endswith(".")
        assert not {factor.name, factor.categories["high"].keyword} & set(words_of(text))


def test_texts_are_a_list_or_stand_in_halves(tmp_path: Path) -> None:
    listed = TEMPER.replace("- I wait and see.", "selection: [I wait and see.]").replace(
        "- I let it pass.", "heldout: [I let it pass., Let it be.]"
    )
    write_set(tmp_path, "plain", TEMPER)
    write_set(tmp_path, "halves", listed)
    (plain,), (halves,) = (load_backgrounds(tmp_path, [name]) for name in ("plain", "halves"))
    assert list(plain.categories["cold"].texts.located()) == [(None, 0, "I wait and see."), (None, 1, "I let it pass.")]
    assert [(half, place) for half, place, _ in halves.categories["cold"].texts.located()] == [
        (Half.SELECTION, 0),
        (Half.HELDOUT, 0),
        (Half.HELDOUT, 1),
    ]
    assert len(plain.categories["hot"].texts) == 0


def test_names_are_any_text(tmp_path: Path) -> None:
    text = (
        TEMPER.replace("temper", "気質").replace("hot:", "'熱い {about} 🔥':").replace("[hot,", "['熱い {about} 🔥',")
    )
    write_set(tmp_path, "日本", text)
    (factor,) = load_backgrounds(tmp_path, ["日本"])
    assert factor.name == "気質"
    assert factor.opposite("cold") == "熱い {about} 🔥"
    assert chosen([factor], "気質", "熱い {about} 🔥").about == "shouts a lot"


# What is changed, by what, and what the message must hold.
WRONG = [
    ("kind: trait", "kind: mood", r"t.yaml:5: factors\[0\].kind: .*'mood'"),
    ("kind: trait", "sort: trait", r"factors\[0\].*is (missing|not a known field)"),
    ("[[hot, cold]]", "[[hot, warm]]", r"t.yaml:6: .*opposites\[0\]\[1\]: is no category.*'warm'.*hot, cold"),
    ("[[hot, cold]]", "[[hot, hot]]", r"t.yaml:6: .*has an opposite already.*'hot'"),
    ("[[hot, cold]]", "[[hot, cold], [cold, hot]]", r"t.yaml:6: factors\[0\].opposites\[1\]\[0\]: has an opposite"),
    ("[[hot, cold]]", "[[hot]]", r"t.yaml:6: factors\[0\].opposites\[0\]"),
    ("shouts a lot,", "shouts a lot.,", r"t.yaml:8: .*hot.about: ends a sentence"),
    ("shouts a lot,", "'  ',", r"t.yaml:8: .*hot.about: is blank"),
    ("shouts a lot,", '"a\\nb",', r"t.yaml:8: .*hot.about: has a line break"),
    ("shouts a lot,", "Says little,", r"t.yaml:10: .*cold.about: is that of the category hot"),
    ("keyword: cold temper", "keyword: Hot temper", r"t.yaml:11: .*cold.keyword: is that of the category hot"),
    ("- I let it pass.", "- ' '", r"t.yaml:14: factors\[0\].categories.cold.texts\[1\]: is blank"),
    ("- I let it pass.", "- 7", r"t.yaml:14: factors\[0\].categories.cold.texts\[1\]: is not text.*7"),
    ("- I let it pass.", "- i wait, and see", r"t.yaml:14: .*texts\[1\]: stands twice.*text of cold"),
    ("- I let it pass.", "- [x]", r"t.yaml:14: .*texts\[1\]: is not text"),
    ("\n          - I wait and see.\n          - I let it pass.", " some", r"t.yaml:12: .*texts: "),
    ("temper}\n", "temper, texts: [I let it pass!]}\n", r"t.yaml:14: .*texts\[1\]: stands twice, .* of hot"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), WRONG)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = TEMPER.replace(old, new)
    assert text != TEMPER
    write_set(tmp_path, "t", text)
    with pytest.raises(InputError, match=message):
        load_backgrounds(tmp_path, ["t"])


def test_a_text_may_not_stand_in_both_halves_of_a_category(tmp_path: Path) -> None:
    halves = TEMPER.replace("- I wait and see.", "selection: [I wait.]").replace(
        "- I let it pass.", "heldout: [i wait]"
    )
    write_set(tmp_path, "t", halves)
    with pytest.raises(InputError, match=r"t.yaml:14: .*cold.texts.heldout\[0\]: stands twice"):
        load_backgrounds(tmp_path, ["t"])


def test_sets_are_looked_up_and_may_not_overlap(tmp_path: Path) -> None:
    write_set(tmp_path, "one", TEMPER)
    write_set(tmp_path, "two", TEMPER)
    write_set(tmp_path, "three", TEMPER + TEMPER.split("factors:\n")[1])
    with pytest.raises(InputError, match=r"no such set of backgrounds \(got 'four'\); there are: one, three, two"):
        load_backgrounds(tmp_path, ["one", "four"])
    with pytest.raises(InputError, match="no such set of backgrounds"):
        load_backgrounds(tmp_path, ["../backgrounds/one"])
    with pytest.raises(InputError, match="there are: none"):
        load_backgrounds(tmp_path / "empty", ["one"])
    with pytest.raises(InputError, match=r"two.yaml:3: factors\[0\].name: is also a factor of one.yaml"):
        load_backgrounds(tmp_path, ["one", "two"])
    with pytest.raises(InputError, match=r"named twice .*'one'"):
        load_backgrounds(tmp_path, ["one", "one"])
    with pytest.raises(InputError, match=r"three.yaml:15: factors\[1\].name: stands twice"):
        load_backgrounds(tmp_path, ["three"])
    assert load_backgrounds(tmp_path, []) == ()


def test_a_missing_factor_or_category_lists_what_there_is() -> None:
    assert chosen(SHIPPED, "age", "old").keyword == "over seventy"
    with pytest.raises(InputError, match=r"no such factor \(got 'ages'\); there are: gender, age, .*psychopathy"):
        chosen(SHIPPED, "ages", "old")
    with pytest.raises(InputError, match=r"factor age \(got 'ancient'\); there are: young, middle_aged, old"):
        chosen(SHIPPED, "age", "ancient")
    with pytest.raises(InputError, match="there are: none"):
        chosen([], "age", "old")
    assert next(factor for factor in SHIPPED if factor.name == "age").opposite("middle_aged") is None
