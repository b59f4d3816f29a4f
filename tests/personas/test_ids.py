"""The public benchmark's ids, sample and rule, reproduced by the shipped frameworks."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.personas.frameworks import load_frameworks
from influence_assets.personas.ids import observation_id, persona_id, short_id, statement_id

FRAMEWORKS = Path(__file__).parents[2] / "data" / "frameworks"
PUBLIC_ORDER = ("mbti", "zodiac", "enneagram", "tarot", "big_five")
# What the public benchmark draws with max_personas=5 and random_state=42.
PUBLIC_SAMPLE = ["6276f450", "988503dc", "7146cd1c", "c5c8dca8", "559baa12"]


def _public_ids() -> list[str]:
    frameworks = load_frameworks(FRAMEWORKS)
    return [identity for slug in PUBLIC_ORDER for identity in frameworks[slug].persona_ids()]


def test_a_known_persona_has_its_public_id() -> None:
    assert persona_id("MBTI", "INTJ") == "0447288b"


def test_the_shipped_personas_in_public_order_give_the_public_sample() -> None:
    ids = _public_ids()
    assert len(set(ids)) == 100
    draw = np.random.RandomState(42).permutation(100)[:5]
    assert [ids[row] for row in draw] == PUBLIC_SAMPLE


@pytest.mark.parametrize(
    ("position", "public"),
    [
        (0, "0447288b"),
        (15, "cc0ef006"),
        (16, "2d57d05a"),
        (27, "602e7e13"),
        (28, "14983cba"),
        (45, "c5c8dca8"),
        (53, "988503dc"),
        (67, "917c6bd2"),
        (68, "6848a4f3"),
        (99, "849b4bf6"),
    ],
)
def test_first_and_last_of_each_framework_have_their_public_ids(position: int, public: str) -> None:
    assert _public_ids()[position] == public


def test_ids_follow_the_written_rule() -> None:
    def first_8(text: str) -> str:
        return hashlib.md5(text.encode("utf-8")).hexdigest()[:8]

    assert statement_id(True, "I laugh.", "0447288b") == first_8("agree_I laugh._0447288b")
    assert statement_id(False, "I laugh.", "0447288b") == first_8("disagree_I laugh._0447288b")
    assert observation_id("0447288b", "I laugh.", True) == first_8("0447288b_I laugh._Y")
    assert observation_id("0447288b", "I laugh.", False) == first_8("0447288b_I laugh._N")


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_has_an_id_and_another_text_another(one: str, other: str) -> None:
    assert len(short_id(one)) == 8
    assert int(short_id(one), 16) >= 0
    if one != other:
        # Equal with a chance of 2e-10 per pair of distinct texts, unless the rule drops something.
        assert short_id(one) != short_id(other)


def test_half_a_surrogate_pair_has_an_id() -> None:
    assert short_id("\ud800") != short_id("\ud801")
