"""Laws of contrast texts: halves that share no wording, enough texts in each, and what takes the place of what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.background_texts import background_id
from influence_assets.features.backgrounds import Factor, load_backgrounds
from influence_assets.features.contrast import contrast_texts
from influence_assets.features.frames import Frames, load_frames
from influence_assets.features.keyword_sets import KeywordSet, keyword_sets
from influence_assets.features.stimulus_tables import CONTRAST_TEXTS, Background, ContrastText, Source
from influence_assets.personas.words import words_of
from influence_assets.rows import from_frame, to_frame
from resources.errors import InputError
from resources.frames import conform
from tests.features.stimulus_files import DATA, factor

FRAMES = load_frames(DATA / "prompts" / "features" / "contrast.yaml")
SHIPPED = load_backgrounds(DATA, ["long_term", "short_term", "traits"])
LONG_TERM = load_backgrounds(DATA, ["long_term"])


def biography(keywords: KeywordSet, text: str, status: str = "ok") -> Background:
    return Background(
        model="m",
        background_id=background_id(Source.GENERATED, keywords),
        sample=0,
        kind="long_term",
        source="generated",
        keywords=dict(keywords),
        text=text,
        n_words=len(text.split()),
        status=status,
        p_keywords={},
    )


def with_texts(texts: object, *, name: str = "temper") -> Factor:
    """A factor whose first category has own texts."""
    values = factor(name, ["hot", "cold"]).model_dump(mode="json")
    values["categories"]["hot"]["texts"] = texts
    return Factor.model_validate(values)


def of(rows: Sequence[ContrastText], category: str) -> list[ContrastText]:
    return [row for row in rows if row.category == category]


def counts(rows: Sequence[ContrastText]) -> tuple[int, int]:
    found = Counter(row.half for row in rows)
    return found["selection"], found["heldout"]


def test_the_shipped_frames_are_first_person_and_at_least_twelve() -> None:
    assert len(FRAMES.names) >= 12
    for name in FRAMES.names:
        words = set(words_of(FRAMES.fill(name, "...").replace("'", " ")))
        assert {"i", "me", "my", "mine", "myself"} & words, name


@given(st.integers(0, 2**40))
@settings(max_examples=25, deadline=None)
def test_no_wording_crosses_the_halves(seed: int) -> None:
    rows = contrast_texts(SHIPPED, FRAMES, model="m", seed=seed)
    halves_of_pair = defaultdict(set)
    halves_of_text = defaultdict(set)
    for row in rows:
        assert row.pair is not None
        # A frame has its half for all factors; a place in the file has it within its factor.
        place = (row.pair,) if row.source == "fixed" else (row.factor, row.pair)
        halves_of_pair[place].add(row.half)
        halves_of_text[row.text_id].add(row.half)
    assert all(len(halves) == 1 for halves in (*halves_of_pair.values(), *halves_of_text.values()))
    for item in SHIPPED:
        for category in item.categories:
            selection, heldout = counts([row for row in rows if (row.factor, row.category) == (item.name, category)])
            assert selection == heldout == (6 if item.kind == "trait" else len(FRAMES.names) // 2)
    assert contrast_texts(SHIPPED, FRAMES, model="m", seed=seed) == rows


def test_the_seed_moves_frames_and_own_texts() -> None:
    def halves(seed: int, source: str) -> list[str]:
        return [r.half for r in contrast_texts(SHIPPED, FRAMES, model="m", seed=seed) if r.source == source]

    for source in ("fixed", "file"):
        assert len({tuple(halves(seed, source)) for seed in range(6)}) > 1


def test_eight_own_texts_stand_alone_unless_told_otherwise() -> None:
    own = [f"I slam door number {n}." for n in range(8)]
    for texts, own_alone, sources in (
        (own, True, {"file"}),
        (own, False, {"file", "fixed"}),
        (own[:7], True, {"file", "fixed"}),
    ):
        rows = of(contrast_texts([with_texts(texts)], FRAMES, model="m", seed=0, own_alone=own_alone), "hot")
        assert {row.source for row in rows} == sources
        assert {row.text for row in rows if row.source == "file"} == set(texts)
    cold = of(contrast_texts([with_texts(own)], FRAMES, model="m", seed=0), "cold")
    assert {row.source for row in cold} == {"fixed"}
    assert {row.text for row in cold} == {FRAMES.fill(name, "has cold for temper") for name in FRAMES.names}


def test_a_stated_half_is_kept() -> None:
    stated = {"selection": [f"s{n}" for n in range(4)], "heldout": [f"h{n}" for n in range(9)]}
    rows = of(contrast_texts([with_texts(stated)], FRAMES, model="m", seed=3), "hot")
    assert {(row.half, row.text[0]) for row in rows} == {("selection", "s"), ("heldout", "h")}
    assert counts(rows) == (4, 9)
    assert {row.pair for row in rows if row.half == "selection"} == {f"selection {n}" for n in range(4)}


def test_fewer_than_four_in_a_half_are_refused_with_their_number() -> None:
    stated = {"selection": [f"s{n}" for n in range(6)], "heldout": ["h0", "h1"]}
    with pytest.raises(InputError, match=r"temper.hot: has 6 contrast texts for selection and 2 held out; .* needs 4"):
        contrast_texts([with_texts(stated)], FRAMES, model="m", seed=0)
    few = Frames(FRAMES.prompt.model_copy(update={"variants": dict(list(FRAMES.prompt.variants.items())[:7])}))
    with pytest.raises(InputError, match=r"temper.hot: has 3 contrast texts for selection and 4 held out"):
        contrast_texts([factor("temper", ["hot", "cold"])], few, model="m", seed=0)


def test_a_text_in_both_halves_is_refused() -> None:
    same = ["I wait."]
    first = with_texts({"selection": same, "either": [f"a{n}" for n in range(8)]}, name="one")
    second = with_texts({"heldout": same, "either": [f"b{n}" for n in range(8)]}, name="two")
    with pytest.raises(InputError, match=r"two.hot: is heldout, but also a text of one.hot, where it is selection"):
        contrast_texts([first, second], FRAMES, model="m", seed=0)


def test_biographies_speak_for_their_keywords_and_have_one_half() -> None:
    sets = keyword_sets(LONG_TERM, 60, 2)
    told = [biography(keywords, f"Life number {n}.") for n, keywords in enumerate(sets)]
    rows = contrast_texts(LONG_TERM, FRAMES, told, model="m", seed=1)
    generated = [row for row in rows if row.source == "generated"]
    assert len(generated) == 60 * 9
    assert {row.pair for row in generated} == {None}
    by_text = defaultdict(set)
    for row in generated:
        by_text[row.text].add(row.half)
    assert all(len(halves) == 1 for halves in by_text.values())
    keywords_of = {item.text: item.keywords for item in told}
    assert all(keywords_of[row.text][row.factor] == row.category for row in generated)
    surplus = Counter()
    for row in generated:
        surplus[row.factor, row.category] += 1 if row.half == "selection" else -1
    # Sums of 12 to 32 over twelve seeds; coins give 48 to 144.
    assert sum(map(abs, surplus.values())) <= 40
    shuffled = contrast_texts(LONG_TERM, FRAMES, told[::-1], model="m", seed=1)
    assert shuffled == rows


def test_only_sound_biographies_that_say_something_new_count() -> None:
    first, second, third, fourth = keyword_sets(LONG_TERM, 4, 0)
    fixed = Background(**{**_fields(biography(fourth, "Fixed.")), "source": "fixed"})
    told = [
        biography(first, "One life."),
        biography(second, "Bad.", "unfaithful"),
        biography(third, "one  LIFE"),
        fixed,
    ]
    rows = contrast_texts(LONG_TERM, FRAMES, told, model="m", seed=1)
    generated = [row for row in rows if row.source == "generated"]
    assert len(generated) == 9
    assert len({row.text for row in generated}) == 1


def _fields(row: Background) -> dict[str, object]:
    return {name: getattr(row, name) for name in Background.__slots__}


def test_rows_fit_the_table() -> None:
    rows = contrast_texts(SHIPPED, FRAMES, model="m", seed=0)
    frame = conform(CONTRAST_TEXTS, {"model": "m"}, to_frame(CONTRAST_TEXTS, rows))
    assert sorted(map(repr, from_frame(ContrastText, frame))) == sorted(map(repr, rows))
